"""Optuna's tables by way of its public storage: slow, but at home in any revision of them.

Each call is a transaction of its own, so a change of ours and one of Optuna's cannot go together.
Instead, a change holds a lock on the study (a lease's name in our row of it, void when the lease's
driver is dead), and its steps come in an order that a kill may interrupt anywhere.
"""

import contextlib
import datetime
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, cast

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from archloss.storage.dialects import get_dialect
from archloss.storage.leases import find_live
from archloss.storage.optuna_trials import (
    TOKEN_KEY,
    OptunaEnd,
    OptunaParams,
    OptunaStudy,
    OptunaTrial,
    make_attributes,
)
from archloss.storage.records import TrialHandle, TrialStart, TrialStateName, TrialTell
from archloss.storage.tables import studies

_WAIT_S = 0.02


class SlowOptunaTables:
    """Optuna's tables by way of an RDBStorage, whose connections are its own."""

    def __init__(self, storage: RDBStorage) -> None:
        self._storage = storage
        self._one_at_a_time = threading.RLock()

    def close(self) -> None:
        """Let go of Optuna's connections."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    @contextlib.contextmanager
    def changing(
        self,
        engine: sa.Engine,
        study_id: int | None,
        lease_id: int | None,
        *,
        alone: bool = True,
    ) -> Iterator[sa.Connection]:
        """Hold the study's lock, if one is named; every statement is committed at once.

        There is but one kind of lock: whoever holds it is alone.
        """
        with self._one_at_a_time:
            if study_id is not None:
                while not _try_lock(engine, study_id, lease_id):
                    time.sleep(_WAIT_S)
            try:
                with get_dialect(engine).committing_each(engine) as connection:
                    yield connection
            finally:
                if study_id is not None:
                    _unlock(engine, study_id, lease_id)

    def sending(self, _connection: sa.Connection) -> contextlib.AbstractContextManager[None]:
        """Do nothing: each statement is committed, in this order."""
        return contextlib.nullcontext()

    def create_study(self, _connection: sa.Connection, name: str, token: str) -> int | None:
        """Make a study that is minimised; return its id, or None if the name is taken."""
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            study_id = self._storage.create_new_study([StudyDirection.MINIMIZE], name)
        except optuna.exceptions.DuplicatedStudyError:
            return None
        finally:
            optuna.logging.set_verbosity(verbosity)
        self._storage.set_study_system_attr(study_id, TOKEN_KEY, token)
        return study_id

    def list_studies(self, _connection: sa.Connection) -> list[OptunaStudy]:
        """Return every study in the database, by id."""
        return [
            OptunaStudy(
                study_id=study_id,
                name=study.study_name,
                token=self._storage.get_study_system_attrs(study_id).get(TOKEN_KEY),
                directions=tuple(study.directions),
            )
            for study in self._storage.get_all_studies()
            for study_id in [self._storage.get_study_id_from_name(study.study_name)]
        ]

    def delete_study(self, _connection: sa.Connection, study_id: int) -> None:
        """Delete all that Optuna has of a study."""
        self._storage.delete_study(study_id)

    def read_attributes(self, _connection: sa.Connection, study_id: int) -> dict[str, Any]:
        """Return the system attributes of a study."""
        return self._storage.get_study_system_attrs(study_id)

    def write_attributes(
        self, _connection: sa.Connection, study_id: int, attributes: Mapping[str, Any]
    ) -> None:
        """Set system attributes of a study, one after another."""
        for key, value in attributes.items():
            self._storage.set_study_system_attr(study_id, key, value)

    def count_states(self, _connection: sa.Connection, study_id: int) -> dict[TrialStateName, int]:
        """Return how many trials are in each state that any is in."""
        counts: dict[TrialStateName, int] = {}
        for trial in self._storage.get_all_trials(study_id, deepcopy=False):
            state = _name(trial.state)
            counts[state] = counts.get(state, 0) + 1
        return counts

    def count_trials(self, _connection: sa.Connection, study_id: int) -> int:
        """Return how many trials the study holds, which is the number of the next one."""
        return self._storage.get_n_trials(study_id)

    def find_from(
        self, _connection: sa.Connection, study_id: int, number: int
    ) -> list[TrialHandle]:
        """Return the trials with this number or a higher one, by number."""
        return [
            TrialHandle(trial_id=trial._trial_id, number=trial.number)
            for trial in self._storage.get_all_trials(study_id, deepcopy=False)
            if trial.number >= number
        ]

    def find_best(self, _connection: sa.Connection, study: OptunaStudy) -> tuple[float, int] | None:
        """Return the best value of a study and its trial's number."""
        if len(study.directions) != 1:
            return None
        try:
            best = self._storage.get_best_trial(study.study_id)
        except ValueError:
            return None
        assert best.value is not None
        return best.value, best.number

    def start(
        self,
        _connection: sa.Connection,
        study_id: int,
        starts: Sequence[TrialStart],
        claim: Callable[[Sequence[int]], None],
    ) -> list[TrialHandle]:
        """Make trials that wait, claim them, and make them RUNNING.

        A kill before they are claimed leaves trials that wait, which nobody runs; they are
        outside the budget.
        """
        ids = [self._storage.create_new_trial(study_id, _make_waiting(start)) for start in starts]
        claim(ids)
        self.resume(_connection, ids)
        return [
            TrialHandle(trial_id=trial_id, number=self._storage.get_trial(trial_id).number)
            for trial_id in ids
        ]

    def find_trial(self, _connection: sa.Connection, study_id: int, number: int) -> int | None:
        """Return the id of the trial of that number, if there is one."""
        try:
            return self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
        except KeyError:
            return None

    def find_running(
        self, _connection: sa.Connection, trial_ids: Collection[int]
    ) -> Collection[int]:
        """Return those of the trials that are RUNNING."""
        running = TrialState.RUNNING
        return {
            trial_id for trial_id in trial_ids if self._storage.get_trial(trial_id).state == running
        }

    def find_unfinished(
        self, _connection: sa.Connection, study_id: int
    ) -> dict[int, TrialStateName]:
        """Return the states of the trials that are RUNNING or WAITING, by id."""
        unfinished = (TrialState.RUNNING, TrialState.WAITING)
        trials = self._storage.get_all_trials(study_id, deepcopy=False, states=unfinished)
        return {trial._trial_id: _name(trial.state) for trial in trials}

    def resume(self, _connection: sa.Connection, trial_ids: Collection[int]) -> None:
        """Make WAITING trials RUNNING; leave RUNNING ones alone."""
        for trial_id in trial_ids:
            self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)

    def pause(self, _connection: sa.Connection, trial_ids: Collection[int]) -> None:
        """Make RUNNING trials WAITING."""
        for trial_id in trial_ids:
            self._storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def write(self, _connection: sa.Connection, tells: Sequence[TrialTell]) -> None:
        """Write intermediate values, and for finished trials value, attributes and state."""
        for tell in tells:
            known = self._storage.get_trial(tell.trial_id).intermediate_values
            for step, value in tell.intermediate.items():
                if step not in known:
                    self._storage.set_trial_intermediate_value(tell.trial_id, step, value)
            if tell.state is None:
                continue
            if tell.state != "WAITING":
                for key, attribute in make_attributes(tell).items():
                    self._storage.set_trial_user_attr(tell.trial_id, key, attribute)
            values = None if tell.value is None else [tell.value]
            self._storage.set_trial_state_values(tell.trial_id, TrialState[tell.state], values)

    def read(
        self,
        _connection: sa.Connection,
        study_id: int,
        trial_ids: Collection[int] | None = None,
    ) -> list[OptunaTrial]:
        """Return the study's trials, or some of them, by number."""
        trials = self._storage.get_all_trials(study_id, deepcopy=False)
        found = [_make_trial(trial) for trial in trials]
        return [trial for trial in found if trial_ids is None or trial.trial_id in trial_ids]

    def read_frozen(
        self, _connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> list[FrozenTrial]:
        """Return the study's trials, or some of them, by number."""
        trials = self._storage.get_all_trials(study_id)
        return [trial for trial in trials if trial_ids is None or trial._trial_id in trial_ids]

    def read_params(
        self, _connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> dict[int, OptunaParams]:
        """Return the parameters of the study's trials, or of some of them, by id."""
        return {
            trial.trial_id: (dict(trial.params), dict(trial.distributions))
            for trial in self.read(_connection, study_id, trial_ids)
        }

    def read_ends(
        self, _connection: sa.Connection, study_id: int, trial_ids: Collection[int]
    ) -> list[OptunaEnd]:
        """Return how those of the trials ended that have."""
        return [
            OptunaEnd(
                trial_id=trial.trial_id,
                number=trial.number,
                state=trial.state,
                value=trial.value,
                intermediate=trial.intermediate,
            )
            for trial in self.read(_connection, study_id, trial_ids)
            if TrialState[trial.state].is_finished()
        ]


def _try_lock(engine: sa.Engine, study_id: int, lease_id: int | None) -> bool:
    """Put the lease's name on the study, unless that of another live one is there."""
    with get_dialect(engine).writing(engine) as connection:
        query = sa.select(studies.c.locked_by).where(studies.c.study_id == study_id)
        owner = connection.execute(query).scalar()
        if owner not in (None, lease_id) and find_live(connection, {owner}):
            return False
        update = sa.update(studies).where(studies.c.study_id == study_id)
        connection.execute(update.values(locked_by=lease_id))
    return True


def _unlock(engine: sa.Engine, study_id: int, lease_id: int | None) -> None:
    with get_dialect(engine).writing(engine) as connection:
        update = sa.update(studies).where(
            studies.c.study_id == study_id, studies.c.locked_by == lease_id
        )
        connection.execute(update.values(locked_by=None))


def _make_waiting(start: TrialStart) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=TrialState.WAITING,
        params=dict(start.params),
        distributions=dict(start.distributions),
    )


def _make_trial(trial: FrozenTrial) -> OptunaTrial:
    return OptunaTrial(
        trial_id=trial._trial_id,  # private, but its public twin is a query for each trial
        number=trial.number,
        state=_name(trial.state),
        value=trial.value if trial.values else None,
        params=trial.params,
        distributions=trial.distributions,
        intermediate=dict(sorted(trial.intermediate_values.items())),
        started_at=_to_utc(trial.datetime_start),
        finished_at=_to_utc(trial.datetime_complete),
    )


def _name(state: TrialState) -> TrialStateName:
    return cast(TrialStateName, state.name)


def _to_utc(local: datetime.datetime | None) -> datetime.datetime | None:
    """Return the UTC time of the local one that Optuna gives, both without saying so."""
    return None if local is None else local.astimezone(datetime.UTC).replace(tzinfo=None)
