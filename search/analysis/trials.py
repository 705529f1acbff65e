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
    the trials' in their study, None where they are of none. `trainings` are the objectives of each
    trial's trainings that completed where a trial is the mean of several (`merge_designs`).
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
    trainings: tuple[Array, ...] | None = None

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


def take(trials: Trials, rows: npt.NDArray[np.int64]) -> Trials:
    """Return some of the trials, by their indices."""
    return replace(
        trials,
        points=trials.points[rows],
        kinds=trials.kinds[rows],
        values=trials.values[rows],
        early=trials.early[rows],
        numbers=None if trials.numbers is None else trials.numbers[rows],
        trainings=None
        if trials.trainings is None
        else tuple(trials.trainings[row] for row in rows),
    )


def merge_designs(trials: Trials) -> Trials:
    """Return the trials with those of the same design as one: the mean of its trainings.

    What a surface is off by at a design is the same for all of its trainings. As trials of their
    own they would make it look known. One that diverged counts with the penalty, as in a trial of
    several replicates; a design of which all did has diverged. What was pruned stays as it is.
    """
    kept = trials.find(Kind.PRUNED)
    ended = np.flatnonzero(~kept)
    _, firsts, labels = np.unique(
        trials.points[ended], axis=0, return_index=True, return_inverse=True
    )
    if len(firsts) == len(ended):
        return trials
    firsts, labels = ended[firsts], labels.reshape(-1)
    completed = trials.find(Kind.COMPLETED)[ended]
    reached = np.where(completed, trials.values[ended], trials.penalty)
    counts = np.bincount(labels[completed], minlength=len(firsts))
    values, kinds = trials.values.copy(), trials.kinds.copy()
    means = np.bincount(labels, reached) / np.bincount(labels)
    values[firsts] = np.where(counts > 0, means, np.nan)
    kinds[firsts] = np.where(counts > 0, Kind.COMPLETED.value, Kind.DIVERGED.value)
    order = np.argsort(labels[completed], kind="stable")
    groups = np.split(reached[completed][order], np.cumsum(counts)[:-1])
    trainings: list[Array] = [np.zeros(0)] * len(trials.points)
    for first, group in zip(firsts, groups, strict=True):
        trainings[first] = group
    kept[firsts] = True
    merged = replace(trials, values=values, kinds=kinds, trainings=tuple(trainings))
    return take(merged, np.flatnonzero(kept))


def keep_levels(trials: Trials, kept: Sequence[int]) -> Trials:
    """Return the trials at some levels of `by`, given by index; without that axis if it is one."""
    by = trials.roles.by
    assert by is not None
    axis = trials.axes[by]
    assert isinstance(axis, Category)
    some = take(trials, np.flatnonzero(np.isin(trials.points[:, by], kept)))
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
