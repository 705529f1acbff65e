"""TPE's density: a mixture of kernels, one around each point and a wide one as a prior.

Each kernel is a product over the parameters of a normal distribution, cut off at the ends of
the range (on the parameter's logarithm if its range is logarithmic, and summed up around each
whole number if it is whole), or of a share for each choice. Bandwidths and weights are those of
Optuna 5's multivariate TPE (Watanabe, arXiv 2304.11127, section 3.3), and so is the order in
which random numbers are drawn: a test compares both with Optuna's own.

Letters of axes: N point or candidate, K kernel, D parameter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy.special import log_ndtr, ndtr, ndtri

Array = npt.NDArray[np.float64]
Space = Sequence[BaseDistribution]

PRIOR_WEIGHT = 1.0
FULL_WEIGHT = 25
"""So many of the latest points count fully, older ones less and less."""
_LOG_SQRT_2_PI = 0.5 * math.log(2 * math.pi)


class Candidates:
    """Points `[N, D]` of internal values, made ready for the densities of a space."""

    def __init__(self, values: Array, space: Space) -> None:
        self.values = values
        columns = []
        self._seen: dict[int, Array] = {}
        self._places: dict[int, npt.NDArray[np.intp]] = {}
        for index, distribution in enumerate(space):
            if isinstance(distribution, FloatDistribution):
                unit = Range.of(distribution).to_unit(values[:, index])
                columns += [unit**2, unit]
            else:
                seen, places = np.unique(values[:, index], return_inverse=True)
                self._seen[index], self._places[index] = seen, places.reshape(-1)
        self._powers = np.stack([*columns, np.ones(len(values))], axis=1)

    def __len__(self) -> int:
        return len(self.values)

    def weigh(self, density: "Density", rows: slice = slice(None)) -> Array:
        """Return the logarithm of the density at each of the rows, `[N]`."""
        powers = self._powers[rows]
        log_kernels = powers @ density.coefficients
        for index, seen in self._seen.items():
            table = density.tabulate(index, seen)
            log_kernels += table[self._places[index][rows]]
        highest = log_kernels.max(axis=1)
        np.subtract(log_kernels, highest[:, None], out=log_kernels)
        np.exp(log_kernels, out=log_kernels)
        summed: Array = np.log(log_kernels.sum(axis=1)) + highest
        return summed


class Density:
    """The mixture around points `[N, D]` of internal values, oldest first; K = N + 1.

    `coefficients` are those of a quadratic form over all parameters that are neither whole nor a
    choice: two rows for each, and one for what does not depend on the candidate.
    """

    def __init__(self, points: Array, space: Space) -> None:
        self._space = space
        weights = np.append(weigh(len(points)), PRIOR_WEIGHT) if len(points) else np.ones(1)
        self._weights = weights / weights.sum()
        self._kernels: list[Kernels | Array] = []
        rows = []
        constant = np.log(self._weights)
        for index, distribution in enumerate(space):
            column = points[:, index]
            if isinstance(distribution, CategoricalDistribution):
                self._kernels.append(_share_out(column, len(distribution.choices)))
                continue
            kernels = Kernels.fit(column, Range.of(distribution))
            self._kernels.append(kernels)
            if isinstance(distribution, FloatDistribution):
                rate = kernels.widths**-2
                rows += [-0.5 * rate, kernels.centres * rate]
                constant = constant - 0.5 * kernels.centres**2 * rate + kernels.log_heights
        self.coefficients = np.stack([*rows, constant])

    def tabulate(self, index: int, values: Array) -> Array:
        """Return the logarithm of each kernel's share at whole numbers or choices, `[N, K]`."""
        kernels = self._kernels[index]
        if isinstance(kernels, Kernels):
            return kernels.weigh_bins(values)
        table: Array = np.log(kernels.T[values.astype(int)])
        return table

    def sample(self, rng: np.random.RandomState, count: int) -> Candidates:
        """Draw so many candidates."""
        drawn = np.empty((count, len(self._space)))
        active = rng.choice(len(self._weights), p=self._weights, size=count)
        for index, kernels in enumerate(self._kernels):
            if not isinstance(kernels, Kernels):
                reached = np.cumsum(kernels[active], axis=1)[:, :-1]
                drawn[:, index] = (reached < rng.rand(count)[:, None]).sum(axis=1)
        numeric = [index for index, one in enumerate(self._kernels) if isinstance(one, Kernels)]
        for index, quantiles in zip(numeric, rng.uniform(size=(len(numeric), count)), strict=True):
            kernels = self._kernels[index]
            assert isinstance(kernels, Kernels)
            drawn[:, index] = kernels.draw(active, quantiles)
        return Candidates(drawn, self._space)


