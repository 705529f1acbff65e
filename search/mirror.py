"""The study as its sampler and pruner see it: in memory, beside the database.

Optuna's samplers read every trial at every ask, and its storages write every parameter in a
transaction of its own. So they work on a copy in memory, and the driver writes what came of it
to the database in bulk. Trials have their database numbers there as long as only one driver
works on the study.
"""

from collections.abc import Collection, Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import Trial, TrialState

from archloss.search.asking import ask_many
from archloss.storage.records import TrialRecord

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
    ) -> None:
        self._storage = optuna.storages.InMemoryStorage()
        self._study = _create_quietly(self._storage, name, sampler, pruner)
        self._study_id = self._storage.get_study_id_from_name(name)
        self._distributions = dict(distributions)
        self._running: dict[int, Trial] = {}
        self._known: set[int] = set()

    def load(self, records: Sequence[TrialRecord], *, running: Collection[int]) -> None:
        """Take in the trials that are not known yet: finished ones, and those in `running`.

        `running` are the ids of the trials that this driver goes on with. What other drivers
        are running is left out until it has finished.
        """
        for record in records:
            mine = record.trial_id in running
            known = record.trial_id in (self._running if mine else self._known)
            if known or not (mine or record.state in _FINISHED):
                continue
            self._known.add(record.trial_id)
            self._study.add_trial(_make_frozen(record, "RUNNING" if mine else record.state))
            if mine:
                number = self._storage.get_n_trials(self._study_id) - 1
                mirrored = self._storage.get_trial_id_from_study_id_trial_number(
                    self._study_id, number
                )
                self._running[record.trial_id] = Trial(self._study, mirrored)

    def ask(self, count: int) -> list[Trial]:
        """Ask the sampler for so many trials at once."""
        return ask_many(self._study, count, self._distributions)

    def start(self, trial_id: int, trial: Trial) -> None:
        """Say under which id the database runs an asked trial."""
        self._known.add(trial_id)
        self._running[trial_id] = trial

    def discard(self, trial: Trial) -> None:
        """Forget an asked trial that the database had no room for."""
        self._study.tell(trial, state=TrialState.FAIL)

    def report(self, trial_id: int, *, epoch: int, value: float) -> None:
        """Give the pruner a rung's value."""
        self._running[trial_id].report(value, epoch)

    def should_prune(self, trial_id: int) -> bool:
        """Ask the pruner whether the trial stops at its latest rung."""
        return self._running[trial_id].should_prune()

    def finish(self, trial_id: int, state: str, value: float | None) -> None:
        """Tell the sampler how a trial ended; only a COMPLETE one has a value."""
        self._study.tell(self._running.pop(trial_id), value, state=_STATES[state])

    def is_next(self, numbers: Sequence[int]) -> bool:
        """Say whether these are the newest numbers here: nobody else has started trials."""
        count = self._storage.get_n_trials(self._study_id)
        return list(numbers) == list(range(count - len(numbers), count))


def _create_quietly(
    storage: optuna.storages.InMemoryStorage,
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


def _make_frozen(record: TrialRecord, state: str) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(
        state=_STATES[state],
        value=record.value if state == "COMPLETE" else None,
        params=dict(record.params),
        distributions=dict(record.distributions),
        intermediate_values=dict(record.intermediate),
    )
