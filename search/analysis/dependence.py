"""How the expected objective moves along one axis, averaged over all others.

Partial dependence (Friedman 2001, Annals of Statistics 29(5)): the mean over the others, which are
uniform over what was searched: over all of a grid, or else over a Sobol sequence, the same at every
place of the axis and in every draw, so that it cancels in differences.

N sample, J place, D axis, T draw.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archloss.search.analysis.axes import Array, Axis, Category, Numeric
from archloss.search.analysis.surface import Surface
from archloss.search.analysis.threads import on_one_thread
from archloss.search.analysis.uniform import list_cells, spread
from archloss.search.analysis.verdict import LEVEL
from archloss.search.sobol import draw_sobol
from archloss.spaces.dimensions import Value

_SAMPLES = 1024
_MOST_PLACES = 25


@dataclass(frozen=True, kw_only=True, eq=False)
class Dependence:
    """The mean objective `[J]` along an axis, from `low` to `high`; `values` `[J]` are on it."""

    axis: Axis
    values: tuple[Value, ...]
    mean: Array
    low: Array
    high: Array


@on_one_thread
def find_dependence(surface: Surface) -> tuple[Dependence, ...]:
    """Return the partial dependence on each axis, in their order."""
    axes = surface.posterior.basis.axes
    return tuple(_follow(surface, index, _sample(axes, index)) for index in range(len(axes)))


def _follow(surface: Surface, index: int, others: Array) -> Dependence:
    axis = surface.posterior.basis.axes[index]
    places = _list_places(axis)
    points = np.repeat(others[None], len(places), axis=0)
    points[:, :, index] = places[:, None]
    # One place at a time: all draws at all samples of all places would not fit a small machine.
    draws = np.stack([surface.draw(at).mean(axis=1) for at in points], axis=1)
    tail = (1 - LEVEL) / 2
    mean = draws.mean(axis=0)
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return Dependence(
        axis=axis,
        values=_read(axis, places),
        mean=mean,
        low=np.minimum(low, mean),
        high=np.maximum(high, mean),
    )


def _sample(axes: Sequence[Axis], without: int) -> Array:
    """Return points `[N, D]` that are uniform over the search, but for one axis, where they are 0.

    These are all there are, where that is a grid of equally likely places and not too many.
    """
    others = [index for index in range(len(axes)) if index != without]
    cells = [list_cells(axes[index]) for index in others]
    grid = [one.places for one in cells if one is not None and np.ptp(one.chances) < 1e-12]
    if len(grid) == len(others) and math.prod(len(places) for places in grid) <= _SAMPLES:
        columns = [mesh.ravel() for mesh in np.meshgrid(*grid, indexing="ij")]
    else:
        uniform = draw_sobol(len(others), _SAMPLES, seed=0)
        columns = [
            spread(axes[index], column) for index, column in zip(others, uniform.T, strict=True)
        ]
    points = np.zeros((len(columns[0]), len(axes)))
    points[:, others] = np.stack(columns, axis=1)
    return points


def _list_places(axis: Axis) -> Array:
    if isinstance(axis, Category):
        return np.arange(len(axis.levels), dtype=float)
    if axis.steps:
        return np.linspace(0, 1, len(axis.steps))
    places = np.linspace(0, 1, _MOST_PLACES)
    return axis.encode(np.unique(axis.decode(places))) if axis.whole else places


def _read(axis: Axis, places: Array) -> tuple[Value, ...]:
    if isinstance(axis, Numeric):
        return tuple(float(value) for value in axis.decode(places))
    return axis.levels
