"""One database: Optuna's tables and ours behind one door, a transaction for each call."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.storages import BaseStorage, RDBStorage

from archloss.storage import leases, metrics, results, sharing, tables
from archloss.storage.access import RECONNECT_S, Access, Change
from archloss.storage.assembly import (
    check_tell,
    explain_elsewhere,
    explain_missing,
    make_driver,
    make_study,
)
from archloss.storage.dialects import BUSY_TIMEOUT_S, show_url
from archloss.storage.errors import (
    StorageError,
    StorageURLError,
    StudyExistsError,
    StudyMovedError,
    StudyNotFoundError,
)
from archloss.storage.optuna_trials import OptunaStudy, read_clock
from archloss.storage.records import (
    Checkpoint,
    Curve,
    DriverRecord,
    News,
    StudyRecord,
    StudySummary,
    TrialHandle,
    TrialRecord,
    TrialStart,
    TrialStateName,
    TrialTell,
)
from archloss.storage.sharing import Driver
from archloss.storage.viewing import StudyReads, ViewStorage, stamp_study

__all__ = [
    "Database",
    "StorageError",
    "StorageURLError",
    "StudyExistsError",
    "StudyMovedError",
    "StudyNotFoundError",
]

_RENEW_WITHIN_S = 10.0


class Database:
    """The studies at one URL. Any number of threads and processes may use it at once.

    `busy_timeout_s` is how long a call waits for other writers, `reconnect_s` how long for a
    server that is away or cut the connection: what was asked is then done once, not twice.
    `notes` are what a person should know about this database. Every method may raise StorageError;
    a URL that cannot be used raises StorageURLError.
    """

    def __init__(
        self,
        url: str,
        *,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        reconnect_s: float = RECONNECT_S,
    ) -> None:
        self._access = Access(url, busy_timeout_s=busy_timeout_s, reconnect_s=reconnect_s)
        self.notes = self._access.notes
        self._rdb: RDBStorage | None = None
        self._study_ids: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"Database({show_url(self._access.url)!r})"

    def close(self) -> None:
        """Let go of all connections; calls on other threads that wait for a server give up."""
        self._access.close()
        if self._rdb is not None:
            self._rdb.remove_session()
            self._rdb.engine.dispose()

    def optuna_storage(self) -> BaseStorage:
        """Return an ordinary Optuna storage on the same database, which caches what it read."""
        if self._rdb is None:
            self._rdb = self._access.open_optuna()
            self._cached = optuna.storages.get_storage(self._rdb)
        return self._cached

    def view_storage(self) -> BaseStorage:
        """Return an Optuna storage for pages that look at studies: quick to read and to draw."""
        return ViewStorage(self.optuna_storage(), StudyReads(self._access))

    def stamp_study(self, study_id: int) -> str | None:
        """Return what changes when anything in a study does; None while any trial may change.

        None also where there is no such study.
        """
        stamp = self._access.read(
            lambda connection: stamp_study(self._access.optuna, connection, study_id)
        )
        if stamp is None:
            return None
        users = self.optuna_storage().get_study_user_attrs(study_id)
        return f"{stamp} {json.dumps(users, sort_keys=True)}"

    def read_attributes(self, study_id: int) -> dict[str, Any]:
        """Return the system attributes of a study, which readers other than archloss set too."""
        return self._access.read(
            lambda connection: self._access.optuna.read_attributes(connection, study_id)
        )

    def write_attributes(self, study_id: int, attributes: Mapping[str, Any]) -> None:
        """Set system attributes of a study all at once: nobody sees some of them alone."""
        self._access.change(
            study_id,
            None,
            lambda change: change.optuna.write_attributes(change.connection, study_id, attributes),
        )

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
        created_at = read_clock()
        row = {
            "spec": spec,
            "digest": digest,
            "fingerprint": fingerprint,
            "environment": json.dumps(dict(environment)),
            "created_at": created_at,
        }
        study_id = self._access.change(None, None, lambda change: _create(change, name, row))
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
        known, ours = self._access.read(self._read_studies)
        for study in known:
            if study.name == name and study.study_id in ours:
                return ours[study.study_id]
        raise StudyNotFoundError(explain_missing(name, known, ours))

    def list_studies(self) -> list[StudySummary]:
        """Return a line for each study in the database, in the order they were made."""

        def summarise(connection: sa.Connection) -> list[StudySummary]:
            known, ours = self._read_studies(connection)
            return [self._summarise(connection, study, ours) for study in known]

        return self._access.read(summarise)

    def delete_study(self, name: str) -> None:
        """Delete a study of ours with all its trials, in Optuna's tables and in ours."""
        study = self.get_study(name)

        def delete(change: Change) -> None:
            change.optuna.delete_study(change.connection, study.study_id)
            results.remove_leftovers(change.connection, study.study_id)

        self._access.change(None, None, delete)

    def open_lease(self, study_id: int) -> int:
        """Say that this process works on the study; return the lease's id.

        Raises StorageError where another machine works on the same SQLite file.
        """

        def open_once(change: Change) -> int:
            opened = None
            if change.repeated:
                opened = leases.find_opened(change.connection, study_id, change.token)
            if not self._access.dialect.is_served:
                elsewhere = leases.find_elsewhere(change.connection)
                if elsewhere is not None:
                    raise StorageError(explain_elsewhere(self._access.url, elsewhere))
            return opened or leases.open_lease(change.connection, study_id, change.token)

        return self._access.write(open_once)

    def renew_lease(self, lease_id: int) -> bool:
        """Say that the lease's driver lives; due well within `leases.LEASE_TIMEOUT_S`.

        Return whether it is asked to stop. A server that is away is waited for only shortly: the
        next renewal does as well.
        """
        return self._access.write(
            lambda change: leases.renew_lease(change.connection, lease_id),
            patience_s=_RENEW_WITHIN_S,
        )

    def close_lease(self, lease_id: int) -> None:
        """Say that the driver is done: what it left RUNNING may be taken over at once."""
        self._access.write(lambda change: leases.close_lease(change.connection, lease_id))

    def count_leases(self, study_id: int, *, before: int | None = None) -> int:
        """Return how many leases were ever opened on the study, or how many before one of them."""
        return self._access.read(
            lambda connection: leases.count_leases(connection, study_id, before=before)
        )

    def request_stop(self, study_id: int) -> None:
        """Ask the drivers that work on the study now to stop; later ones are not asked."""
        if not self._access.write(lambda change: leases.request_stop(change.connection, study_id)):
            raise StudyNotFoundError(f"there is no study of ours with the id {study_id}")

    def stop_requested(self, lease_id: int) -> bool:
        """Say whether the lease's driver is asked to stop."""
        return self._access.read(lambda connection: leases.is_stop_requested(connection, lease_id))

    def list_drivers(self, study_id: int) -> list[DriverRecord]:
        """Return the drivers that work on the study now, in the order they came."""

        def read(connection: sa.Connection) -> list[DriverRecord]:
            running = results.count_running(connection, study_id)
            live = leases.read_live(connection, study_id)
            return [make_driver(row, running.get(row.lease_id, 0)) for row in live]

        return self._access.read(read)

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
        driver = Driver(study_id, lease_id)
        return self._access.change(
            study_id,
            lease_id,
            lambda change: sharing.start_trials(
                change, driver, starts, budget=budget, expected_count=expected_count
            ),
        )

    def tell(self, lease_id: int, tells: Sequence[TrialTell], *, keep_weights: int) -> set[int]:
        """Write what became of trials; return the ids of those that were accepted.

        A trial that is not RUNNING under the lease is refused whole. Weights are kept of the best
        `keep_weights` trials of the study.
        """
        for tell in tells:
            check_tell(tell)
        driver = Driver(self._find_study(lease_id), lease_id)
        return self._access.change(
            driver.study_id,
            lease_id,
            lambda change: sharing.tell(change, driver, tells, keep_weights=keep_weights),
            alone=any(tell.weights for tell in tells),
        )

    def take_over(
        self, study_id: int, lease_id: int, *, budget: int | None = None
    ) -> list[tuple[TrialRecord, tuple[Checkpoint, ...]]]:
        """Make RUNNING under this lease whatever is paused, or whose driver is dead.

        No more of them than the budget has room for beside what is finished and running: what
        dead drivers were running first, then what is paused. The rest is, or becomes, paused.
        """
        driver = Driver(study_id, lease_id)
        return self._access.change(
            study_id, lease_id, lambda change: sharing.take_over(change, driver, budget=budget)
        )

    def read_trials(self, study_id: int) -> list[TrialRecord]:
        """Return all trials of a study, by number."""
        return self._access.read(
            lambda connection: sharing.read_trials(self._access.optuna, connection, study_id, None)
        )

    def read_news(
        self,
        study_id: int,
        *,
        first_number: int,
        trial_ids: Collection[int],
        with_params: bool = True,
    ) -> News:
        """Return the trials from a number on, and how they or those with these ids ended.

        The cost is that of what is returned, not of the study.
        """
        return self._access.read(
            lambda connection: sharing.read_news(
                self._access.optuna,
                connection,
                study_id,
                first_number=first_number,
                trial_ids=trial_ids,
                with_params=with_params,
            )
        )

    def read_curves(self, study_id: int, number: int) -> list[Curve]:
        """Return every metric of every replicate of a trial, at every epoch."""
        return self._access.read(
            lambda connection: metrics.read_curves(
                connection, self._find_trial(connection, study_id, number)
            )
        )

    def read_checkpoints(self, trial_ids: Collection[int]) -> Mapping[int, tuple[Checkpoint, ...]]:
        """Return the checkpoints of unfinished trials, by id; a trial without any is left out."""
        return self._access.read(lambda connection: results.read_checkpoints(connection, trial_ids))

    def read_weights(self, study_id: int, number: int) -> tuple[Checkpoint, ...]:
        """Return a trial's weights, by replicate; none if it is not among the best."""
        return self._access.read(
            lambda connection: results.read_weights(
                connection, self._find_trial(connection, study_id, number)
            )
        )

    def read_test(self, study_id: int, number: int) -> Mapping[int, Mapping[str, float]]:
        """Return a trial's metrics on the test split, by replicate."""
        return self._access.read(
            lambda connection: metrics.read_test(
                connection, self._find_trial(connection, study_id, number)
            )
        )

    def read_metric(
        self, study_id: int, trial_ids: Collection[int], metric: str
    ) -> Mapping[int, tuple[Curve, ...]]:
        """Return one metric of every replicate of some trials, by id; one without it is left out.

        One statement reads it all: ask for as many trials as are needed, and no more.
        """
        return self._access.read(
            lambda connection: metrics.read_metric(connection, study_id, trial_ids, metric)
        )

    def read_tests(
        self, study_id: int, trial_ids: Collection[int], metric: str
    ) -> Mapping[int, Mapping[int, float]]:
        """Return one metric on the test split of some trials, by id and replicate."""
        return self._access.read(
            lambda connection: metrics.read_tests(connection, study_id, trial_ids, metric)
        )

    def count_states(self, study_id: int) -> dict[TrialStateName, int]:
        """Return how many trials are in each state that any is in."""
        return self._access.read(
            lambda connection: self._access.optuna.count_states(connection, study_id)
        )

    def _read_studies(
        self, connection: sa.Connection
    ) -> tuple[list[OptunaStudy], dict[int, StudyRecord]]:
        """Return all studies, and our part of those that are ours, by id."""
        known = self._access.optuna.list_studies(connection)
        rows = {row.study_id: row for row in connection.execute(sa.select(tables.studies))}
        return known, {
            study.study_id: make_study(study.name, rows[study.study_id])
            for study in known
            if study.study_id in rows and rows[study.study_id].token == study.token
        }

    def _summarise(
        self, connection: sa.Connection, study: OptunaStudy, ours: Mapping[int, StudyRecord]
    ) -> StudySummary:
        best = self._access.optuna.find_best(connection, study)
        record = ours.get(study.study_id)
        return StudySummary(
            name=study.name,
            ours=record is not None,
            counts=self._access.optuna.count_states(connection, study.study_id),
            best_value=None if best is None else best[0],
            best_number=None if best is None else best[1],
            created_at=None if record is None else record.created_at,
        )

    def _find_study(self, lease_id: int) -> int:
        """Return the study that a lease is on; it never changes."""
        if lease_id not in self._study_ids:
            study_id = self._access.read(lambda connection: leases.find_study(connection, lease_id))
            if study_id is None:
                raise StudyNotFoundError(f"the study of lease {lease_id} was deleted meanwhile")
            self._study_ids[lease_id] = study_id
        return self._study_ids[lease_id]

    def _find_trial(self, connection: sa.Connection, study_id: int, number: int) -> int:
        trial_id = self._access.optuna.find_trial(connection, study_id, number)
        if trial_id is None:
            raise StorageError(f"the study with the id {study_id} has no trial {number}")
        return trial_id


def _create(change: Change, name: str, row: Mapping[str, object]) -> int:
    """Make a study with its row of ours; one that an earlier try made is taken for its own."""
    study_id = None
    if change.repeated:
        known = change.optuna.list_studies(change.connection)
        study_id = next((s.study_id for s in known if s.token == change.token), None)
    if study_id is None:
        study_id = change.optuna.create_study(change.connection, name, change.token)
    if study_id is None:
        raise StudyExistsError(
            f"a study named {name!r} is in the database already; choose another name"
        )
    results.remove_leftovers(change.connection, study_id)
    ours = {**row, "study_id": study_id, "token": change.token}
    change.connection.execute(sa.insert(tables.studies), [ours])
    return study_id
