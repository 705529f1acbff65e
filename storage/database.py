"""One database: Optuna's tables and ours behind one door, a transaction for each call."""

import contextlib
import json
import math
import secrets
from collections.abc import Collection, Mapping, Sequence

import optuna
import sqlalchemy as sa
from optuna.storages import BaseStorage, RDBStorage

from archloss.storage import leases, results, tables
from archloss.storage.assembly import (
    check_tell,
    explain_missing,
    make_driver,
    make_record,
    make_study,
)
from archloss.storage.dialects import BUSY_TIMEOUT_S, explained, open_engine, read_url, writing
from archloss.storage.errors import (
    StorageError,
    StudyExistsError,
    StudyMovedError,
    StudyNotFoundError,
)
from archloss.storage.optuna_trials import OptunaStudy, OptunaTables, read_clock
from archloss.storage.records import (
    Checkpoint,
    Curve,
    DriverRecord,
    Ending,
    StudyRecord,
    StudySummary,
    TrialHandle,
    TrialRecord,
    TrialStart,
    TrialStateName,
    TrialTell,
)
from archloss.storage.schema import open_optuna, open_tables

__all__ = [
    "Database",
    "StorageError",
    "StudyExistsError",
    "StudyMovedError",
    "StudyNotFoundError",
]


class Database:
    """The studies at one URL. Any number of threads and processes may use it at once.

    `busy_timeout_s` is how long a call waits for other writers. `notes` are what a person should
    know about this database. Every method may raise StorageError.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._url = read_url(url)
        self._busy_timeout_s = busy_timeout_s
        self._engine = open_engine(self._url, busy_timeout_s=busy_timeout_s)
        self._rdb: RDBStorage | None = None
        self._optuna: OptunaTables
        try:
            with explained(self._url):
                self._optuna, self.notes = open_tables(self._engine, busy_timeout_s=busy_timeout_s)
        except BaseException:
            self._engine.dispose()
            raise

    def __repr__(self) -> str:
        return f"Database({self._url.render_as_string(hide_password=True)!r})"

    def close(self) -> None:
        """Let go of all connections."""
        self._optuna.close()
        self._engine.dispose()
        if self._rdb is not None:
            self._rdb.remove_session()
            self._rdb.engine.dispose()

    def optuna_storage(self) -> BaseStorage:
        """Return an ordinary Optuna storage on the same database, which caches what it read."""
        if self._rdb is None:
            with explained(self._url):
                self._rdb = open_optuna(self._engine, busy_timeout_s=self._busy_timeout_s)
            self._cached = optuna.storages.get_storage(self._rdb)
        return self._cached

    def create_study(
        self,
        *,
        name: str,
        spec: str,
        digest: str,
        fingerprint: str,
        environment: Mapping[str, str],
    ) -> StudyRecord:
        """Make a study that is minimised, or raise StudyExistsError."""
        token = secrets.token_hex(16)
        created_at = read_clock()
        with explained(self._url), self._optuna.changing(self._engine, None, None) as connection:
            study_id = self._optuna.create_study(connection, name, token)
            if study_id is None:
                raise StudyExistsError(
                    f"a study named {name!r} is in the database already; choose another name"
                )
            results.remove_leftovers(connection, study_id)
            row = {
                "study_id": study_id,
                "token": token,
                "spec": spec,
                "digest": digest,
                "fingerprint": fingerprint,
                "environment": json.dumps(dict(environment)),
                "created_at": created_at,
            }
            connection.execute(sa.insert(tables.studies), [row])
        return StudyRecord(
            study_id=study_id,
            name=name,
            spec=spec,
            digest=digest,
            fingerprint=fingerprint,
            environment=environment,
            created_at=created_at,
        )

    def get_study(self, name: str) -> StudyRecord:
        """Return a study of ours, or raise StudyNotFoundError naming the nearest there is."""
        with explained(self._url), self._engine.connect() as connection:
            known = self._optuna.list_studies(connection)
            ours = self._read_ours(connection, known)
        for study in known:
            if study.name == name and study.study_id in ours:
                return ours[study.study_id]
        raise StudyNotFoundError(explain_missing(name, known, ours))

    def list_studies(self) -> list[StudySummary]:
        """Return a line for each study in the database, in the order they were made."""
        with explained(self._url), self._engine.connect() as connection:
            known = self._optuna.list_studies(connection)
            ours = self._read_ours(connection, known)
            return [self._summarise(connection, study, ours) for study in known]

    def delete_study(self, name: str) -> None:
        """Delete a study of ours with all its trials, in Optuna's tables and in ours."""
        study = self.get_study(name)
        with explained(self._url), self._optuna.changing(self._engine, None, None) as connection:
            self._optuna.delete_study(connection, study.study_id)
            results.remove_leftovers(connection, study.study_id)

    def open_lease(self, study_id: int) -> int:
        """Say that this process works on the study; return the lease's id."""
        with explained(self._url), writing(self._engine) as connection:
            return leases.open_lease(connection, study_id, secrets.token_hex(16))

    def renew_lease(self, lease_id: int) -> bool:
        """Say that the lease's driver lives; due well within `leases.LEASE_TIMEOUT_S`.

        Return whether it is asked to stop.
        """
        with explained(self._url), writing(self._engine) as connection:
            return leases.renew_lease(connection, lease_id)

    def close_lease(self, lease_id: int) -> None:
        """Say that the driver is done: what it left RUNNING may be taken over at once."""
        with explained(self._url), writing(self._engine) as connection:
            leases.close_lease(connection, lease_id)

    def count_leases(self, study_id: int) -> int:
        """Return how many leases were ever opened on the study."""
        with explained(self._url), self._engine.connect() as connection:
            return leases.count_leases(connection, study_id)

    def request_stop(self, study_id: int) -> None:
        """Ask the drivers that work on the study now to stop; later ones are not asked."""
        with explained(self._url), writing(self._engine) as connection:
            if not leases.request_stop(connection, study_id):
                raise StudyNotFoundError(f"there is no study of ours with the id {study_id}")

    def stop_requested(self, lease_id: int) -> bool:
        """Say whether the lease's driver is asked to stop."""
        with explained(self._url), self._engine.connect() as connection:
            return leases.is_stop_requested(connection, lease_id)

    def list_drivers(self, study_id: int) -> list[DriverRecord]:
        """Return the drivers that work on the study now, in the order they came."""
        with explained(self._url), self._engine.connect() as connection:
            live = leases.read_live(connection, study_id)
            running = results.count_running(connection, study_id)
        return [make_driver(row, running.get(row.lease_id, 0)) for row in live]

    def start_trials(
        self,
        study_id: int,
        lease_id: int,
        starts: Sequence[TrialStart],
        *,
        budget: int | None,
        expected_count: int | None = None,
    ) -> list[TrialHandle]:
        """Start as many of the trials as the budget has room for, the first ones.

        The budget counts trials that are running, paused or finished, of every driver; not those
        that failed, nor what another program enqueued. With `expected_count`, nothing is started
        and StudyMovedError raised if the study holds another number of trials.
        """
        token = secrets.token_hex(16)
        with explained(self._url), self._changing(study_id, lease_id) as connection:
            if expected_count is not None:
                self._check_count(connection, study_id, expected_count)
            if budget is not None:
                room = budget - self._count_spent(connection, study_id)
                starts = starts[: max(0, room)]
            if not starts:
                return []
            return self._optuna.start(
                connection,
                study_id,
                starts,
                lambda ids: results.insert_started(
                    connection, study_id, ids, lease_id=lease_id, token=token
                ),
            )

    def tell(self, lease_id: int, tells: Sequence[TrialTell], *, keep_weights: int) -> set[int]:
        """Write what became of trials; return the ids of those that were accepted.

        A trial that is not RUNNING under the lease is refused whole. Weights are kept of the best
        `keep_weights` trials of the study.
        """
        for tell in tells:
            check_tell(tell)
        token = secrets.token_hex(16)
        study_id = self._find_study(lease_id)
        with explained(self._url), self._changing(study_id, lease_id) as connection:
            leased = results.find_leased(connection, lease_id, [tell.trial_id for tell in tells])
            accepted = set(self._optuna.find_running(connection, leased))
            tells = [tell for tell in tells if tell.trial_id in accepted]
            if tells:
                results.write_results(connection, tells, lease_id=lease_id, token=token)
                self._optuna.write(connection, tells)
            finished = [t.trial_id for t in tells if t.state not in (None, "WAITING")]
            if finished:
                results.delete_checkpoints(connection, finished)
            if any(tell.weights for tell in tells):
                self._drop_weights(connection, study_id, keep_weights)
        return accepted

    def take_over(
        self, study_id: int, lease_id: int, *, budget: int | None = None
    ) -> list[tuple[TrialRecord, tuple[Checkpoint, ...]]]:
        """Make RUNNING under this lease whatever is paused, or whose driver is dead.

        No more of them than the budget has room for beside what is finished and running: what
        dead drivers were running first, then what is paused. The rest is, or becomes, paused.
        """
        token = secrets.token_hex(16)
        with explained(self._url), self._changing(study_id, lease_id) as connection:
            unfinished = self._optuna.find_unfinished(connection, study_id)
            owners = results.read_leases(connection, study_id, set(unfinished))
            live = leases.find_live(connection, set(owners.values())) | {lease_id}
            paused = sorted(i for i in owners if unfinished[i] == "WAITING")
            dead = sorted(i for i in owners if unfinished[i] == "RUNNING" and owners[i] not in live)
            taken = [*dead, *paused]
            if budget is not None:
                counts = self._optuna.count_states(connection, study_id)
                spent = sum(counts.get(s, 0) for s in ("RUNNING", "COMPLETE", "PRUNED"))
                taken = taken[: max(0, budget - spent + len(dead))]
            left = set(dead) - set(taken)
            if left:
                results.set_lease(connection, None, left, token)
                self._optuna.pause(connection, left)
            if not taken:
                return []
            results.set_lease(connection, lease_id, taken, token)
            self._optuna.resume(connection, taken)
            checkpoints = results.read_checkpoints(connection, taken)
            records = self._read(connection, study_id, taken)
        return [(record, checkpoints.get(record.trial_id, ())) for record in records]

    def read_trials(self, study_id: int) -> list[TrialRecord]:
        """Return all trials of a study, by number."""
        with explained(self._url), self._engine.connect() as connection:
            return self._read(connection, study_id, None)

    def read_news(
        self, study_id: int, *, first_number: int, trial_ids: Collection[int]
    ) -> list[TrialRecord]:
        """Return the trials from a number on, and those with these ids, by number.

        The cost is that of what is returned, not of the study.
        """
        with explained(self._url), self._engine.connect() as connection:
            later = self._optuna.find_from(connection, study_id, first_number)
            wanted = {*later, *trial_ids}
            return self._read(connection, study_id, wanted) if wanted else []

    def read_curves(self, study_id: int, number: int) -> list[Curve]:
        """Return every metric of every replicate of a trial, at every epoch."""
        with explained(self._url), self._engine.connect() as connection:
            return results.read_curves(connection, self._find_trial(connection, study_id, number))

    def read_weights(self, study_id: int, number: int) -> tuple[Checkpoint, ...]:
        """Return a trial's weights, by replicate; none if it is not among the best."""
        with explained(self._url), self._engine.connect() as connection:
            return results.read_weights(connection, self._find_trial(connection, study_id, number))

    def read_test(self, study_id: int, number: int) -> Mapping[int, Mapping[str, float]]:
        """Return a trial's metrics on the test split, by replicate."""
        with explained(self._url), self._engine.connect() as connection:
            return results.read_test(connection, self._find_trial(connection, study_id, number))

    def count_states(self, study_id: int) -> dict[TrialStateName, int]:
        """Return how many trials are in each state that any is in."""
        with explained(self._url), self._engine.connect() as connection:
            return self._optuna.count_states(connection, study_id)

    def _changing(
        self, study_id: int, lease_id: int
    ) -> contextlib.AbstractContextManager[sa.Connection]:
        return self._optuna.changing(self._engine, study_id, lease_id)

    def _read_ours(
        self, connection: sa.Connection, known: Sequence[OptunaStudy]
    ) -> dict[int, StudyRecord]:
        """Return our part of the studies that are ours, by id."""
        rows = {row.study_id: row for row in connection.execute(sa.select(tables.studies))}
        return {
            study.study_id: make_study(study.name, rows[study.study_id])
            for study in known
            if study.study_id in rows and rows[study.study_id].token == study.token
        }

    def _summarise(
        self, connection: sa.Connection, study: OptunaStudy, ours: Mapping[int, StudyRecord]
    ) -> StudySummary:
        best = self._optuna.find_best(connection, study)
        record = ours.get(study.study_id)
        return StudySummary(
            name=study.name,
            ours=record is not None,
            counts=self._optuna.count_states(connection, study.study_id),
            best_value=None if best is None else best[0],
            best_number=None if best is None else best[1],
            created_at=None if record is None else record.created_at,
        )

    def _check_count(self, connection: sa.Connection, study_id: int, expected: int) -> None:
        count = self._optuna.count_trials(connection, study_id)
        if count != expected:
            raise StudyMovedError(
                f"the study holds {count} trials where {expected} were expected: another driver "
                "started some"
            )

    def _count_spent(self, connection: sa.Connection, study_id: int) -> int:
        """Return how much of the budget is finished, running or paused."""
        counts = self._optuna.count_states(connection, study_id)
        spent = sum(counts.get(state, 0) for state in ("RUNNING", "COMPLETE", "PRUNED"))
        if counts.get("WAITING", 0):
            states = self._optuna.find_unfinished(connection, study_id)
            waiting = [trial_id for trial_id, state in states.items() if state == "WAITING"]
            spent += len(results.read_leases(connection, study_id, waiting))
        return spent

    def _drop_weights(self, connection: sa.Connection, study_id: int, keep: int) -> None:
        """Delete the weights of all but the best trials."""
        weighty = results.find_weighty(connection, study_id)
        trials = self._optuna.read(connection, study_id, weighty)
        trials.sort(key=lambda trial: math.inf if trial.value is None else trial.value)
        results.delete_weights(connection, [trial.trial_id for trial in trials[keep:]])

    def _read(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> list[TrialRecord]:
        endings = results.read_endings(connection, study_id, trial_ids)
        return [
            make_record(trial, endings.get(trial.trial_id, Ending()))
            for trial in self._optuna.read(connection, study_id, trial_ids)
        ]

    def _find_study(self, lease_id: int) -> int:
        with explained(self._url), self._engine.connect() as connection:
            study_id = leases.find_study(connection, lease_id)
        if study_id is None:
            raise StudyNotFoundError(f"the study of lease {lease_id} was deleted meanwhile")
        return study_id

    def _find_trial(self, connection: sa.Connection, study_id: int, number: int) -> int:
        trial_id = self._optuna.find_trial(connection, study_id, number)
        if trial_id is None:
            raise StorageError(f"the study with the id {study_id} has no trial {number}")
        return trial_id
