"""The trials that an analysis reads, from whatever made them.

N trial, D axis, R rung.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array, Axis, Category
from archloss.search.analysis.basis import Roles


class Kind(Enum):
    """What a trial says: a final value, that the design diverges, or how it began."""

    COMPLETED = 0
    DIVERGED = 1
    PRUNED = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Trials:
    """Finished trials over some axes.

    `points` `[N, D]` are places on the axes, `kinds` `[N]` values of Kind. `values` `[N]` are
    the final objectives of what completed, NaN for others. `early` `[N, R]` are the objectives at
    the rungs `rungs` `[R]` before the last, NaN where there is none. `penalty` is what a trial that
    diverged counts as. `sampler` made the designs, None if it is not known. `numbers` `[N]` are
    the trials' in their study, None where they are of none.
    """

    axes: tuple[Axis, ...]
    roles: Roles
    points: Array
    kinds: npt.NDArray[np.int64]
    values: Array
    early: Array
    rungs: tuple[int, ...]
    penalty: float
    sampler: str | None
    numbers: npt.NDArray[np.int64] | None = None

    def count(self, kind: Kind) -> int:
        """Return how many trials are of a kind."""
        return int((self.kinds == kind.value).sum())

    def find(self, kind: Kind) -> npt.NDArray[np.bool_]:
        """Return which trials are of a kind `[N]`."""
        return np.asarray(self.kinds == kind.value)

    def find_level(self, level: int) -> npt.NDArray[np.bool_]:
        """Return which trials are of a level of `by` `[N]`, by its index; all without `by`."""
        if self.roles.by is None:
            return np.ones(len(self.points), dtype=bool)
        return np.asarray(self.points[:, self.roles.by] == level)

    @property
    def names(self) -> Sequence[str]:
        """Return the axes' names."""
        return [axis.name for axis in self.axes]


def keep_levels(trials: Trials, kept: Sequence[int]) -> Trials:
    """Return the trials at some levels of `by`, given by index; without that axis if it is one."""
    by = trials.roles.by
    assert by is not None
    axis = trials.axes[by]
    assert isinstance(axis, Category)
    rows = np.isin(trials.points[:, by], kept)
    some = replace(
        trials,
        points=trials.points[rows],
        kinds=trials.kinds[rows],
        values=trials.values[rows],
        early=trials.early[rows],
        numbers=None if trials.numbers is None else trials.numbers[rows],
    )
    if len(kept) > 1:
        points = some.points.copy()
        points[:, by] = np.searchsorted(kept, points[:, by])
        fewer = replace(axis, levels=tuple(axis.levels[level] for level in kept))
        axes = tuple(fewer if place == by else one for place, one in enumerate(trials.axes))
        return replace(some, axes=axes, points=points)
    roles = trials.roles
    return replace(
        some,
        axes=tuple(one for place, one in enumerate(trials.axes) if place != by),
        points=np.delete(some.points, by, axis=1),
        roles=Roles(
            context=roles.context - (roles.context > by),
            choice=roles.choice - (roles.choice > by),
            by=None,
        ),
    )
