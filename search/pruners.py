"""The pruners that a study file can name, and the rungs at which they act."""

from collections.abc import Sequence

import numpy as np
from optuna import Study, pruners
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from archloss.search.spec import Spec

NUMBER_KEY = "number"


def rung_epochs(spec: Spec) -> tuple[int, ...]:
    """Return the epochs at which trials report, increasing; the last one is the recipe's."""
    return spec.search.list_rungs(spec.recipe.epochs)


def make_pruner(spec: Spec) -> BasePruner:
    """Return the study's pruner, which decides at the rungs alone.

    "median" stops a trial that is worse at a rung than the median of the completed trials was.
    """
    factor = spec.search.reduction_factor
    rungs = rung_epochs(spec)
    match spec.search.pruner:
        case "none":
            return pruners.NopPruner()
        case "successive-halving":
            return HalvingPruner(rungs, factor=factor)
        case "hyperband":
            return HalvingPruner(rungs, factor=factor, brackets=len(rungs))
        case "median":
            return pruners.MedianPruner(n_startup_trials=spec.search.startup_trials)


class HalvingPruner(BasePruner):
    """Asynchronous successive halving (Li et al., arXiv 1810.05934), with brackets Hyperband.

    At a rung a trial goes on if it is among the best 1 / `factor` of all that have reported
    there, its own pack included; at least one always does, and ties go on together. With
    several brackets (Li et al., arXiv 1603.06560), bracket b first prunes at rung b, and trials
    compete within their bracket. (Optuna's own look at a pack's trials one after the other, so
    that the first always goes on, and keep their memory where a restart of ours loses it.)
    """

    def __init__(self, rungs: Sequence[int], *, factor: int, brackets: int = 1) -> None:
        self._rungs = tuple(rungs)
        self._factor = factor
        sizes = [
            -(-brackets * factor ** (brackets - 1 - bracket) // (brackets - bracket))
            for bracket in range(brackets)
        ]
        self._ends = np.cumsum(sizes)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Say whether the trial, which has just reported, stops here."""
        return bool(self.find_pruned(study, [trial]))

    def find_pruned(self, study: Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return those of the trials, which have just reported, that stop here.

        All trials of the study are looked at once, however many are asked about.
        """
        places = {trial.number: self._find_place(trial) for trial in trials}
        values: dict[tuple[int, int], list[float]]
        values = {place: [] for place in places.values() if place is not None}
        epochs = {epoch for epoch, _ in values}
        for rival in study.get_trials(deepcopy=False) if values else ():
            for epoch in epochs & rival.intermediate_values.keys():
                shared = epoch, self.find_bracket(read_number(rival))
                if shared in values:
                    values[shared].append(rival.intermediate_values[epoch])
        limits = {
            place: sorted(reached)[max(1, len(reached) // self._factor) - 1]
            for place, reached in values.items()
        }
        return [
            trial
            for trial in trials
            if (place := places[trial.number]) is not None
            and trial.intermediate_values[place[0]] > limits[place]
        ]

    def _find_place(self, trial: FrozenTrial) -> tuple[int, int] | None:
        """Return the rung and the bracket in which the trial competes now, if it does."""
        epoch, bracket = trial.last_step, self.find_bracket(read_number(trial))
        if epoch is None or epoch not in self._rungs[bracket:-1]:
            return None
        return epoch, bracket

    def find_bracket(self, number: int) -> int:
        """Return the bracket of a trial: by turns, most of them in those that prune early."""
        return int(np.searchsorted(self._ends, number % self._ends[-1], side="right"))


def read_number(trial: FrozenTrial) -> int:
    """Return the trial's number in the database, which is another here if drivers share a study."""
    return int(trial.user_attrs.get(NUMBER_KEY, trial.number))
