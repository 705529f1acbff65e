"""The axes of a search, as the analysis sees them: from 0 to 1, or one of a few levels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Numeric:
    """A range of numbers; `log` makes equal ratios equally far, from `low + 1` where `low` is 0.

    `steps` are the increasing values of a grid: each is as far from the next, whatever they are, as
    who makes a grid puts more values where more happens.
    """

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    steps: tuple[float, ...] = ()

    def encode(self, values: Array) -> Array:
        """Return where values `[N]` lie, 0 at `low` and 1 at `high`."""
        if self.steps:
            return np.interp(values, self.steps, np.linspace(0, 1, len(self.steps)))
        low, high = self._stretch(np.array([self.low, self.high]))
        return np.asarray((self._stretch(values) - low) / (high - low))

    def decode(self, places: Array) -> Array:
        """Return the values at places `[N]`; encode's inverse, to the next whole number."""
        if self.steps:
            values = np.interp(places, np.linspace(0, 1, len(self.steps)), self.steps)
            return np.asarray(np.round(values) if self.whole else values)
        low, high = self._stretch(np.array([self.low, self.high]))
        values = low + places * (high - low)
        if self.log:
            values = np.exp(values) - self._shift
        return np.asarray(np.round(values) if self.whole else values)

    @property
    def _shift(self) -> float:
        return 1.0 if self.low == 0 else 0.0

    def _stretch(self, values: Array) -> Array:
        return np.log(values + self._shift) if self.log else values


@dataclass(frozen=True, kw_only=True)
class Category:
    """A few levels without an order; a trial's place is the index of its level."""

    name: str
    levels: tuple[bool | int | float | str, ...]

    def encode(self, values: Sequence[object]) -> Array:
        """Return the index of each value's level `[N]`."""
        index = {level: float(place) for place, level in enumerate(self.levels)}
        return np.array([index[value] for value in values])  # type: ignore[index]


Axis = Numeric | Category


def count_levels(axis: Axis) -> int:
    """Return how many levels a category has."""
    assert isinstance(axis, Category)
    return len(axis.levels)