@dataclass(frozen=True)
class Range:
    """Where a parameter lies, its ends half a step out if it is whole; kernels see it as 0 to 1."""

    low: float
    high: float
    is_log: bool
    is_whole: bool

    @classmethod
    def of(cls, distribution: BaseDistribution) -> "Range":
        """Return the range of a parameter that is no choice."""
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        half = 0.5 if isinstance(distribution, IntDistribution) else 0.0
        ends = float(distribution.low - half), float(distribution.high + half)
        return cls(*ends, is_log=distribution.log, is_whole=half > 0)

    def to_unit(self, values: Array) -> Array:
        """Return the values as shares of the range."""
        low, length = self._measure()
        shares: Array = ((np.log(values) if self.is_log else values) - low) / length
        return shares

    def from_unit(self, shares: Array) -> Array:
        """Return the values at these shares of the range."""
        low, length = self._measure()
        values = low + shares * length
        values = np.exp(values) if self.is_log else values
        if self.is_whole:
            return np.clip(np.round(values), self.low + 0.5, self.high - 0.5)
        return np.clip(values, self.low, self.high)

    def _measure(self) -> tuple[float, float]:
        low, high = self.low, self.high
        if self.is_log:
            low, high = math.log(low), math.log(high)
        return low, high - low


@dataclass(frozen=True)
class Kernels:
    """Normal distributions over 0 to 1, `centres` and `widths` `[K]`, the last one the prior."""

    range: Range
    centres: Array
    widths: Array

    @classmethod
    def fit(cls, values: Array, values_range: Range) -> "Kernels":
        """Put a kernel around each value, as wide as the further of its neighbours is away."""
        centres = values_range.to_unit(values)
        order = np.argsort(centres)
        ends = np.concatenate([[0.0], centres[order], [1.0]])
        gaps = np.diff(ends)
        spread = np.maximum(gaps[:-1], gaps[1:])
        if len(centres) >= 2:
            spread[0], spread[-1] = gaps[1], gaps[-2]
        widths = np.empty_like(centres)
        widths[order] = spread
        narrowest = 1.0 / min(100.0, 2.0 + len(centres))
        widths = np.clip(widths, narrowest, 1.0)
        return cls(values_range, np.append(centres, 0.5), np.append(widths, 1.0))

    @property
    def log_heights(self) -> Array:
        """Return the logarithm of each kernel at its centre."""
        heights: Array = -np.log(self.widths) - _LOG_SQRT_2_PI - self._weigh_inside()
        return heights

    def weigh_bins(self, values: Array) -> Array:
        """Return the logarithm of each kernel's share around whole numbers, `[N, K]`."""
        left, right = (
            (self.range.to_unit(values + half)[:, None] - self.centres) / self.widths
            for half in (-0.5, 0.5)
        )
        return _log_mass(left, right) - self._weigh_inside()

    def draw(self, active: npt.NDArray[np.intp], quantiles: Array) -> Array:
        """Return a value from each of the `active` kernels."""
        centres, widths = self.centres[active], self.widths[active]
        below, above = ndtr(-centres / widths), ndtr((1.0 - centres) / widths)
        return self.range.from_unit(centres + widths * ndtri(below + quantiles * (above - below)))

    def _weigh_inside(self) -> Array:
        """Return the logarithm of each kernel's share inside the range."""
        inside: Array = np.log(
            ndtr((1.0 - self.centres) / self.widths) - ndtr(-self.centres / self.widths)
        )
        return inside


def _log_mass(left: Array, right: Array) -> Array:
    """Return the logarithm of a standard normal's share between two points, even far out."""
    is_right = left > 0
    left, right = np.where(is_right, -right, left), np.where(is_right, -left, right)
    log_right = log_ndtr(right)
    mass: Array = log_right + np.log1p(-np.exp(log_ndtr(left) - log_right))
    return mass


def _share_out(column: Array, choices: int) -> Array:
    """Return each kernel's shares of the choices, `[K, choices]`: mostly its own point's."""
    shares = np.full((len(column) + 1, choices), PRIOR_WEIGHT / (len(column) + 1))
    shares[np.arange(len(column)), column.astype(int)] += 1
    normalised: Array = shares / shares.sum(axis=1, keepdims=True)
    return normalised


def weigh(count: int) -> Array:
    """Return the weights of `count` points, oldest first, down to 1 / count (Optuna's default)."""
    recent = min(count, FULL_WEIGHT)
    return np.concatenate([np.linspace(1 / max(count, 1), 1, count - recent), np.ones(recent)])
