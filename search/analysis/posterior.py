"""The error surface that trials leave plausible: draws from a Bayesian linear model by Gibbs.

`target = intercept + features @ weights + noise`. The weights of a term have a common standard
deviation with a half-Cauchy prior, so that a term without evidence shrinks towards nothing and one
with evidence is left alone (Gelman 2006, Bayesian Analysis 1(3)). Terms of two axes share the scale
of that prior, as those of three do, and of four, and it is drawn too: where most of them are
nothing all are expected to be, and the few that are not stand out (the horseshoe; Carvalho, Polson
and Scott 2010, Biometrika 97(2)). Weights shrink the more, the wigglier their function: as a power
of its degree, which is what functions with so many derivatives have (Trefethen 2013, Approximation
Theory and Approximation Practice, chapter 7). How many is drawn for each axis. The noise has a
variance in each stratum of the trials.

A sweep draws an axis's smoothness with the weights integrated out, by a Metropolis step, then the
weights at once, then each term's deviation twice: given the weights, and given the weights relative
to it, so that the chain does not get stuck near 0 (Yu and Meng 2011, JCGS 20(3), "interweaving").
Drawn given the weights the smoothness would stay where it began.

N trial, P function, G term, D axis, S stratum, T draw, C covariate.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from archloss.search.analysis.axes import Array
from archloss.search.analysis.basis import Basis

_SMOOTHNESS = np.array([12.0, 8.0, 5.5, 4.0, 2.5, 1.2])
"""By which powers of the degree beyond a parabola the variances of weights may fall."""
_START = 2
_SCALES = {1: 1.0, 2: 0.1, 3: 0.05, 4: 0.05}
"""Half-Cauchy scale of a term's deviation, by its number of axes, where the target has 1: of terms
of one axis, and of the scale that those of several share."""
_SMALLEST = 1e-6
_VAGUE = 1e-4
_NOISE_PRIOR = 4.0
"""The strata's noise is pulled together as if by so many trials each."""
_LEAST_NOISE = 1e-3
"""No less is drawn, where the target has 1: of trials that all reached the same it would vanish."""
COPIES = 3
"""Draws of the weights from each sweep: what they are drawn from takes longest to make."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """What a surface is fitted to: `features` `[N, P]`, `target` `[N]`, `strata` `[N]` from 0.

    `covariates` `[N, C]`, in the target's units, are what else is known of each trial: the target
    is a surface and a multiple of each, by slopes with a standard normal prior.
    """

    features: Array
    target: Array
    strata: npt.NDArray[np.int64]
    covariates: Array | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """Where a chain is: terms' `deviations` and their `scales` `[G]`, and one noise for all strata.

    `smoothness` `[D]` has each axis's, by its place in _SMOOTHNESS. The target is standardised.
    """

    deviations: Array
    scales: Array
    smoothness: npt.NDArray[np.int64]
    noise: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Conditional:
    """The weights' normal distribution, given all else: `spreads` times a standardised one.

    Its precision has the lower `factor`, and `half` is what the mean becomes by it. `evidence` is
    the log density of the target, the weights integrated out, but for a constant, and `shrinkage`
    `[P]` what smoothness does to their variances.
    """

    evidence: float
    factor: Array
    half: Array
    spreads: Array
    shrinkage: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """Draws of a surface: `intercepts` `[T]`, `weights` `[T, P]`, `noise` deviations `[T, S]`.

    `slopes` `[T, C]` are of the covariates, where there are some. `state` is where the chain ended;
    one of the same terms may go on from it.
    """

    basis: Basis
    intercepts: Array
    slopes: Array
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
    likely: Collection[int] = (),
) -> Posterior:
    """Return draws of the surface, COPIES from each sweep after the first `burn_in`.

    The chain goes on from `state`, if there is one. `likely` terms, by index, are expected to be as
    large as those of one axis are, whatever theirs.
    """
    chain = _Chain(data, basis, random, state, likely)
    for _ in range(burn_in):
        chain.sweep()
    kept = [chain.sweep() for _ in range(-(-draws // COPIES))]
    weights = np.concatenate([weights for weights, _ in kept])[:draws]
    noise = np.repeat(np.stack([noise for _, noise in kept]), COPIES, axis=0)[:draws]
    return Posterior(
        basis=basis,
        intercepts=weights[:, 0] * chain.unit + chain.centre,
        slopes=weights[:, 1 : chain.head],
        weights=weights[:, chain.head :] * chain.unit,
        noise=noise * chain.unit,
        state=chain.state,
    )


class _Chain:
    """One Markov chain; the target is standardised, and covariates are divided by its deviation.

    The first `head` (H) functions are the intercept and the covariates. Each is a term of its own,
    whose deviation is `given`, as a precision.
    """

    def __init__(
        self,
        data: Data,
        basis: Basis,
        random: np.random.Generator,
        state: State | None,
        likely: Collection[int] = (),
    ) -> None:
        self.centre = float(data.target.mean())
        self.unit = float(data.target.std()) or 1.0
        self._random = random
        self._groups = basis.groups
        self._logs = np.log1p(basis.powers)
        self._bending = np.flatnonzero(basis.powers.any(axis=0))
        self._sizes = np.bincount(basis.groups)
        covariates = 0 if data.covariates is None else data.covariates.shape[1]
        self._given = np.concatenate([[_VAGUE], np.ones(covariates)])
        self.head = head = len(self._given)
        terms = np.concatenate([np.arange(head), head + basis.groups])
        self._members = np.eye(head + len(self._sizes))[terms]  # [H + P, H + G]
        self._orders = np.array(
            [1 if group in likely else len(term.axes) for group, term in enumerate(basis.terms)]
        )
        self._set_moments(data)
        scales = np.array([_SCALES[order] for order in self._orders.tolist()])
        start = state or State(
            deviations=0.5 * scales,
            scales=scales,
            smoothness=np.full(len(basis.axes), _START),
            noise=0.3,
        )
        self._deviations, self._scales = start.deviations, start.scales.copy()
        self._smoothness = start.smoothness
        self._noise = np.full(len(self._counts), start.noise)
        self._pooled_noise = start.noise

    @property
    def state(self) -> State:
        """Where the chain is."""
        return State(
            deviations=self._deviations,
            scales=self._scales,
            smoothness=self._smoothness,
            noise=float(self._pooled_noise),
        )

    def _set_moments(self, data: Data) -> None:
        target = (data.target - self.centre) / self.unit
        columns = [np.ones((len(target), 1)), data.features]
        if data.covariates is not None:
            columns.insert(1, data.covariates / self.unit)
        features = np.concatenate(columns, axis=1)
        strata = range(int(data.strata.max()) + 1)
        products, sides, squares = [], [], []
        for stratum in strata:
            here = data.strata == stratum
            products.append(features[here].T @ features[here])
            sides.append(features[here].T @ target[here])
            squares.append(target[here] @ target[here])
        self._target, self._features, self._strata = target, features, data.strata
        self._counts = np.bincount(data.strata, minlength=len(strata))
        self._products = np.stack(products)  # [S, H + P, H + P]
        self._rows = self._products.reshape(-1, features.shape[1])  # [S (H + P), H + P]
        self._sides = np.stack(sides)
        self._squares = np.array(squares)

    def sweep(self) -> tuple[Array, Array]:
        """Draw everything once; return COPIES of weights `[..., H + P]`, for noise `[S]`."""
        noise = self._noise
        precision = 1 / self._noise**2
        product = (precision @ self._products.reshape(len(precision), -1)).reshape(
            self._products.shape[1:]
        )
        side = precision @ self._sides
        conditional = self._draw_smoothness(product, side)
        copies = self._draw_weights(conditional)
        self._draw_deviations(copies[0], conditional.shrinkage)
        weights = self._rescale(copies[0], product, side)
        self._draw_scales()
        self._draw_noise(weights)
        return copies, noise

    def _draw_smoothness(self, product: Array, side: Array) -> _Conditional:
        """Draw the smoothness of one axis; return what the weights are drawn from."""
        here = self._condition(product, side, self._smoothness)
        if not len(self._bending):
            return here
        moved = self._smoothness.copy()
        moved[self._random.choice(self._bending)] += self._random.choice((-1, 1))
        if moved.min() < 0 or moved.max() >= len(_SMOOTHNESS):
            return here
        there = self._condition(product, side, moved)
        if np.log(self._random.uniform()) >= there.evidence - here.evidence:
            return here
        self._smoothness = moved
        return there

    def _condition(
        self, product: Array, side: Array, smoothness: npt.NDArray[np.int64]
    ) -> _Conditional:
        shrinkage = np.exp(-self._logs @ _SMOOTHNESS[smoothness])
        deviations = self._deviations[self._groups]
        spreads = np.concatenate([self._given**-0.5, deviations * np.sqrt(shrinkage)])
        precision = product * spreads
        precision *= spreads[:, None]
        precision.flat[:: len(precision) + 1] += 1.0  # its diagonal
        factor, half = _factorise(precision, side * spreads)
        return _Conditional(
            evidence=float(half @ half / 2 - np.log(factor.diagonal()).sum()),
            factor=factor,
            half=half,
            spreads=spreads,
            shrinkage=shrinkage,
        )

    def _draw_weights(self, given: _Conditional) -> Array:
        return given.spreads * self._draw_normal(given.factor, given.half, copies=COPIES)

    def _draw_normal(self, factor: Array, half: Array, *, copies: int) -> Array:
        """Return `copies` of a draw from the normal distribution of this factorised precision."""
        halves = half[:, None] + self._random.standard_normal((len(half), copies))
        draws, _ = lapack.dtrtrs(factor, halves, lower=1, trans=1)
        return np.asarray(draws.T)

    def _draw_deviations(self, weights: Array, shrinkage: Array) -> None:
        """Draw the terms' deviations given the weights (half-Cauchy by two inverse gammas)."""
        squares = np.bincount(self._groups, weights[self.head :] ** 2 / shrinkage)
        rate = 1 / self._deviations**2 + 1 / self._scales**2
        mixing = rate / self._random.standard_gamma(1.0, len(rate))
        shape = (self._sizes + 1) / 2
        variances = (squares / 2 + 1 / mixing) / self._random.standard_gamma(shape)
        self._deviations = np.maximum(np.sqrt(variances), _SMALLEST)

    def _rescale(self, weights: Array, product: Array, side: Array) -> Array:
        """Draw the head and deviations given the weights relative to them: a regression."""
        deviations, head = self._deviations, self.head
        relative = weights[head:] / deviations[self._groups]
        loadings = self._members * np.concatenate([np.ones(head), relative])[:, None]
        matrix = loadings.T @ (product @ loadings)
        spread = (deviations**2 + self._scales**2) / 2
        variance = spread / self._random.standard_gamma(1.0, len(spread))
        matrix.flat[:: len(matrix) + 1] += np.concatenate([self._given, 1 / variance])
        signed = self._draw_normal(*_factorise(matrix, loadings.T @ side), copies=1)[0]
        self._deviations = np.maximum(np.abs(signed[head:]), _SMALLEST)
        return np.concatenate([signed[:head], signed[head:][self._groups] * relative])

    def _draw_scales(self) -> None:
        """Draw the scale that deviations of terms of as many axes share (as _draw_deviations)."""
        for order in range(2, int(self._orders.max()) + 1):
            here = self._orders == order
            scale = self._scales[here][0]
            rate = 1 / self._deviations[here] ** 2 + 1 / scale**2
            mixing = self._random.standard_gamma(1.0, len(rate)) / rate
            outer = self._random.standard_gamma(1.0) / (1 / scale**2 + 1 / _SCALES[order] ** 2)
            below = self._random.standard_gamma((len(rate) + 1) / 2)
            self._scales[here] = np.sqrt((mixing.sum() + outer) / below)

    def _draw_noise(self, weights: Array) -> None:
        """Draw each stratum's noise, and the one that they are pulled to."""
        residuals = self._sum_residuals(weights)
        shape = (self._counts + _NOISE_PRIOR) / 2
        rate = (residuals + _NOISE_PRIOR * self._pooled_noise**2) / 2
        noise = np.sqrt(rate / self._random.standard_gamma(shape))
        self._noise = np.maximum(noise, _LEAST_NOISE)
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


def _factorise(precision: Array, side: Array) -> tuple[Array, Array]:
    """Return the lower Cholesky factor `L` of a precision, in its place, and `L^-1 side`.

    By LAPACK itself: scipy's own functions take longer to get there than it does. What is above
    the diagonal means nothing.
    """
    # The transpose is the same matrix, in the order of LAPACK: it need not be copied to that.
    factor, failed = lapack.dpotrf(precision.T, lower=1, clean=0, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(f"a precision is not positive definite ({failed})")
    half, _ = lapack.dtrtrs(factor, side, lower=1)
    return factor, half
