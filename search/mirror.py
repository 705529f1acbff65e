"""The study as its sampler and pruner see it: in memory, beside the database.

Optuna's samplers read every trial at every ask, and its storages write every parameter in a
transaction of its own. So they work on a copy in memory, and the driver writes what came of it
to the database in bulk. Where several drivers work on the study, the copy also holds what the
others have running, which the sampler keeps away from.
"""

import math
from collections.abc import Collection, Mapping, Sequence, Set

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from archloss.search.asking import PackSampler, ask_many
from archloss.search.memory import MemoryStorage, make_trial
from archloss.search.pruners import NUMBER_KEY, HalvingPruner
from archloss.spaces.outcome import Outcome
from archloss.storage.records import TrialEnd, TrialHandle, TrialRecord

_STATES = {
    "RUNNING": TrialState.RUNNING,
    "COMPLETE": TrialState.COMPLETE,
    "PRUNED": TrialState.PRUNED,
    "FAIL": TrialState.FAIL,
}
_FINISHED = ("COMPLETE", "PRUNED", "FAIL")


class Mirror:
    """A copy of one study: what is in the database, and what this driver is about to write."""

    def __init__(
        self,
        name: str,
        *,
        sampler: optuna.samplers.BaseSampler,
        pruner: optuna.pruners.BasePruner,
        distributions: Mapping[str, BaseDistribution],
        penalty: float,
    ) -> None:
        self._storage = MemoryStorage()
        self._study = _create_quietly(self._storage, name, sampler, pruner)
        self._study_id = self._storage.get_study_id_from_name(name)
        self.distributions = dict(distributions)
        self._penalty = penalty
        self._running: dict[int, Trial] = {}
        self._elsewhere: dict[int, int] = {}
        self._finished: set[int] = set()
        self._next_number = 0
        self._unread_from = 0

    @property
    def next_number(self) -> int:
        """Return the number after the highest that is known here."""
        return self._next_number

    @property
    def unread_from(self) -> int:
        """Return the lowest number that may be of a trial not known here."""
        return self._unread_from

    @property
    def elsewhere(self) -> Set[int]:
        """Return the ids of unfinished trials that are not this driver's."""
        return self._elsewhere.keys()

    @property
    def follows_a_list(self) -> bool:
        """Say whether the sampler needs to know of every trial that was started."""
        sampler = self._study.sampler
        return isinstance(sampler, PackSampler) and sampler.follows_a_list

    def load(self, records: Sequence[TrialRecord], *, running: Collection[int] = ()) -> None:
        """Take in what is new about these trials; those in `running` are this driver's."""
        for record in records:
            self._next_number = max(self._next_number, record.number + 1)
            if record.trial_id in self._finished or record.trial_id in self._running:
                continue
            ended = record.state in _FINISHED and record.trial_id not in running
            mirrored = self._elsewhere.pop(record.trial_id, None)
            if mirrored is None:
                trial = self._make_trial(record)
                mirrored = self._storage.create_new_trial(self._study_id, trial)
            if ended:
                self._end(mirrored, record)
                self._finished.add(record.trial_id)
            elif record.trial_id in running:
                self._running[record.trial_id] = Trial(self._study, mirrored)
            else:
                self._elsewhere[record.trial_id] = mirrored

    def end(self, ends: Sequence[TrialEnd]) -> None:
        """Take in how trials of other drivers ended."""
        for end in ends:
            mirrored = self._elsewhere.pop(end.trial_id, None)
            if mirrored is not None:
                self._end(mirrored, end)
                self._finished.add(end.trial_id)

    def mark_read(self) -> None:
        """Note that every trial up to the highest number known was given to `load`."""
        self._unread_from = self._next_number

    def ask(self, count: int) -> list[Trial]:
        """Ask the sampler for so many trials at once."""
        return ask_many(self._study, count, self.distributions, first_number=self._next_number)

    def start(self, handle: TrialHandle, trial: Trial) -> None:
        """Say under which id and number the database runs an asked trial."""
        self._running[handle.trial_id] = trial
        self._next_number = max(self._next_number, handle.number + 1)
        if handle.number == self._unread_from:
            self._unread_from += 1
        if handle.number != trial.number:
            trial.set_user_attr(NUMBER_KEY, handle.number)

    def discard(self, trial: Trial) -> None:
        """Forget an asked trial that the database had no room for."""
        self._tell(trial, TrialState.FAIL, None)

    def report(self, trial_id: int, *, epoch: int, value: float) -> None:
        """Give the pruner a rung's value."""
        self._running[trial_id].report(value, epoch)

    def find_pruned(self, trial_ids: Collection[int]) -> set[int]:
        """Ask the pruner which of the trials stop at their latest rungs."""
        pruner = self._study.pruner
        if not isinstance(pruner, HalvingPruner):
            return {one for one in trial_ids if self._running[one].should_prune()}
        asked = {self._running[one]._trial_id: one for one in trial_ids}
        trials = [self._storage.get_trial(mirrored) for mirrored in asked]
        return {asked[trial._trial_id] for trial in pruner.find_pruned(self._study, trials)}

    def finish(
        self, trial_id: int, state: str, value: float | None, outcome: Outcome | None
    ) -> None:
        """Tell the sampler how a trial ended; only a COMPLETE one has a value."""
        seen, worth = self._see(state, value, outcome)
        self._tell(self._running.pop(trial_id), seen, worth)
        self._finished.add(trial_id)

    def _tell(self, trial: Trial, state: TrialState, value: float | None) -> None:
        """Do what `Study.tell` does, which also copies the trial deeply, to return it."""
        frozen = self._storage.get_trial(trial._trial_id)
        if state == TrialState.PRUNED and frozen.last_step is not None:
            value = frozen.intermediate_values[frozen.last_step]
        values = None if value is None or math.isnan(value) else [value]
        self._study.sampler.after_trial(self._study, frozen, state, values)
        self._storage.set_trial_state_values(trial._trial_id, state, values)

    def _see(
        self, state: str, value: float | None, outcome: Outcome | None
    ) -> tuple[TrialState, float | None]:
        """Return a finished trial's state and value as the sampler is to see them.

        A design that no device has room for is as bad as one that diverged: samplers that ignore
        pruned trials would otherwise ask for its like again and again.
        """
        if outcome is Outcome.INFEASIBLE:
            return TrialState.COMPLETE, self._penalty
        return _STATES[state], value if state == "COMPLETE" else None

    def _end(self, mirrored: int, end: TrialRecord | TrialEnd) -> None:
        state, value = self._see(end.state, end.value, end.outcome)
        values = None if value is None else [value]
        self._storage.get_trial(mirrored).intermediate_values.update(end.intermediate)
        self._storage.set_trial_state_values(mirrored, state, values)

    def _make_trial(self, record: TrialRecord) -> FrozenTrial:
        """Return a trial as if it were running."""
        return make_trial(
            params=dict(record.params),
            distributions=dict(record.distributions),
            intermediate=dict(record.intermediate),
            user_attrs={NUMBER_KEY: record.number},
        )


def _create_quietly(
    storage: BaseStorage,
    name: str,
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner,
) -> optuna.Study:
    """Make a study without Optuna's line about it: a person has only one, in the database."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(study_name=name, storage=storage, sampler=sampler, pruner=pruner)
    finally:
        optuna.logging.set_verbosity(verbosity)
