"""The study as its sampler and pruner see it: in memory, beside the database.

Optuna's samplers read every trial at every ask, and its storages write every parameter in a
transaction of its own. So they work on a copy in memory, and the driver writes what came of it
to the database in bulk. Where several drivers work on the study, the copy also holds what the
others have running, which the sampler keeps away from.
"""

import math
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from archloss.search.asking import PackSampler, ask_many
from archloss.search.memory import MemoryStorage, make_trial
from archloss.search.pruners import HalvingPruner
from archloss.spaces.outcome import Outcome
from archloss.storage.records import News, TrialBegin, TrialEnd, TrialHandle, TrialRecord

_STATES = {
    "RUNNING": TrialState.RUNNING,
    "COMPLETE": TrialState.COMPLETE,
    "PRUNED": TrialState.PRUNED,
    "FAIL": TrialState.FAIL,
}
_FINISHED = ("COMPLETE", "PRUNED", "FAIL")


@dataclass(frozen=True)
class Mirrored:
    """A trial as Optuna sees it here, and its number in the database, which may be another."""

    number: int
    trial: FrozenTrial


class Mirror:
    """A copy of one study: what is in the database, and what this driver is about to write."""

    def __init__(
        self,
        name: str,
        *,
        sampler: optuna.samplers.BaseSampler,
        pruner: optuna.pruners.BasePruner | HalvingPruner,
        distributions: Mapping[str, BaseDistribution],
        penalty: float,
    ) -> None:
        self._storage = MemoryStorage()
        self._study = _create_quietly(self._storage, name, sampler)
        self._study_id = self._storage.get_study_id_from_name(name)
        self.distributions = dict(distributions)
        self._pruner = pruner
        self._penalty = penalty
        self._running: dict[int, Mirrored] = {}
        self._elsewhere: dict[int, Mirrored] = {}
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

    @property
    def needs_params(self) -> bool:
        """Say whether the sampler looks at the parameters of trials that it did not choose."""
        sampler = self._study.sampler
        return not isinstance(sampler, PackSampler) or sampler.looks_at_others

    def load(self, records: Sequence[TrialRecord], *, running: Collection[int] = ()) -> None:
        """Take in what is new about these trials; those in `running` are this driver's."""
        for record in records:
            self._add(record)
            mirrored = self._elsewhere.get(record.trial_id)
            if mirrored is None:
                continue
            self._report_all(mirrored, record.intermediate)
            if record.trial_id in running:
                self._running[record.trial_id] = self._elsewhere.pop(record.trial_id)
            elif record.state in _FINISHED:
                self._end(record)

    def learn(self, news: News) -> None:
        """Take in what happened since the last look, which saw all up to `unread_from`."""
        for begin in news.begun:
            self._add(begin)
        for end in news.ended:
            self._end(end)
        self.mark_read()

    def mark_read(self) -> None:
        """Note that every trial up to the highest number known was given to `load`."""
        self._unread_from = self._next_number

    def ask(self, count: int) -> list[FrozenTrial]:
        """Ask the sampler for so many trials at once."""
        return ask_many(self._study, count, self.distributions, first_number=self._next_number)

    def start(self, handle: TrialHandle, trial: FrozenTrial) -> None:
        """Say under which id and number the database runs an asked trial."""
        self._running[handle.trial_id] = Mirrored(handle.number, trial)
        self._next_number = max(self._next_number, handle.number + 1)
        if handle.number == self._unread_from:
            self._unread_from += 1

    def discard(self, trial: FrozenTrial) -> None:
        """Forget an asked trial that the database had no room for."""
        self._tell(trial, TrialState.FAIL, None)

    def report(self, trial_id: int, *, epoch: int, value: float) -> None:
        """Give the pruner a rung's value."""
        self._report(self._running[trial_id], epoch, value)

    def find_pruned(self, trial_ids: Collection[int]) -> set[int]:
        """Ask the pruner which of the trials stop at their latest rungs."""
        return {one for one in trial_ids if self._is_pruned(self._running[one])}

    def finish(
        self, trial_id: int, state: str, value: float | None, outcome: Outcome | None
    ) -> None:
        """Tell the sampler how a trial ended; only a COMPLETE one has a value."""
        seen, worth = self._see(state, value, outcome)
        self._tell(self._running.pop(trial_id).trial, seen, worth)
        self._finished.add(trial_id)

    def hand_over(self, trial_id: int) -> None:
        """Note that another driver has taken a trial of this one."""
        self._elsewhere[trial_id] = self._running.pop(trial_id)

    def _is_pruned(self, mirrored: Mirrored) -> bool:
        trial, epoch = mirrored.trial, mirrored.trial.last_step
        if not isinstance(self._pruner, HalvingPruner):
            return self._pruner.prune(self._study, trial)
        return epoch is not None and self._pruner.is_pruned(
            mirrored.number, epoch=epoch, value=trial.intermediate_values[epoch]
        )

    def _report(self, mirrored: Mirrored, epoch: int, value: float) -> None:
        mirrored.trial.intermediate_values[epoch] = value  # the trial in the storage is this one
        if isinstance(self._pruner, HalvingPruner):
            self._pruner.report(mirrored.number, epoch=epoch, value=value)

    def _report_all(self, mirrored: Mirrored, intermediate: Mapping[int, float]) -> None:
        for epoch, value in intermediate.items():
            if epoch not in mirrored.trial.intermediate_values:
                self._report(mirrored, epoch, value)

    def _tell(self, trial: FrozenTrial, state: TrialState, value: float | None) -> None:
        """Do what `Study.tell` does, which also copies the trial deeply, to return it."""
        if state == TrialState.PRUNED and trial.last_step is not None:
            value = trial.intermediate_values[trial.last_step]
        values = None if value is None or math.isnan(value) else [value]
        self._study.sampler.after_trial(self._study, trial, state, values)
        self._storage.set_trial_state_values(trial.number, state, values)

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

    def _add(self, begin: TrialRecord | TrialBegin) -> None:
        """Add a trial that is not known yet, as one that others are running."""
        self._next_number = max(self._next_number, begin.number + 1)
        trial_id = begin.trial_id
        if any(trial_id in known for known in (self._finished, self._running, self._elsewhere)):
            return
        trial = make_trial(params=dict(begin.params), distributions=dict(begin.distributions))
        self._storage.create_new_trial(self._study_id, trial)
        self._elsewhere[trial_id] = Mirrored(begin.number, trial)

    def _end(self, end: TrialRecord | TrialEnd) -> None:
        """End a trial that others were running; this driver's end by `finish`."""
        mirrored = self._elsewhere.pop(end.trial_id, None)
        if mirrored is None:
            return
        self._report_all(mirrored, end.intermediate)
        self._tell(mirrored.trial, *self._see(end.state, end.value, end.outcome))
        self._finished.add(end.trial_id)


def _create_quietly(
    storage: BaseStorage, name: str, sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    """Make a study without Optuna's line about it: a person has only one, in the database."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(study_name=name, storage=storage, sampler=sampler)
    finally:
        optuna.logging.set_verbosity(verbosity)
