"""The error surface that trials leave plausible: draws from a Bayesian linear model by Gibbs.

`target = intercept + features @ weights + noise`. The weights of a term have a common standard
deviation with a half-Cauchy prior, so that a term without evidence shrinks towards nothing and one
with evidence is left alone (Gelman 2006, Bayesian Analysis 1(3)); they shrink faster the wigglier
their function, by a smoothness per axis that is drawn as well. The noise has a variance in each
stratum of the trials. A sweep draws the weights at once, then each term's deviation twice: given
the weights, and given the weights relative to it, so that the chain does not get stuck near 0 (Yu
and Meng 2011, JCGS 20(3), "interweaving").

N trial, P function, G term, D axis, S stratum, T draw.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from archloss.search.analysis.axes import Array
from archloss.search.analysis.basis import Basis

_DECAYS = np.array([0.02, 0.08, 0.25, 0.5, 0.8])
_DEVIATIONS = {1: 1.0, 2: 0.1, 3: 0.05, 4: 0.05}
"""Half-Cauchy scale of a term's deviation, by its number of axes, where the target has 1."""
_SMALLEST = 1e-6
_VAGUE = 1e-4
_NOISE_PRIOR = 4.0
"""The strata's noise is pulled together as if by so many trials each."""
COPIES = 3
"""Draws of the weights from each sweep: what they are drawn from takes longest to make."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """What a surface is fitted to: `features` `[N, P]`, `target` `[N]`, `strata` `[N]` from 0."""

    features: Array
    target: Array
    strata: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """Where a chain is: terms' `deviations` `[G]`, axes' `decays` `[D]`, one noise for all strata.

    The target is standardised.
    """

    deviations: Array
    decays: npt.NDArray[np.int64]
    noise: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """Draws of a surface: `intercepts` `[T]`, `weights` `[T, P]`, `noise` deviations `[T, S]`.

    `state` is where the chain ended; one of the same terms may go on from it.
    """

    basis: Basis
    intercepts: Array
    weights: Array
    noise: Array
    state: State

    def draw(self, points: Array) -> Array:
        """Return the surface's draws `[T, N]` at points `[N, D]`."""
        return self.intercepts[:, None] + self.weights @ self.basis.evaluate(points).T

    def vary(
        self,
        points: Array,
        axis: int,
        steps: Array,
        which: npt.NDArray[np.int64] | None = None,
    ) -> Array:
        """Return the surface `[N, S]` where an axis of points `[N, D]` is at `steps`.

        These are `[S]` or `[N, S]`. The surface is the mean, or a draw for each row: `which`.
        """
        if which is None:
            mean = self.basis.vary(points, axis, steps, self.weights.mean(axis=0))
            return np.asarray(self.intercepts.mean() + mean)
        drawn = self.basis.vary(points, axis, steps, self.weights[which])
        return np.asarray(self.intercepts[which][:, None] + drawn)

    def predict(self, points: Array) -> Array:
        """Return the surface's posterior mean `[N]` at points `[N, D]`."""
        mean = self.basis.evaluate(points) @ self.weights.mean(axis=0)
        return np.asarray(mean + self.intercepts.mean())


