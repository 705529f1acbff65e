"""The samplers that a study file can name, with their settings pinned."""

import logging
import math

import numpy as np
from optuna import samplers
from optuna.samplers import BaseSampler

from archloss.search.analysis.study import DEFAULT_BY
from archloss.search.asking import RandomSampler
from archloss.search.batch_tpe import BatchTPESampler
from archloss.search.distributions import name_parameter, to_params
from archloss.search.grid import list_grid
from archloss.search.plan import list_planned
from archloss.search.planned import GridSampler, PlanSampler, SequenceSampler
from archloss.search.profile_sampler import ProfileSampler
from archloss.search.spec import Spec


def make_sampler(
    spec: Spec, *, already: int = 0, drivers_before: int = 0, penalty: float = math.inf
) -> BaseSampler:
    """Return the study's sampler, seeded by the spec and by what the study has seen.

    That is how many trials there are `already`, and how many drivers worked on it before: each
    one draws other numbers than those before and beside it, and the same ones each time the same
    happens. Grids, plans and sequences are the same for all, who take turns along them. `penalty`
    is the value of a trial that diverged.
    """
    search = spec.search
    seen = (already, drivers_before) if already or drivers_before else ()
    seed = int(np.random.SeedSequence([search.seed, *seen]).generate_state(1)[0])
    match search.sampler:
        case "tpe":
            return BatchTPESampler(
                startup_trials=search.startup_trials, candidates=search.candidates, seed=seed
            )
        case "gp":
            # It says with a warning that it could be faster; a person can do little about it.
            logging.getLogger("optuna._gp.batched_lbfgsb").setLevel(logging.ERROR)
            return samplers.GPSampler(
                seed=seed,
                n_startup_trials=search.startup_trials,
                deterministic_objective=False,
                warn_independent_sampling=False,
            )
        case "cma-es":
            return samplers.CmaEsSampler(
                seed=seed,
                n_startup_trials=search.startup_trials,
                consider_pruned_trials=False,
                warn_independent_sampling=False,
            )
        case "qmc":
            return SequenceSampler(seed=search.seed)
        case "grid":
            dimensions = spec.dimensions()
            grid = list_grid(dimensions, search.grid_points)
            return GridSampler([to_params(dimensions, point) for point in grid], seed=search.seed)
        case "plan":
            return PlanSampler(list_planned(spec), seed=search.seed)
        case "profile":
            return _make_profile_sampler(spec, seed=seed, penalty=penalty)
        case "random":
            return RandomSampler(seed=seed)


def _make_profile_sampler(spec: Spec, *, seed: int, penalty: float) -> ProfileSampler:
    dimensions, search = spec.dimensions(), spec.search
    return ProfileSampler(
        context=name_parameter(search.context, dimensions[search.context]),
        choice=name_parameter(search.choice, dimensions[search.choice]),
        by=DEFAULT_BY,
        startup_trials=search.startup_trials,
        penalty=penalty,
        seed=seed,
    )
