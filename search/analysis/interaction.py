"""Does the curve of errors over choices differ between contexts? A test by replicates alone.

In each replicate, what is left of the errors after the means of contexts and of choices are taken
away is the interaction, and noise. Without an interaction the noise of a replicate is as likely
with the opposite sign, so the observed sum of squares is compared with those under random signs
of whole replicates: exact for symmetric noise, whatever its size in each context and however it
is correlated within a replicate (Fisher 1935; Winkler et al. 2014, NeuroImage 92, "sign flipping").

D context, M choice, R replicate, F flip.
"""

import numpy as np

from archloss.search.analysis.axes import Array

_FLIPS = 9_999
_MOST_ALL = 13


def compute_p_value(values: Array, *, random: np.random.Generator) -> float:
    """Return the p-value of no additive interaction, for paired values `[D, M, R]`."""
    rest = values - values.mean(axis=0) - values.mean(axis=1)[:, None] + values.mean(axis=(0, 1))
    spread = np.sqrt((rest**2).mean(axis=(1, 2), keepdims=True))
    scaled = np.divide(rest, spread, out=np.zeros_like(rest), where=spread > 0)
    flat = scaled.reshape(-1, values.shape[2])  # [D M, R]
    products = flat.T @ flat  # [R, R]: a flip's sum of squares is its quadratic form
    signs = _make_signs(values.shape[2], random)
    sums = np.einsum("fr,rs,fs->f", signs, products, signs, optimize=True)
    observed = float(products.sum())
    return float((sums >= observed * (1 - 1e-12)).mean())


def find_smallest_p(replicates: int) -> float:
    """Return the lowest p-value that so many replicates can give."""
    return 1 / 2 ** (replicates - 1) if replicates <= _MOST_ALL else 1 / (_FLIPS + 1)


def _make_signs(replicates: int, random: np.random.Generator) -> Array:
    """Return signs `[F, R]`, the observed ones first; all of them where they are few.

    A replicate's sign and the opposite of all signs give the same sum: the last one stays.
    """
    if replicates <= _MOST_ALL:
        codes = np.arange(2 ** (replicates - 1))[:, None]
        bits = (codes >> np.arange(replicates - 1)) & 1
        return np.concatenate([1.0 - 2.0 * bits, np.ones((len(codes), 1))], axis=1)
    signs = 1.0 - 2.0 * random.integers(0, 2, (_FLIPS + 1, replicates))
    signs[0] = 1.0
    return np.asarray(signs)