def draw_posterior(
    data: Data,
    basis: Basis,
    *,
    random: np.random.Generator,
    draws: int,
    burn_in: int,
    state: State | None = None,
) -> Posterior:
    """Return draws of the surface, COPIES from each sweep after the first `burn_in`.

    The chain goes on from `state`, if there is one.
    """
    chain = _Chain(data, basis, random, state)
    for _ in range(burn_in):
        chain.sweep()
    kept = [chain.sweep() for _ in range(-(-draws // COPIES))]
    weights = np.concatenate([weights for weights, _ in kept])[:draws] * chain.unit
    noise = np.repeat(np.stack([noise for _, noise in kept]), COPIES, axis=0)[:draws]
    return Posterior(
        basis=basis,
        intercepts=weights[:, 0] + chain.centre,
        weights=weights[:, 1:],
        noise=noise * chain.unit,
        state=chain.state,
    )


class _Chain:
    """One Markov chain; the target is standardised, and function 0 is the intercept."""

    def __init__(
        self, data: Data, basis: Basis, random: np.random.Generator, state: State | None
    ) -> None:
        self.centre = float(data.target.mean())
        self.unit = float(data.target.std()) or 1.0
        self._random = random
        self._groups = basis.groups
        self._powers = basis.powers
        self._whole_powers = basis.powers.astype(np.int64)
        self._sizes = np.bincount(basis.groups)
        self._starts = np.concatenate([[0], 1 + np.cumsum(self._sizes) - self._sizes])
        self._scales = np.array([_DEVIATIONS[len(term.axes)] for term in basis.terms])
        self._set_moments(data)
        start = state or State(
            deviations=0.5 * self._scales, decays=np.full(len(basis.axes), 2), noise=0.3
        )
        self._deviations = start.deviations
        self._decays = start.decays.copy()
        self._noise = np.full(len(self._counts), start.noise)
        self._pooled_noise = start.noise

    @property
    def state(self) -> State:
        """Where the chain is."""
        return State(
            deviations=self._deviations, decays=self._decays, noise=float(self._pooled_noise)
        )

    def _set_moments(self, data: Data) -> None:
        target = (data.target - self.centre) / self.unit
        features = np.concatenate([np.ones((len(target), 1)), data.features], axis=1)
        strata = range(int(data.strata.max()) + 1)
        products, sides, squares = [], [], []
        for stratum in strata:
            here = data.strata == stratum
            products.append(features[here].T @ features[here])
            sides.append(features[here].T @ target[here])
            squares.append(target[here] @ target[here])
        self._target, self._features, self._strata = target, features, data.strata
        self._counts = np.bincount(data.strata, minlength=len(strata))
        self._products = np.stack(products)  # [S, P + 1, P + 1]
        self._rows = self._products.reshape(-1, features.shape[1])  # [S (P + 1), P + 1]
        self._sides = np.stack(sides)
        self._squares = np.array(squares)

    def sweep(self) -> tuple[Array, Array]:
        """Draw everything once; return COPIES of weights `[C, P + 1]`, for noise `[S]`."""
        noise = self._noise
        precision = 1 / self._noise**2
        product = (precision @ self._products.reshape(len(precision), -1)).reshape(
            self._products.shape[1:]
        )
        side = precision @ self._sides
        shrinkage = np.exp(self._powers @ np.log(_DECAYS[self._decays]))
        copies = self._draw_weights(product, side, shrinkage)
        self._draw_deviations(copies[0], shrinkage)
        weights = self._rescale(copies[0], product, side)
        self._draw_decays(weights)
        self._draw_noise(weights)
        return copies, noise

    def _draw_weights(self, product: Array, side: Array, shrinkage: Array) -> Array:
        variance = self._deviations[self._groups] ** 2 * shrinkage
        root = np.sqrt(np.concatenate([[1 / _VAGUE], np.maximum(variance, _SMALLEST**2)]))
        matrix = product * np.outer(root, root)
        matrix[np.diag_indices_from(matrix)] += 1.0
        return np.asarray(root * self._draw_normal(matrix, side * root, copies=COPIES))

    def _draw_normal(self, precision: Array, side: Array, *, copies: int) -> Array:
        """Return draws `[C, ...]` from the normal distribution of precision `Q`, mean `Q^-1 side`.

        By LAPACK itself: scipy's own functions take longer to get there than it does.
        """
        # The transpose is the same matrix, in the order of LAPACK: it need not be copied to that.
        factor, failed = lapack.dpotrf(precision.T, lower=1)
        if failed:
            raise np.linalg.LinAlgError(f"a precision is not positive definite ({failed})")
        half, _ = lapack.dtrtrs(factor, side, lower=1)
        halves = half[:, None] + self._random.standard_normal((len(half), copies))
        draws, _ = lapack.dtrtrs(factor, halves, lower=1, trans=1)
        return np.asarray(draws.T)

    def _draw_deviations(self, weights: Array, shrinkage: Array) -> None:
        """Draw the terms' deviations given the weights (half-Cauchy by two inverse gammas)."""
        squares = np.bincount(self._groups, weights[1:] ** 2 / shrinkage)
        rate = 1 / self._deviations**2 + 1 / self._scales**2
        mixing = rate / self._random.standard_gamma(1.0, len(rate))
        shape = (self._sizes + 1) / 2
        self._deviations = np.sqrt((squares / 2 + 1 / mixing) / self._random.standard_gamma(shape))

    def _rescale(self, weights: Array, product: Array, side: Array) -> Array:
        """Draw intercept and deviations given the weights relative to them: a regression."""
        deviations = np.maximum(self._deviations, _SMALLEST)
        relative = weights[1:] / deviations[self._groups]
        loading = np.concatenate([[1.0], relative])
        matrix = np.add.reduceat(product * loading, self._starts, axis=1) * loading[:, None]
        matrix = np.add.reduceat(matrix, self._starts, axis=0)
        spread = (deviations**2 + self._scales**2) / 2
        variance = spread / self._random.standard_gamma(1.0, len(spread))
        matrix[np.diag_indices_from(matrix)] += np.concatenate([[_VAGUE], 1 / variance])
        sides = np.add.reduceat(loading * side, self._starts)
        signed = self._draw_normal(matrix, sides, copies=1)[0]
        self._deviations = np.maximum(np.abs(signed[1:]), _SMALLEST)
        return np.concatenate([signed[:1], signed[1:][self._groups] * relative])

    def _draw_decays(self, weights: Array) -> None:
        """Draw each axis's smoothness, of a few, given the weights.

        Functions of the same power along the axis are summed before the few are compared.
        """
        squares = (weights[1:] / self._deviations[self._groups]) ** 2
        logs = np.log(_DECAYS)
        for axis in range(len(self._decays)):
            powers = self._powers[:, axis]
            if not powers.any():
                continue
            others = self._powers @ logs[self._decays] - powers * logs[self._decays[axis]]
            sums = np.bincount(self._whole_powers[:, axis], squares * np.exp(-others))
            shrinkage = np.arange(len(sums))[:, None] * logs
            chances = -0.5 * (powers.sum() * logs + sums @ np.exp(-shrinkage))
            shares = np.exp(chances - chances.max()).cumsum()
            self._decays[axis] = np.searchsorted(shares, self._random.uniform() * shares[-1])

    def _draw_noise(self, weights: Array) -> None:
        """Draw each stratum's noise, and the one that they are pulled to."""
        residuals = self._sum_residuals(weights)
        shape = (self._counts + _NOISE_PRIOR) / 2
        rate = (residuals + _NOISE_PRIOR * self._pooled_noise**2) / 2
        self._noise = np.sqrt(rate / self._random.standard_gamma(shape))
        shape_pooled = (len(self._noise) * _NOISE_PRIOR + 1) / 2
        rate_pooled = (_NOISE_PRIOR * (1 / self._noise**2).sum() + 1) / 2
        self._pooled_noise = np.sqrt(self._random.standard_gamma(shape_pooled) / rate_pooled)

    def _sum_residuals(self, weights: Array) -> Array:
        """Return each stratum's sum of squares; from the trials where that takes less than sums."""
        if len(self._target) <= len(self._rows):
            rest = self._target - self._features @ weights
            return np.asarray(np.bincount(self._strata, rest**2), dtype=np.float64)
        products = (self._rows @ weights).reshape(self._sides.shape)
        sums = self._squares - 2 * self._sides @ weights + products @ weights
        return np.maximum(sums, 0.0)
