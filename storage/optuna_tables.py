"""Optuna's own tables, read and written in bulk: all that we know of its private models.

Optuna writes a trial in some hundred statements, each in a transaction; here a pack's rows go in
a dozen, in one. What is written is what Optuna 5 would have written, so that its readers need not
know. `load_models` and `read_revision` say whether the tables are the ones known here; where they
are not, `optuna_slow` does the same through Optuna's public storage.
"""

import contextlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.study import StudyDirection
from optuna.trial import TrialState

from archloss.storage.dialects import get_dialect, insert_rows, is_among, lock_study
from archloss.storage.errors import StudyNotFoundError
from archloss.storage.optuna_frozen import FrozenReader
from archloss.storage.optuna_trials import TOKEN_KEY, OptunaStudy, make_attributes, read_clock
from archloss.storage.records import TrialHandle, TrialStart, TrialStateName, TrialTell

KNOWN_REVISION = "v3.2.0.a"
_FIRST_BLOCK = 64

_KNOWN_COLUMNS = {
    "StudyModel": "study_id study_name",
    "StudyDirectionModel": "study_direction_id direction study_id objective",
    "StudyUserAttributeModel": "study_user_attribute_id study_id key value_json",
    "StudySystemAttributeModel": "study_system_attribute_id study_id key value_json",
    "TrialModel": "trial_id number study_id state datetime_start datetime_complete",
    "TrialUserAttributeModel": "trial_user_attribute_id trial_id key value_json",
    "TrialSystemAttributeModel": "trial_system_attribute_id trial_id key value_json",
    "TrialParamModel": "param_id trial_id param_name param_value distribution_json",
    "TrialValueModel": "trial_value_id trial_id objective value value_type",
    "TrialIntermediateValueModel": "trial_intermediate_value_id trial_id step intermediate_value "
    "intermediate_value_type",
    "TrialHeartbeatModel": "trial_heartbeat_id trial_id heartbeat",
}
_OF_A_TRIAL = (
    "TrialUserAttributeModel",
    "TrialSystemAttributeModel",
    "TrialParamModel",
    "TrialValueModel",
    "TrialIntermediateValueModel",
    "TrialHeartbeatModel",
)
_OF_A_STUDY = ("StudyDirectionModel", "StudyUserAttributeModel", "StudySystemAttributeModel")


def load_models() -> Any:
    """Return Optuna's private models if they are the ones known here, else None."""
    try:
        from optuna.storages._rdb import models
    except ImportError:
        return None
    for name, columns in _KNOWN_COLUMNS.items():
        table = getattr(getattr(models, name, None), "__table__", None)
        if table is None or {column.name for column in table.columns} != set(columns.split()):
            return None
    return models


def read_revision(connection: sa.Connection) -> str | None:
    """Return the revision of Optuna's tables; None where they are not, or not all, made yet."""
    names = set(sa.inspect(connection).get_table_names())
    if not {"alembic_version", "version_info", "trials"} <= names:
        return None
    if connection.exec_driver_sql("SELECT 1 FROM version_info").first() is None:
        return None
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if revision is None else str(revision)


