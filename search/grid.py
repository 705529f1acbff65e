"""The points of a grid over a space."""

import itertools
import math
from collections.abc import Iterator, Mapping

from archloss.spaces.dimensions import Choice, Dimension, Integer, Value, resolve_conditions

LARGEST_GRID = 100_000


def list_grid(dimensions: Mapping[str, Dimension], points: int) -> list[dict[str, Value]]:
    """Return what to ask for at every point of the grid: all choices, `points` of each range.

    A point whose conditions make it the same design as an earlier one is left out.
    """
    axes = {name: list_values(dimension, points) for name, dimension in dimensions.items()}
    seen = set()
    grid = []
    for values in itertools.product(*axes.values()):
        asked = dict(zip(axes, values, strict=True))
        design = tuple(resolve_conditions(dimensions, asked).values())
        if design not in seen:
            seen.add(design)
            grid.append(asked)
    return grid


def count_grid(dimensions: Mapping[str, Dimension], points: int) -> int:
    """Return the size of the grid, or of all combinations if that is above LARGEST_GRID."""
    combinations = math.prod(
        len(list_values(dimension, points)) for dimension in dimensions.values()
    )
    if combinations > LARGEST_GRID:
        return combinations
    return len(list_grid(dimensions, points))


def list_values(dimension: Dimension, points: int) -> tuple[Value, ...]:
    """Return all choices, or values from one end of a range to the other, evenly spread.

    In the logarithm if the range has one; whole numbers are rounded, and none comes twice.

    >>> list_values(Integer(low=1, high=32, log=True), 6)
    (1, 2, 4, 8, 16, 32)
    >>> list_values(Integer(low=0, high=3), 9)
    (0, 1, 2, 3)
    """
    if isinstance(dimension, Choice):
        return dimension.values
    if isinstance(dimension, Integer):
        shift = 1 if dimension.log and dimension.low == 0 else 0
        low, high = dimension.low + shift, dimension.high + shift
        spread = _spread(low, high, points, log=dimension.log)
        return tuple(sorted({round(value) - shift for value in spread}))
    return tuple(dict.fromkeys(_spread(dimension.low, dimension.high, points, log=dimension.log)))


def _spread(low: float, high: float, points: int, *, log: bool) -> Iterator[float]:
    """Yield `points` values from `low` to `high`, both of them exactly."""
    yield low
    for index in range(1, points - 1):
        share = index / (points - 1)
        yield low * (high / low) ** share if log else low + (high - low) * share
    yield high
