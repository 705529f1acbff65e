"""On what scale objectives are fitted, and which parts of the search have a noise of their own.

N trial, D axis.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array, Axis, count_levels
from archloss.search.analysis.basis import Roles
from archloss.search.analysis.trials import Kind, Trials

_PARTS = 3
_FEWEST_IN_STRATUM = 8
_MOST_TIED = 0.5
"""A part of which more reached exactly the same, as what learns nothing may, has no noise to show:
sure of it, the surface would bend elsewhere to meet it. All trials then share one noise."""
SMALLEST = 1e-9
"""Smaller objectives have one logarithm in the fit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale:
    """How objectives are fitted: as they are, or, with an `offset`, their logarithm."""

    offset: float | None

    def apply(self, values: Array) -> Array:
        """Return objectives on the scale of the fit."""
        if self.offset is None:
            return values
        return np.asarray(np.log(np.maximum(values + self.offset, SMALLEST)))

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
    where trials are `tied`. Where those of the whole search are, it is `silent`: nobody knows what
    noise there is.
    """

    roles: Roles
    edges: Array
    tied: bool = False
    silent: bool = False

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
        silent = count_ties(values) > _MOST_TIED
        return Strata(roles=alone, edges=np.array([]), tied=True, silent=silent)
    return strata


def count_ties(values: Array) -> float:
    """Return the share of values that are one and the same."""
    return float(np.unique(values, return_counts=True)[1].max() / len(values))
