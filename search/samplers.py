"""The samplers that a study file can name, with their settings pinned."""

import itertools
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna import samplers
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from archloss.search.batch_tpe import BatchTPESampler
from archloss.search.distributions import to_distributions
from archloss.search.errors import SpecError
from archloss.search.spec import Spec

LARGEST_GRID = 1_000_000


def make_sampler(spec: Spec, *, already: int = 0) -> BaseSampler:
    """Return the study's sampler, seeded by the spec and by how many trials there are `already`.

    A study that goes on thus draws other numbers than it began with, and the same ones each
    time it goes on from there. Raises SpecError for a grid with fewer points than trials.
    """
    search = spec.search
    sequence = np.random.SeedSequence([search.seed, already])
    seed = int(sequence.generate_state(1)[0])
    independent = samplers.RandomSampler(seed=seed)
    if search.sampler == "tpe":
        return BatchTPESampler(
            startup_trials=search.startup_trials, candidates=search.candidates, seed=seed
        )
    if search.sampler == "random":
        return independent
    if search.sampler == "grid":
        return GridSampler(make_grid(spec), seed=search.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if search.sampler == "gp":
            return samplers.GPSampler(
                seed=seed,
                n_startup_trials=search.startup_trials,
                independent_sampler=independent,
                warn_independent_sampling=False,
            )
        if search.sampler == "cma-es":
            return samplers.CmaEsSampler(
                seed=seed,
                n_startup_trials=search.startup_trials,
                independent_sampler=independent,
                warn_independent_sampling=False,
            )
        return samplers.QMCSampler(
            seed=seed,
            scramble=True,
            independent_sampler=independent,
            warn_asynchronous_seeding=False,
            warn_independent_sampling=False,
        )


def make_grid(spec: Spec) -> list[dict[str, Any]]:
    """Return all points of the study's grid: choices whole, `grid_points` of each range."""
    distributions = to_distributions(spec.dimensions())
    axes = {
        name: grid_axis(distribution, spec.search.grid_points)
        for name, distribution in distributions.items()
    }
    size = 1
    for axis in axes.values():
        size *= len(axis)
    if size > LARGEST_GRID:
        raise SpecError(
            f"a grid must have at most {LARGEST_GRID:,} points, but this one has {size:,}: lower "
            "search.grid_points, or fix some dimensions of the space"
        )
    if spec.trials is None or spec.trials > size:
        raise SpecError(
            f"trials must be at most the points of the grid, {size}, but got {spec.trials}: give "
            f"--trials {size}, or raise search.grid_points"
        )
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


def grid_axis(distribution: BaseDistribution, points: int) -> list[Any]:
    """Return evenly spaced values of a range, in its logarithm if it has one; all choices."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    spread = np.geomspace if distribution.log else np.linspace
    values = spread(low, high, points).clip(low, high)
    if isinstance(distribution, IntDistribution):
        return sorted({round(value) for value in values})
    return [float(value) for value in values]


class GridSampler(BaseSampler):
    """The points of a grid in a random order, so that a part of it is a fair sample.

    (Optuna's own stops a study that is not being optimised by Optuna, which is an error there.)
    """

    def __init__(self, grid: list[dict[str, Any]], *, seed: int) -> None:
        self._grid = grid
        self._order = np.random.default_rng(seed).permutation(len(grid))

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Sample nothing jointly."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample nothing jointly."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return one parameter of the trial's point."""
        point = self._grid[self._order[trial.number % len(self._grid)]]
        return point[param_name]
