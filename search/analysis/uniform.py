"""What "uniform over the search" means on an axis: where designs lie, and how likely each place is.

Whole numbers are as likely as the part of the range that rounds to them, half a number beyond its
ends included, as Optuna draws them; the values of a grid and the levels of a choice are equally
likely.

J place.
"""

from dataclasses import dataclass

import numpy as np

from archloss.search.analysis.axes import Array, Axis, Category

_MOST_WHOLE = 1000
"""With more whole numbers than that a range is as good as one of all numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """The places `[J]` of an axis that has a few, in their order, and the chance `[J]` of each."""

    places: Array
    chances: Array


def list_cells(axis: Axis) -> Cells | None:
    """Return the places of an axis that has a few; None for a range, uniform from 0 to 1."""
    if isinstance(axis, Category):
        return _make_even(np.arange(len(axis.levels), dtype=float))
    if axis.steps:
        return _make_even(np.linspace(0, 1, len(axis.steps)))
    if not axis.whole or axis.high - axis.low >= _MOST_WHOLE:
        return None
    values = np.arange(axis.low, axis.high + 1)
    edges = np.append(values, axis.high + 1) - 0.5
    widths = np.diff(np.log(edges + (axis.low == 0)) if axis.log else edges)
    return Cells(places=axis.encode(values), chances=widths / widths.sum())


def spread(axis: Axis, uniform: Array) -> Array:
    """Return the places `[N]` that numbers from 0 to 1 stand for: uniform ones, uniform places."""
    cells = list_cells(axis)
    if cells is None:
        return uniform
    at = np.searchsorted(np.cumsum(cells.chances)[:-1], uniform, side="right")
    return np.asarray(cells.places[at])


def _make_even(places: Array) -> Cells:
    return Cells(places=places, chances=np.full(len(places), 1 / len(places)))
