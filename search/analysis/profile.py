"""The lowest expected error at each context and choice, the other axes being tuned for both.

A profile (Ginsbourger et al. 2013, hal-00920154) takes, at each pair of context and choice, the
best setting of the others. It is looked for once, on the surface's posterior mean: a draw's own
minimum would follow the draw's noise, and lie below the truth wherever little is known. By the
envelope theorem what a slightly wrong setting costs is of second order.

U context, M choice, B level of `by`, T draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archloss.search.analysis.axes import Array, Axis, count_levels
from archloss.search.analysis.basis import Roles
from archloss.search.analysis.surface import Surface

_PASSES = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """Draws of the profile `[T, B, U, M]`, at places `contexts` `[U]` and `choices` `[M]`.

    `points` `[B, U, M, D]` are where the others were tuned to. Without `by`, B is 1.
    """

    contexts: Array
    choices: Array
    points: Array
    draws: Array


def draw_profile(
    surface: Surface,
    axes: Sequence[Axis],
    roles: Roles,
    *,
    contexts: Array,
    choices: Array,
    places: Sequence[Array],
    starts: Array,
) -> Profile:
    """Return the profile; the others are tuned over their `places`, from `starts` `[R, D]`."""
    levels = 1 if roles.by is None else count_levels(axes[roles.by])
    grid = np.stack(
        np.meshgrid(np.arange(levels, dtype=float), contexts, choices, indexing="ij"), axis=-1
    )
    best = np.full(grid.shape[:3], np.inf).ravel()
    tuned = np.zeros((best.size, len(axes)))
    for start in starts:
        points = np.repeat(start[None, :], best.size, axis=0)
        points[:, roles.context] = grid[..., 1].ravel()
        points[:, roles.choice] = grid[..., 2].ravel()
        if roles.by is not None:
            points[:, roles.by] = grid[..., 0].ravel()
        values = _tune(surface, axes, points, roles, places)
        better = values < best
        best[better], tuned[better] = values[better], points[better]
    return Profile(
        contexts=contexts,
        choices=choices,
        points=tuned.reshape(*grid.shape[:3], len(axes)),
        draws=surface.draw(tuned).reshape(-1, *grid.shape[:3]),
    )


def _tune(
    surface: Surface,
    axes: Sequence[Axis],
    points: Array,
    roles: Roles,
    places: Sequence[Array],
) -> Array:
    """Move the other axes of points `[N, D]`, one after another, to where the mean is lowest."""
    others = roles.list_others(len(axes))
    values = surface.predict(points)
    for _ in range(_PASSES):
        before = values.copy()
        for axis in others:
            steps = places[axis]
            found = surface.vary(points, axis, steps)
            at = found.argmin(axis=1)
            points[:, axis] = steps[at]
            values = found[np.arange(len(points)), at]
        if np.allclose(values, before, atol=1e-9):
            break
    return values