class BulkOptunaTables(FrozenReader):
    """Optuna's tables by way of plain SQL, inside the caller's transaction."""

    def __init__(self, models: Any) -> None:
        super().__init__(models, {name: getattr(models, name).__table__ for name in _KNOWN_COLUMNS})
        self._studies = self._table["StudyModel"]

    def close(self) -> None:
        """Let go of nothing: the connections are the caller's."""

    @contextlib.contextmanager
    def changing(
        self,
        engine: sa.Engine,
        study_id: int | None,
        _lease_id: int | None,
        *,
        alone: bool = True,
    ) -> Iterator[sa.Connection]:
        """Enter one transaction for Optuna's rows and ours.

        If a study is named, alone on it, or beside others that are not alone.
        """
        with get_dialect(engine).writing(engine) as connection:
            if study_id is not None and not lock_study(
                connection, self._studies, study_id, alone=alone
            ):
                raise StudyNotFoundError(f"the study with the id {study_id} was deleted meanwhile")
            yield connection

    def sending(self, connection: sa.Connection) -> contextlib.AbstractContextManager[None]:
        """Enter a part of a change whose statements give nothing back."""
        return get_dialect(connection).sending(connection)

    def create_study(self, connection: sa.Connection, name: str, token: str) -> int | None:
        """Insert a study that is minimised; return its id, or None if the name is taken."""
        taken = sa.select(self._studies.c.study_id).where(self._studies.c.study_name == name)
        if connection.execute(taken).first() is not None:
            return None
        insert = sa.insert(self._studies).values(study_name=name)
        insert = insert.returning(self._studies.c.study_id)
        try:
            with connection.begin_nested():
                study_id = int(connection.execute(insert).scalar_one())
        except sa.exc.IntegrityError:  # another program has made it since we looked
            return None
        direction = {"study_id": study_id, "direction": StudyDirection.MINIMIZE, "objective": 0}
        connection.execute(sa.insert(self._table["StudyDirectionModel"]), [direction])
        attribute = {"study_id": study_id, "key": TOKEN_KEY, "value_json": json.dumps(token)}
        connection.execute(sa.insert(self._table["StudySystemAttributeModel"]), [attribute])
        return study_id

    def list_studies(self, connection: sa.Connection) -> list[OptunaStudy]:
        """Return every study in the database, by id."""
        attributes = self._table["StudySystemAttributeModel"]
        directions = self._table["StudyDirectionModel"]
        token = sa.select(attributes.c.study_id, attributes.c.value_json).where(
            attributes.c.key == TOKEN_KEY
        )
        tokens = {study: json.loads(text) for study, text in connection.execute(token)}
        by_study: dict[int, list[StudyDirection]] = {}
        for study_id, direction in connection.execute(
            sa.select(directions.c.study_id, directions.c.direction)
        ):
            by_study.setdefault(study_id, []).append(direction)
        return [
            OptunaStudy(
                study_id=study_id,
                name=name,
                token=tokens.get(study_id),
                directions=tuple(by_study.get(study_id, ())),
            )
            for study_id, name in connection.execute(
                sa.select(self._studies.c.study_id, self._studies.c.study_name).order_by(
                    self._studies.c.study_id
                )
            )
        ]

    def delete_study(self, connection: sa.Connection, study_id: int) -> None:
        """Delete every row that Optuna has of a study; ours go along by their foreign keys."""
        of_study = sa.select(self._trials.c.trial_id).where(self._trials.c.study_id == study_id)
        for name in _OF_A_TRIAL:
            table = self._table[name]
            connection.execute(sa.delete(table).where(table.c.trial_id.in_(of_study)))
        for table in (self._trials, *(self._table[name] for name in _OF_A_STUDY), self._studies):
            connection.execute(sa.delete(table).where(table.c.study_id == study_id))

    def read_attributes(self, connection: sa.Connection, study_id: int) -> dict[str, Any]:
        """Return the system attributes of a study."""
        table = self._table["StudySystemAttributeModel"].c
        query = sa.select(table.key, table.value_json).where(table.study_id == study_id)
        return {key: json.loads(text) for key, text in connection.execute(query)}

    def write_attributes(
        self, connection: sa.Connection, study_id: int, attributes: Mapping[str, Any]
    ) -> None:
        """Set system attributes of a study, in the place of those of the same names."""
        table = self._table["StudySystemAttributeModel"]
        old = sa.delete(table).where(table.c.study_id == study_id)
        connection.execute(old.where(table.c.key.in_(attributes)))
        rows = [
            {"study_id": study_id, "key": key, "value_json": json.dumps(value)}
            for key, value in attributes.items()
        ]
        self._insert(connection, "StudySystemAttributeModel", rows)

    def count_states(self, connection: sa.Connection, study_id: int) -> dict[TrialStateName, int]:
        """Return how many trials are in each state that any is in."""
        trials = self._trials.c
        query = (
            sa.select(trials.state, sa.func.count())
            .where(trials.study_id == study_id)
            .group_by(trials.state)
        )
        return {state.name: count for state, count in connection.execute(query)}

    def count_trials(self, connection: sa.Connection, study_id: int) -> int:
        """Return how many trials the study holds, which is the number of the next one."""
        query = sa.select(self._trials.c.number).where(self._trials.c.study_id == study_id)
        last = connection.execute(query.order_by(self._trials.c.trial_id.desc()).limit(1)).scalar()
        return 0 if last is None else int(last) + 1

    def find_from(self, connection: sa.Connection, study_id: int, number: int) -> list[TrialHandle]:
        """Return the trials with this number or a higher one, by number.

        Read from the last one backwards, by the primary key: numbers follow ids in a study.
        """
        trials = self._trials.c
        query = sa.select(trials.trial_id, trials.number).where(trials.study_id == study_id)
        query = query.order_by(trials.trial_id.desc())
        found: list[Any] = []
        block = _FIRST_BLOCK
        while True:
            before = query if not found else query.where(trials.trial_id < found[-1].trial_id)
            rows = connection.execute(before.limit(block)).all()
            found += [row for row in rows if row.number >= number]
            if len(rows) < block or rows[-1].number <= number:
                found.reverse()
                return [TrialHandle(trial_id=row.trial_id, number=row.number) for row in found]
            block *= 4

    def find_best(self, connection: sa.Connection, study: OptunaStudy) -> tuple[float, int] | None:
        """Return the best finite value of a study and its trial's number."""
        if len(study.directions) != 1:
            return None
        values = self._table["TrialValueModel"].c
        best = study.directions[0] is StudyDirection.MAXIMIZE
        query = (
            sa.select(values.value, self._trials.c.number)
            .join_from(self._trials, values.value.table)
            .where(self._trials.c.study_id == study.study_id)
            .where(self._trials.c.state == TrialState.COMPLETE)
            .where(values.value.is_not(None))
            .order_by(values.value.desc() if best else values.value, self._trials.c.number)
            .limit(1)
        )
        row = connection.execute(query).first()
        return None if row is None else (float(row[0]), int(row[1]))

    def start(
        self,
        connection: sa.Connection,
        study_id: int,
        starts: Sequence[TrialStart],
        claim: Callable[[Sequence[int]], None],
    ) -> list[TrialHandle]:
        """Insert RUNNING trials with their parameters, numbered on from the last."""
        trials = self._trials
        first = self.count_trials(connection, study_id)
        now = read_clock()
        rows = [
            {
                "study_id": study_id,
                "number": first + index,
                "state": TrialState.RUNNING,
                "datetime_start": now,
            }
            for index in range(len(starts))
        ]
        insert = sa.insert(trials).returning(trials.c.trial_id, sort_by_parameter_order=True)
        ids = connection.execute(insert, rows).scalars().all()
        with self.sending(connection):
            insert_rows(connection, self._table["TrialParamModel"], _make_params(ids, starts))
            claim(ids)
        return [
            TrialHandle(trial_id=trial_id, number=first + index)
            for index, trial_id in enumerate(ids)
        ]

    def find_trial(self, connection: sa.Connection, study_id: int, number: int) -> int | None:
        """Return the id of the trial of that number, if there is one."""
        trials = self._trials.c
        query = sa.select(trials.trial_id).where(
            trials.study_id == study_id, trials.number == number
        )
        return connection.execute(query).scalar()

    def find_running(
        self, connection: sa.Connection, trial_ids: Collection[int]
    ) -> Collection[int]:
        """Return those of the trials that are RUNNING, locked until the transaction ends."""
        trials = self._trials.c
        query = (
            sa.select(trials.trial_id)
            .where(is_among(connection, trials.trial_id, trial_ids))
            .where(trials.state == TrialState.RUNNING)
            .order_by(trials.trial_id)
            .with_for_update()
        )
        return set(connection.execute(query).scalars())

    def find_unfinished(
        self, connection: sa.Connection, study_id: int
    ) -> dict[int, TrialStateName]:
        """Return the states of the trials that are RUNNING or WAITING, by id."""
        trials = self._trials.c
        query = sa.select(trials.trial_id, trials.state).where(
            trials.study_id == study_id,
            trials.state.in_((TrialState.RUNNING, TrialState.WAITING)),
        )
        return {trial_id: state.name for trial_id, state in connection.execute(query)}

    def resume(self, connection: sa.Connection, trial_ids: Collection[int]) -> None:
        """Make WAITING trials RUNNING."""
        self._set_state(connection, trial_ids, TrialState.RUNNING)

    def pause(self, connection: sa.Connection, trial_ids: Collection[int]) -> None:
        """Make RUNNING trials WAITING."""
        self._set_state(connection, trial_ids, TrialState.WAITING)

    def write(self, connection: sa.Connection, tells: Sequence[TrialTell]) -> None:
        """Write intermediate values, and for finished trials value, attributes and state."""
        self._insert(connection, "TrialIntermediateValueModel", self._make_intermediates(tells))
        finished = [tell for tell in tells if tell.state not in (None, "WAITING")]
        self._insert(connection, "TrialValueModel", self._make_values(finished))
        self._insert(
            connection,
            "TrialUserAttributeModel",
            [
                {"trial_id": tell.trial_id, "key": key, "value_json": json.dumps(value)}
                for tell in finished
                for key, value in make_attributes(tell).items()
            ],
        )
        for name in {tell.state for tell in tells if tell.state is not None}:
            ids = [tell.trial_id for tell in tells if tell.state == name]
            self._set_state(connection, ids, TrialState[name])

    def _set_state(
        self, connection: sa.Connection, trial_ids: Collection[int], state: TrialState
    ) -> None:
        changes: dict[str, object] = {"state": state}
        if state.is_finished():
            changes["datetime_complete"] = read_clock()
        among = is_among(connection, self._trials.c.trial_id, trial_ids)
        connection.execute(sa.update(self._trials).where(among).values(changes))

    def _insert(
        self, connection: sa.Connection, name: str, rows: Sequence[Mapping[str, object]]
    ) -> None:
        insert_rows(connection, self._table[name], rows, known="left")

    def _make_intermediates(self, tells: Sequence[TrialTell]) -> list[dict[str, object]]:
        model = self._models.TrialIntermediateValueModel
        rows = []
        for tell in tells:
            for step, value in tell.intermediate.items():
                stored, kind = model.intermediate_value_to_stored_repr(value)
                rows.append(
                    {
                        "trial_id": tell.trial_id,
                        "step": step,
                        "intermediate_value": stored,
                        "intermediate_value_type": kind,
                    }
                )
        return rows

    def _make_values(self, tells: Sequence[TrialTell]) -> list[dict[str, object]]:
        rows = []
        for tell in tells:
            if tell.value is not None:
                stored, kind = self._models.TrialValueModel.value_to_stored_repr(tell.value)
                rows.append(
                    {
                        "trial_id": tell.trial_id,
                        "objective": 0,
                        "value": stored,
                        "value_type": kind,
                    }
                )
        return rows


def _make_params(ids: Sequence[int], starts: Sequence[TrialStart]) -> list[dict[str, object]]:
    """Return parameter rows; the trials of one call mostly share their distributions."""
    texts: dict[int, str] = {}
    rows: list[dict[str, object]] = []
    for trial_id, start in zip(ids, starts, strict=True):
        for name, value in start.params.items():
            distribution = start.distributions[name]
            key = id(distribution)
            if key not in texts:
                texts[key] = distribution_to_json(distribution)
            rows.append(
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": distribution.to_internal_repr(value),
                    "distribution_json": texts[key],
                }
            )
    return rows
