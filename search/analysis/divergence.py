"""How likely training diverges, over the axes: a Bayesian logistic regression.

Its terms are the axes, or their squares and products too, or a little more, and weights have one
prior deviation on functions of variance 1: the larger, the sharper the edge can be beyond which
networks diverge. Both are those of the highest evidence, by Laplace's approximation (MacKay 1992,
Neural Computation 4(5)): of few that diverged, or did not, the simplest. Draws of the approximation
(Bishop 2006, section 4.5) would have many more of few diverge than did. So they are where chains
begin that walk by Metropolis steps of its shape (Roberts, Gelman and Gilks 1997, Annals of Applied
Probability 7(1)).

N point, D axis, P function, T draw.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import expit

from archloss.search.analysis.axes import Array
from archloss.search.analysis.basis import Basis

_DETAILS = ((1, 0), (2, 1), (3, 2))
"""Degrees of functions of one axis, and of each in a product of two."""
_DEVIATIONS = (0.75, 1.5, 3.0, 6.0, 12.0, 25.0)
_INTERCEPT_DEVIATION = 10.0
_STEPS = 50
_WALK, _APART, _STRIDE = 250, 30, 2.0
"""Steps of a chain before its first draw and from one to the next; their length, in deviations over
the root of the number of weights."""
_COPIES = 3
"""Draws of each chain."""


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
    best = _choose_mode(basis, points, diverged)
    features, weights, factor, precision = best.features, best.weights, best.factor, best.precision
    chains = -(-draws // _COPIES)

    def step_off(length: float) -> Array:
        noise = random.standard_normal((len(weights), chains))
        return np.asarray(length * solve_triangular(factor, noise, lower=True, trans="T"))

    def weigh(walkers: Array) -> Array:
        logits = features @ walkers
        fit = diverged @ logits - np.logaddexp(0, logits).sum(axis=0)
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
    return Divergence(best.basis, np.concatenate(kept)[:draws])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Mode:
    """Where the posterior of some functions' weights `[P]` is highest, and its shape there.

    The curvature has the lower `factor`, and weights the prior `precision` `[P]`.
    """

    basis: Basis
    features: Array
    weights: Array
    factor: Array
    precision: Array
    evidence: float


def _choose_mode(basis: Basis, points: Array, diverged: Array) -> _Mode:
    """Return the mode with the highest evidence, of finer functions while they raise it."""
    best: _Mode | None = None
    for one, two in _DETAILS:
        coarse = basis.coarsen(alone=one, together=two)
        features = _add_intercept(coarse.evaluate(points))
        found: _Mode | None = None
        for deviation in _DEVIATIONS:
            weights = np.zeros(features.shape[1]) if found is None else found.weights
            sharper = _fit_mode(coarse, features, diverged, deviation, weights)
            if found is not None and sharper.evidence < found.evidence:
                break
            found = sharper
        assert found is not None
        if best is not None and found.evidence < best.evidence:
            break
        best = found
    assert best is not None
    return best


def _fit_mode(
    basis: Basis, features: Array, diverged: Array, deviation: float, start: Array
) -> _Mode:
    """Return the mode for this prior deviation, by Newton's method on a concave function."""
    precision = np.full(features.shape[1], deviation**-2)
    precision[0] = _INTERCEPT_DEVIATION**-2
    weights = start.copy()
    for _ in range(_STEPS):
        chances = expit(features @ weights)
        curvature = features.T @ (features * (chances * (1 - chances))[:, None])
        curvature[np.diag_indices_from(curvature)] += precision
        factor, _ = cho_factor(curvature, lower=True)
        gradient = features.T @ (diverged - chances) - precision * weights
        step = cho_solve((factor, True), gradient)
        weights += step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-8:
            break
    logits = features @ weights
    fit = diverged @ logits - np.logaddexp(0, logits).sum()
    prior = (np.log(precision).sum() - precision @ weights**2) / 2
    return _Mode(
        basis=basis,
        features=features,
        weights=weights,
        factor=factor,
        precision=precision,
        evidence=float(fit + prior - np.log(factor.diagonal()).sum()),
    )


def _add_intercept(features: Array) -> Array:
    return np.concatenate([np.ones((len(features), 1)), features], axis=1)
