"""How a metric moves over the epochs of many trials.

N trial, E epoch.
"""

from dataclasses import dataclass

import numpy as np

from archloss.search.analysis.axes import Array
from archloss.spaces.dimensions import Value

_OUTSIDE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """The median `[E]` over `trials`, and the band `[E]` of all but the tenth at either end."""

    level: Value | None
    trials: int
    median: Array
    low: Array
    high: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class LearningCurves:
    """A band for each level of `by`, and the curve `[E]` of the best trial, from epoch 1 on.

    `best` is empty where that curve is not known.
    """

    metric: str
    bands: tuple[Band, ...]
    best_number: int
    best: Array


def make_band(level: Value | None, curves: Array) -> Band:
    """Return the band of curves `[N, E]`."""
    low, median, high = np.quantile(curves, [_OUTSIDE, 0.5, 1 - _OUTSIDE], axis=0)
    return Band(level=level, trials=len(curves), median=median, low=low, high=high)


def choose_evenly(count: int, most: int) -> list[int]:
    """Return the indices of at most so many of `count` things, spread evenly over them.

    >>> choose_evenly(3, 5), choose_evenly(10, 4)
    ([0, 1, 2], [0, 3, 6, 9])
    """
    if count <= most:
        return list(range(count))
    return [int(place) for place in np.linspace(0, count - 1, most).round()]
