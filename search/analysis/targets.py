"""What a surface is fitted to: values on a scale, with the pruned trials' filled in, in strata.

A trial that was pruned is not a final value, and leaving it out would keep the lucky ones alone.
What pruned it is its value at a rung, and that is known of the others too: so its final value is
missing at random (Rubin 1976), and is filled in from its last rung and its design by a ridge
regression over those that went on, with a noise of its own for all pruned there, which is learned.

N trial, D axis.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array, Axis, count_levels
from archloss.search.analysis.basis import Basis, Roles
from archloss.search.analysis.trials import Kind, Trials

_FEWEST_AT_RUNG = 20
_PARTS = 3
_FEWEST_IN_STRATUM = 8
_MOST_TIED = 0.5
"""A part of which more reached exactly the same, as what learns nothing may, has no noise to show:
sure of it, the surface would bend elsewhere to meet it. All trials then share one noise."""
_RIDGE = 1.0
"""What a design adds to a pruned trial's value is shrunk as if so many trials said: nothing."""
_SMALLEST = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale:
    """How objectives are fitted: as they are, or, with an `offset`, their logarithm."""

    offset: float | None

    def apply(self, values: Array) -> Array:
        """Return objectives on the scale of the fit."""
        if self.offset is None:
            return values
        return np.asarray(np.log(np.maximum(values + self.offset, _SMALLEST)))

    def expect(self, values: Array, smearing: Array) -> Array:
        """Return the mean objective where the fit is `values`, with this factor from measure()."""
        if self.offset is None:
            return values
        return np.asarray(np.exp(values) * smearing - self.offset)

    def measure(self, residuals: Array) -> Array:
        """Return the factor by which noise raises a logarithm's mean, from residuals `[..., N]`.

        Duan's smearing estimate (1983, JASA 78(383)): residuals of networks of which some learn
        nothing are far from normal, and the mean of a lognormal would be far too high.
        """
        return np.asarray(np.exp(residuals).mean(axis=-1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Strata:
    """Parts of the search with a noise of their own: thirds of the context, by level of `by`.

    Without edges these are the levels of `by`, and without `roles.by` either it is all one, as
    where trials are `tied`.
    """

    roles: Roles
    edges: Array
    tied: bool = False

    def count(self, axes: Sequence[Axis]) -> int:
        """Return how many strata there are over the axes."""
        by = self.roles.by
        return (len(self.edges) + 1) * (1 if by is None else count_levels(axes[by]))

    def number(self, points: Array) -> npt.NDArray[np.int64]:
        """Return each point's stratum `[N]`, from 0 on."""
        part = np.searchsorted(self.edges, points[:, self.roles.context])
        level = 0 if self.roles.by is None else points[:, self.roles.by].astype(np.int64)
        return np.asarray(part + (len(self.edges) + 1) * level, dtype=np.int64)


def divide(trials: Trials) -> Strata:
    """Return the strata of trials: fewer where some would be too small, or show no noise."""
    completed = trials.find(Kind.COMPLETED)
    points, values = trials.points[completed], trials.values[completed]
    edges = np.quantile(points[:, trials.roles.context], np.arange(1, _PARTS) / _PARTS)
    strata = Strata(roles=trials.roles, edges=np.unique(edges))
    labels = strata.number(points)
    counts = np.bincount(labels)
    if counts[counts > 0].min() < _FEWEST_IN_STRATUM:
        strata = Strata(roles=trials.roles, edges=np.array([]))
        labels = strata.number(points)
    if any(count_ties(values[labels == label]) > _MOST_TIED for label in np.unique(labels)):
        alone = dataclasses.replace(trials.roles, by=None)
        return Strata(roles=alone, edges=np.array([]), tied=True)
    return strata


def count_ties(values: Array) -> float:
    """Return the share of values that are one and the same."""
    return float(np.unique(values, return_counts=True)[1].max() / len(values))


def assemble(
    trials: Trials, strata: Strata, scale: Scale, basis: Basis
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Return points, targets and strata of what completed, and of what was pruned, filled in.

    `basis` is over the axes; its simplest functions describe designs.
    """
    completed = trials.find(Kind.COMPLETED)
    parts = [
        (
            trials.points[completed],
            scale.apply(trials.values[completed]),
            strata.number(trials.points[completed]),
        )
    ]
    beyond = 1_000_000
    last = np.where(np.isfinite(trials.early), np.arange(len(trials.rungs)), -1).max(
        axis=1, initial=-1
    )
    for rung in range(len(trials.rungs)):
        known = completed & np.isfinite(trials.early[:, rung])
        pruned = trials.find(Kind.PRUNED) & (last == rung)
        if known.sum() < _FEWEST_AT_RUNG or not pruned.any():
            continue
        predict = _regress(trials, known, rung, scale, basis)
        filled = np.fmin(predict(pruned), scale.apply(np.array([trials.penalty])))
        label = np.full(int(pruned.sum()), beyond + rung, dtype=np.int64)
        parts.append((trials.points[pruned], filled, label))
    points, target, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return points, target, labels


def _regress(
    trials: Trials, known: npt.NDArray[np.bool_], rung: int, scale: Scale, basis: Basis
) -> Callable[[npt.NDArray[np.bool_]], Array]:
    """Return what predicts final values from those at a rung, and from the design.

    Without the design, slow to learn would be read as bad in the end.
    """
    simple = basis.coarsen(alone=2, together=1)

    def describe(which: npt.NDArray[np.bool_]) -> Array:
        early = scale.apply(trials.early[which, rung])
        features = simple.evaluate(trials.points[which])
        return np.concatenate([np.stack([np.ones_like(early), early], axis=1), features], axis=1)

    features, target = describe(known), scale.apply(trials.values[known])
    ridge = np.full(features.shape[1], _RIDGE)
    ridge[:2] = _SMALLEST
    weights = np.linalg.solve(features.T @ features + np.diag(ridge), features.T @ target)
    return lambda which: np.asarray(describe(which) @ weights)
