"""One database: Optuna's tables and ours, asked and told in packs of trials.

Every method is one transaction: it happens whole, or, where it raises, not at all.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.storages import BaseStorage
from sqlalchemy import Connection, insert, select

from archloss.spaces.outcome import Outcome
from archloss.storage import leases, optuna_tables, ours, tables
from archloss.storage.connection import BUSY_TIMEOUT_S, open_engine, transaction
from archloss.storage.errors import StorageError, StudyExistsError, StudyNotFoundError
from archloss.storage.records import (
    Checkpoint,
    Curve,
    StudyRecord,
    StudySummary,
    TrialHandle,
    TrialRecord,
    TrialStart,
    TrialStateName,
    TrialTell,
)
from archloss.storage.schema import make_tables

__all__ = ["Database", "StorageError", "StudyExistsError", "StudyNotFoundError"]

_COUNTED: tuple[TrialStateName, ...] = ("RUNNING", "WAITING", "COMPLETE", "PRUNED")


class Database:
    """Studies and their trials behind one URL; opening it makes or checks the tables.

    Raises StorageError where the database cannot be opened, read or written. May be used from
    several threads.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._url = url
        self._busy_timeout_s = busy_timeout_s
        self._engine = open_engine(url, busy_timeout_s=busy_timeout_s)
        make_tables(self._engine, url, busy_timeout_s=busy_timeout_s)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def optuna_storage(self) -> BaseStorage:
        """Return an ordinary Optuna storage on the same database."""
        return optuna_tables.open_optuna_storage(self._url, busy_timeout_s=self._busy_timeout_s)

    def create_study(
        self,
        *,
        name: str,
        spec: str,
        digest: str,
        fingerprint: str,
        environment: Mapping[str, str],
    ) -> StudyRecord:
        """Write a new study, to be minimised; raise StudyExistsError if the name is taken."""
        with transaction(self._engine, write=True) as connection:
            if optuna_tables.find_study(connection, name) is not None:
                raise StudyExistsError(
                    f"a study must have a name of its own, but there is one called {name!r} "
                    "already: choose another with --name"
                )
            ours.sweep_orphans(connection)
            study_id = optuna_tables.insert_study(connection, name)
            row: dict[str, Any] = {
                "study_id": study_id,
                "spec": spec,
                "digest": digest,
                "fingerprint": fingerprint,
                "environment": dict(environment),
                "created_at": optuna_tables.utc_now(),
            }
            connection.execute(insert(tables.studies).values(row))
        return StudyRecord(name=name, **row)

    def get_study(self, name: str) -> StudyRecord:
        """Return a study that archloss made; raise StudyNotFoundError if there is none."""
        with transaction(self._engine, write=False) as connection:
            study_id = optuna_tables.find_study(connection, name)
            columns = tables.studies.c
            row = connection.execute(
                select(tables.studies).where(columns.study_id == study_id)
            ).one_or_none()
            if row is None:
                raise self._not_found(connection, name, exists=study_id is not None)
        return StudyRecord(name=name, **row._mapping)

    def list_studies(self) -> list[StudySummary]:
        """Return all studies of the database, other programs' too, oldest first."""
        with transaction(self._engine, write=False) as connection:
            names = optuna_tables.read_study_names(connection)
            columns = tables.studies.c
            rows = connection.execute(select(columns.study_id, columns.created_at))
            created = {row.study_id: row.created_at for row in rows}
            summaries = []
            for study_id, name in names.items():
                best = optuna_tables.read_best(connection, study_id, 1)
                summaries.append(
                    StudySummary(
                        name=name,
                        ours=study_id in created,
                        counts=optuna_tables.count_states(connection, study_id),
                        best_value=best[0][2] if best else None,
                        best_number=best[0][1] if best else None,
                        created_at=created.get(study_id),
                    )
                )
        return summaries

    def delete_study(self, name: str) -> None:
        """Delete a study that archloss made, with all its trials, for good."""
        study_id = self.get_study(name).study_id
        with transaction(self._engine, write=True) as connection:
            ours.delete_study(connection, study_id)
            optuna_tables.delete_study(connection, study_id)

    def open_lease(self, study_id: int) -> int:
        """Write that this process drives a study; return the lease's id."""
        with transaction(self._engine, write=True) as connection:
            return leases.open_lease(connection, study_id)

    def renew_lease(self, lease_id: int) -> None:
        """Say that this lease's driver lives; due at least every minute."""
        with transaction(self._engine, write=True) as connection:
            leases.renew_lease(connection, lease_id)

    def close_lease(self, lease_id: int) -> None:
        """Give a lease back; what runs under it may be taken over at once."""
        with transaction(self._engine, write=True) as connection:
            leases.close_lease(connection, lease_id)

    def start_trials(
        self,
        study_id: int,
        lease_id: int,
        starts: Sequence[TrialStart],
        *,
        budget: int | None,
    ) -> list[TrialHandle]:
        """Start trials in order, as many as `budget` has room for; return them.

        What is running, waiting, complete or pruned fills the budget; None has room for all.
        """
        with transaction(self._engine, write=True) as connection:
            if budget is not None:
                counts = optuna_tables.count_states(connection, study_id)
                room = budget - sum(counts.get(state, 0) for state in _COUNTED)
                starts = starts[: max(0, room)]
            if not starts:
                return []
            started = optuna_tables.insert_running(connection, study_id, starts)
            ours.insert_trials(connection, study_id, lease_id, [row[0] for row in started])
        return [TrialHandle(trial_id=trial_id, number=number) for trial_id, number in started]

    def tell(self, lease_id: int, tells: Sequence[TrialTell], *, keep_weights: int) -> set[int]:
        """Write what came of a rung; return the ids of the trials it was accepted for.

        A trial that is not RUNNING under this lease (it was given up for dead, and another
        driver has taken it over) is refused: nothing of it is written. Weights are kept of the
        study's `keep_weights` best trials.
        """
        if not tells:
            return set()
        with transaction(self._engine, write=True) as connection:
            study_id = connection.execute(
                select(tables.leases.c.study_id).where(tables.leases.c.lease_id == lease_id)
            ).scalar_one_or_none()
            if study_id is None:
                return set()
            running = set(optuna_tables.select_in_state(connection, study_id, ["RUNNING"]))
            holders = ours.read_holders(connection, [tell.trial_id for tell in tells])
            accepted = [
                tell
                for tell in tells
                if tell.trial_id in running and holders.get(tell.trial_id) == lease_id
            ]
            self._write(connection, study_id, accepted, keep_weights)
        return {tell.trial_id for tell in accepted}

    def take_over(
        self, study_id: int, lease_id: int
    ) -> list[tuple[TrialRecord, tuple[Checkpoint, ...]]]:
        """Make trials RUNNING under this lease that are paused, or whose driver is dead.

        Returns them by number, with the checkpoints to go on from (none: from the start). Only
        trials that archloss started are touched.
        """
        with transaction(self._engine, write=True) as connection:
            live = leases.find_live_leases(connection, study_id)
            stopped = optuna_tables.select_in_state(connection, study_id, ["RUNNING", "WAITING"])
            holders = ours.read_holders(connection, stopped)
            taken = [i for i in stopped if i in holders and holders[i] not in live]
            optuna_tables.set_states(connection, dict.fromkeys(taken, "RUNNING"))
            ours.set_holder(connection, taken, lease_id)
            records = self._read_records(connection, study_id, taken)
            return [
                (record, ours.read_states(connection, "checkpoint", record.trial_id))
                for record in records
            ]

    def count_states(self, study_id: int) -> dict[TrialStateName, int]:
        """Return how many trials are in each state that occurs."""
        with transaction(self._engine, write=False) as connection:
            return optuna_tables.count_states(connection, study_id)

    def read_trials(self, study_id: int) -> list[TrialRecord]:
        """Return all trials of a study, by number."""
        with transaction(self._engine, write=False) as connection:
            return self._read_records(connection, study_id, None)

    def read_curves(self, study_id: int, number: int) -> list[Curve]:
        """Return a trial's curves, by replicate and metric; none for a trial without."""
        with transaction(self._engine, write=False) as connection:
            trial_id = optuna_tables.select_trial_id(connection, study_id, number)
            return [] if trial_id is None else ours.read_curves(connection, trial_id)

    def read_weights(self, study_id: int, number: int) -> tuple[Checkpoint, ...]:
        """Return a trial's final weights by replicate; none if they were not kept."""
        with transaction(self._engine, write=False) as connection:
            trial_id = optuna_tables.select_trial_id(connection, study_id, number)
            return () if trial_id is None else ours.read_states(connection, "weights", trial_id)

    def read_test(self, study_id: int, number: int) -> dict[int, dict[str, float]]:
        """Return a completed trial's metrics on the test split, by replicate."""
        with transaction(self._engine, write=False) as connection:
            trial_id = optuna_tables.select_trial_id(connection, study_id, number)
            row = ours.read_trials(connection, study_id).get(-1 if trial_id is None else trial_id)
        metrics = row.test if row is not None and row.test else {}
        return {int(replicate): dict(values) for replicate, values in metrics.items()}

    def _write(
        self,
        connection: Connection,
        study_id: int,
        tells: Sequence[TrialTell],
        keep_weights: int,
    ) -> None:
        optuna_tables.insert_intermediates(connection, {t.trial_id: t.intermediate for t in tells})
        ours.insert_curves(connection, tells)
        ours.update_trials(connection, tells)
        checkpoints = {t.trial_id: t.checkpoints for t in tells if t.checkpoints}
        ours.replace_states(connection, study_id, "checkpoint", checkpoints)
        changes = {tell.trial_id: tell.state for tell in tells if tell.state is not None}
        optuna_tables.set_states(connection, changes)
        finished = [tell for tell in tells if tell.state not in (None, "WAITING")]
        ours.delete_states(connection, "checkpoint", [tell.trial_id for tell in finished])
        optuna_tables.insert_values(
            connection, {t.trial_id: t.value for t in finished if t.value is not None}
        )
        optuna_tables.insert_user_attributes(
            connection,
            {
                t.trial_id: {"outcome": t.outcome.name if t.outcome else "", "seconds": t.seconds}
                for t in finished
            },
        )
        weights = {tell.trial_id: tell.weights for tell in finished if tell.weights}
        if weights:
            ours.replace_states(connection, study_id, "weights", weights)
            ours.keep_best_weights(connection, study_id, keep_weights)

    def _read_records(
        self, connection: Connection, study_id: int, trial_ids: Sequence[int] | None
    ) -> list[TrialRecord]:
        own = ours.read_trials(connection, study_id)
        records = []
        for row in optuna_tables.read_rows(connection, study_id, trial_ids):
            mine = own.get(row["trial_id"])
            records.append(
                TrialRecord(
                    **row,
                    outcome=Outcome[mine.outcome] if mine and mine.outcome else None,
                    message=mine.message if mine else None,
                    seconds=mine.seconds if mine else None,
                )
            )
        return records

    def _not_found(self, connection: Connection, name: str, *, exists: bool) -> StudyNotFoundError:
        if exists:
            return StudyNotFoundError(
                f"the study must be one that archloss made, but {name!r} was made by another "
                "program: open it with Optuna"
            )
        known = list(optuna_tables.read_study_names(connection).values())
        near = difflib.get_close_matches(name, known, n=1)
        if near:
            hint = f"did you mean {near[0]!r}?"
        elif known:
            hint = f"there are {', '.join(repr(other) for other in known[:8])}"
        else:
            hint = "there are none yet; `archloss launch --dataset digits` makes one"
        return StudyNotFoundError(f"there is no study called {name!r}: {hint}")
