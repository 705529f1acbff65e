"""How likely training diverges, over the axes: a Bayesian logistic regression.

Its terms are the axes, and their squares and products where enough diverged to tell. Weights have
the prior deviation 1.5 on functions of variance 1 (Gelman et al. 2008, Annals of Applied Statistics
2(4), in spirit). Where few trials diverged the posterior is far from normal: draws of Laplace's
approximation around its mode (Bishop 2006, section 4.5) would have many more diverge than did. So
they are where chains begin that walk by Metropolis steps of the approximation's shape (Roberts,
Gelman and Gilks 1997, Annals of Applied Probability 7(1)).

N point, D axis, P function, T draw.
"""

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import expit

from archloss.search.analysis.axes import Array
from archloss.search.analysis.basis import Basis

_DEVIATION = 1.5
_INTERCEPT_DEVIATION = 10.0
_STEPS = 50
_WALK, _APART, _STRIDE = 250, 30, 2.0
"""Steps of a chain before its first draw and from one to the next; their length, in deviations over
the root of the number of weights."""
_COPIES = 3
"""Draws of each chain."""
_FEWEST_FOR_MORE = 50
"""Of fewer that diverged, or did not, squares and products would see more than there is: ten for
each weight are the rule (Peduzzi et al. 1996, J. Clin. Epidemiol. 49(12)), and with priors fewer
do."""


class Divergence:
    """Draws of a logistic regression: `draw` gives chances `[T, N]`, `predict` their mean."""

    def __init__(self, basis: Basis, weights: Array) -> None:
        self._basis = basis
        self._weights = weights

    def draw(self, points: Array) -> Array:
        """Return draws of the chance to diverge `[T, N]` at points `[N, D]`."""
        return np.asarray(expit(self._weights @ _add_intercept(self._basis.evaluate(points)).T))

    def vary(
        self, points: Array, axis: int, steps: Array, which: npt.NDArray[np.int64] | None = None
    ) -> Array:
        """Return the chance `[N, S]` where an axis of `points` varies, as `Posterior.vary` does."""
        weights = self._weights.mean(axis=0)[None] if which is None else self._weights[which]
        varied = self._basis.vary(points, axis, steps, weights[:, 1:])
        return np.asarray(expit(weights[:, :1] + varied))

    def predict(self, points: Array) -> Array:
        """Return the chance to diverge `[N]` of the mean weights at points `[N, D]`."""
        weights = self._weights.mean(axis=0)
        return np.asarray(expit(_add_intercept(self._basis.evaluate(points)) @ weights))


def fit_divergence(
    basis: Basis, points: Array, diverged: Array, *, draws: int, random: np.random.Generator
) -> Divergence:
    """Return the regression of `diverged` `[N]` (0 or 1) on points `[N, D]`.

    `basis` has the surface's axes; of its terms the simplest are taken.
    """
    rarer = min(diverged.sum(), len(diverged) - diverged.sum())
    few = rarer < _FEWEST_FOR_MORE
    coarse = basis.coarsen(alone=1 if few else 2, together=0 if few else 1)
    features = _add_intercept(coarse.evaluate(points))
    precision = np.full(features.shape[1], _DEVIATION**-2)
    precision[0] = _INTERCEPT_DEVIATION**-2
    weights = np.zeros(features.shape[1])
    for _ in range(_STEPS):  # Newton's method on a concave function
        chances = expit(features @ weights)
        curvature = features.T @ (features * (chances * (1 - chances))[:, None])
        curvature[np.diag_indices_from(curvature)] += precision
        factor = cho_factor(curvature, lower=True)
        step = cho_solve(factor, features.T @ (diverged - chances) - precision * weights)
        weights += step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-8:
            break

    chains = -(-draws // _COPIES)

    def step_off(length: float) -> Array:
        noise = random.standard_normal((len(weights), chains))
        return np.asarray(length * solve_triangular(factor[0], noise, lower=True, trans="T"))

    def weigh(walkers: Array) -> Array:
        logits = features @ walkers
        fit = diverged @ logits - np.log(1 + np.exp(logits)).sum(axis=0)
        return np.asarray(fit - precision @ walkers**2 / 2)

    walkers = weights[:, None] + step_off(_STRIDE / 3)
    density = weigh(walkers)
    kept = []
    for step in range(_WALK + _APART * (_COPIES - 1)):
        moved = walkers + step_off(_STRIDE / len(weights) ** 0.5)
        weighed = weigh(moved)
        taken = np.log(random.uniform(size=chains)) < weighed - density
        walkers[:, taken], density[taken] = moved[:, taken], weighed[taken]
        if step + 1 >= _WALK and (step + 1 - _WALK) % _APART == 0:
            kept.append(walkers.T.copy())
    return Divergence(coarse, np.concatenate(kept)[:draws])


def _add_intercept(features: Array) -> Array:
    return np.concatenate([np.ones((len(features), 1)), features], axis=1)
