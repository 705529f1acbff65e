"""The samplers that learn nothing: a grid, a plan and a sequence."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from archloss.search.asking import Distributions, PackSampler, Params, scale_all
from archloss.search.sobol import draw_sobol

_VISITING = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


class GridSampler(PackSampler):
    """The points of a grid in a random order, each time one that was tried least.

    A point whose trial failed is thus tried again, and any part of the grid is a fair sample.
    (Optuna's own wants to end the study, which is an error unless Optuna runs it.)
    """

    follows_a_list = True

    def __init__(self, grid: Sequence[Params], *, seed: int) -> None:
        super().__init__(seed=seed)
        order = np.random.default_rng(seed).permutation(len(grid))
        self._grid = [grid[index] for index in order]

    def choose(self, study: Study, count: int, distributions: Distributions) -> list[Params]:
        """Return the next points."""
        trials = study.get_trials(deepcopy=False, states=_VISITING)
        visits = Counter(_make_key(trial.params) for trial in trials)
        chosen: list[Params] = []
        while len(chosen) < count:
            least = min(visits[_make_key(point)] for point in self._grid)
            fresh = [point for point in self._grid if visits[_make_key(point)] == least]
            chosen += fresh[: count - len(chosen)]
            visits.update(_make_key(point) for point in fresh)
        return [dict(point) for point in chosen]


def _make_key(params: Params) -> frozenset[tuple[str, object]]:
    return frozenset(params.items())


class PlanSampler(PackSampler):
    """The rows of a plan in their order, each time one that was visited least.

    A row whose trial failed is thus visited again. Each ask takes in only what is new about
    the study, so that plans may have many thousand rows.
    """

    follows_a_list = True

    def __init__(self, rows: Sequence[Params], *, seed: int) -> None:
        super().__init__(seed=seed)
        self._rows = list(rows)
        self._places = {_make_key(row): place for place, row in enumerate(self._rows)}
        self._visits = np.zeros(len(self._rows), dtype=np.int64)
        self._open: dict[int, int] = {}
        self._seen = 0

    def choose(self, study: Study, count: int, distributions: Distributions) -> list[Params]:
        """Return the next rows."""
        self._update(study.get_trials(deepcopy=False))
        visits = self._visits.copy()
        chosen: list[int] = []
        while len(chosen) < count:
            fewest = np.flatnonzero(visits == visits.min())[: count - len(chosen)]
            visits[fewest] += 1
            chosen += fewest.tolist()
        return [dict(self._rows[place]) for place in chosen]

    def _update(self, trials: Sequence[FrozenTrial]) -> None:
        """Count the visits of what is new, and take back those that failed."""
        for index in range(self._seen, len(trials)):
            place = self._places.get(_make_key(trials[index].params))
            if place is not None:  # another program may have put its own into the study
                self._visits[place] += 1
                self._open[index] = place
        self._seen = len(trials)
        ended = [index for index in self._open if trials[index].state.is_finished()]
        for index in ended:
            place = self._open.pop(index)
            self._visits[place] -= trials[index].state == TrialState.FAIL


class SequenceSampler(PackSampler):
    """A scrambled Sobol sequence: no part of the space is left out, however few the trials.

    Trial number n gets point n, whichever driver starts it and however often the study is taken
    up again. (Optuna's own draws the first trial at random, and one point at a time.)
    """

    follows_a_list = True
    looks_at_others = False

    def __init__(self, *, seed: int) -> None:
        super().__init__(seed=seed)
        self._seed = seed

    def choose(self, study: Study, count: int, distributions: Distributions) -> list[Params]:
        """Return the next points of the sequence."""
        end = self.first_number + count
        points = draw_sobol(len(distributions), end, seed=self._seed)[self.first_number :]
        return [scale_all(distributions, point) for point in points.tolist()]
