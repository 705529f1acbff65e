"""Optuna's own tables, written and read in bulk: all that is known of them is in this file.

Optuna's calls take a transaction each, which is most of the time once trials are trained in
packs. The rows written here are those that Optuna 5 writes, so that any reader of Optuna's
finds an ordinary study. Its schema has had one revision from Optuna 3.2 to 5.0.
"""

import datetime
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import (
    Connection,
    Table,
    bindparam,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)

from archloss.storage.connection import insert_or_ignore
from archloss.storage.errors import StorageError
from archloss.storage.records import TrialStart, TrialStateName

KNOWN_REVISION = "v3.2.0.a"
_CHUNK = 500  # ids in one IN (...): below the limit of every database


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table


_studies = _table(models.StudyModel)
_directions = _table(models.StudyDirectionModel)
_trials = _table(models.TrialModel)
_params = _table(models.TrialParamModel)
_values = _table(models.TrialValueModel)
_intermediates = _table(models.TrialIntermediateValueModel)
_user_attributes = _table(models.TrialUserAttributeModel)
_of_trials = (
    _params,
    _values,
    _intermediates,
    _user_attributes,
    _table(models.TrialSystemAttributeModel),
    _table(models.TrialHeartbeatModel),
)
_of_studies = (
    _directions,
    _table(models.StudyUserAttributeModel),
    _table(models.StudySystemAttributeModel),
)


def open_optuna_storage(url: str, *, busy_timeout_s: float) -> BaseStorage:
    """Return Optuna's own storage on the database, cached; makes its tables if need be."""
    return get_storage(RDBStorage(url, engine_kwargs={"connect_args": {"timeout": busy_timeout_s}}))


def read_revision(connection: Connection) -> str | None:
    """Return the revision of Optuna's schema, or None where its tables are not there yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def check_revision(revision: str) -> None:
    """Raise StorageError for a schema of Optuna's that archloss does not know how to write."""
    if revision != KNOWN_REVISION:
        raise StorageError(
            f"the database must have Optuna's schema {KNOWN_REVISION!r}, but has {revision!r}: "
            "upgrade it with `optuna storage upgrade`, or install the Optuna that archloss pins"
        )


def utc_now() -> datetime.datetime:
    """Return the time as Optuna 5 stores it: UTC, without a zone."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


def insert_study(connection: Connection, name: str) -> int:
    """Write a study to be minimised; return its id."""
    statement = insert(_studies).values(study_name=name).returning(_studies.c.study_id)
    study_id = int(connection.execute(statement).scalar_one())
    direction = {"direction": StudyDirection.MINIMIZE, "study_id": study_id, "objective": 0}
    connection.execute(insert(_directions).values(direction))
    return study_id


def find_study(connection: Connection, name: str) -> int | None:
    """Return a study's id, or None."""
    statement = select(_studies.c.study_id).where(_studies.c.study_name == name)
    return connection.execute(statement).scalar_one_or_none()


def read_study_names(connection: Connection) -> dict[int, str]:
    """Return the names of all studies by id, oldest first."""
    rows = connection.execute(
        select(_studies.c.study_id, _studies.c.study_name).order_by(_studies.c.study_id)
    )
    return {row.study_id: row.study_name for row in rows}


def delete_study(connection: Connection, study_id: int) -> None:
    """Delete a study and its trials."""
    ids = select(_trials.c.trial_id).where(_trials.c.study_id == study_id)
    for table in _of_trials:
        connection.execute(delete(table).where(table.c.trial_id.in_(ids)))
    connection.execute(delete(_trials).where(_trials.c.study_id == study_id))
    for table in _of_studies:
        connection.execute(delete(table).where(table.c.study_id == study_id))
    connection.execute(delete(_studies).where(_studies.c.study_id == study_id))


def count_states(connection: Connection, study_id: int) -> dict[TrialStateName, int]:
    """Return how many trials a study has in each state that occurs."""
    statement = (
        select(_trials.c.state, func.count())
        .where(_trials.c.study_id == study_id)
        .group_by(_trials.c.state)
    )
    return {state.name: count for state, count in connection.execute(statement)}


def read_best(connection: Connection, study_id: int, count: int) -> list[tuple[int, int, float]]:
    """Return id, number and value of the best completed trials, best first."""
    statement = (
        select(_trials.c.trial_id, _trials.c.number, _values.c.value)
        .join(_values, _values.c.trial_id == _trials.c.trial_id)
        .where(_trials.c.study_id == study_id, _trials.c.state == TrialState.COMPLETE)
        .where(_values.c.value_type == models.TrialValueModel.TrialValueType.FINITE)
        .order_by(_values.c.value, _trials.c.number)
        .limit(count)
    )
    return [(row.trial_id, row.number, row.value) for row in connection.execute(statement)]


def insert_running(
    connection: Connection, study_id: int, starts: Sequence[TrialStart]
) -> list[tuple[int, int]]:
    """Write RUNNING trials with their parameters; return their ids and numbers, in order.

    The caller holds the database's write lock, so the numbers are the study's next ones.
    """
    next_number = connection.execute(
        select(func.count()).select_from(_trials).where(_trials.c.study_id == study_id)
    ).scalar_one()
    now = utc_now()
    rows: list[dict[str, Any]] = [
        {
            "number": next_number + index,
            "study_id": study_id,
            "state": TrialState.RUNNING,
            "datetime_start": now,
        }
        for index in range(len(starts))
    ]
    statement = insert(_trials).returning(_trials.c.trial_id, sort_by_parameter_order=True)
    ids = list(connection.execute(statement, rows).scalars())
    json_texts: dict[int, str] = {}
    params = [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": distribution.to_internal_repr(start.params[name]),
            "distribution_json": _as_json(distribution, json_texts),
        }
        for trial_id, start in zip(ids, starts, strict=True)
        for name, distribution in start.distributions.items()
    ]
    if params:
        connection.execute(insert(_params), params)
    return [(trial_id, row["number"]) for trial_id, row in zip(ids, rows, strict=True)]


def _as_json(distribution: BaseDistribution, json_texts: dict[int, str]) -> str:
    key = id(distribution)
    if key not in json_texts:
        json_texts[key] = distribution_to_json(distribution)
    return json_texts[key]


def select_in_state(connection: Connection, study_id: int, states: Sequence[str]) -> list[int]:
    """Return the ids of a study's trials in these states, by number."""
    wanted = [TrialState[state] for state in states]
    statement = (
        select(_trials.c.trial_id)
        .where(_trials.c.study_id == study_id, _trials.c.state.in_(wanted))
        .order_by(_trials.c.number)
    )
    return list(connection.execute(statement).scalars())


def set_states(connection: Connection, changes: Mapping[int, str]) -> None:
    """Set the states of trials, by id; a finished one also gets its time of completion."""
    now = utc_now()
    rows = [
        {
            "this": trial_id,
            "new_state": TrialState[state],
            "now": now if TrialState[state].is_finished() else None,
        }
        for trial_id, state in changes.items()
    ]
    statement = (
        update(_trials)
        .where(_trials.c.trial_id == bindparam("this"))
        .values(state=bindparam("new_state"), datetime_complete=bindparam("now"))
    )
    if rows:
        connection.execute(statement, rows)


def insert_values(connection: Connection, values: Mapping[int, float]) -> None:
    """Write the objective's value of completed trials, by id."""
    rows = []
    for trial_id, value in values.items():
        stored, kind = models.TrialValueModel.value_to_stored_repr(value)
        rows.append({"trial_id": trial_id, "objective": 0, "value": stored, "value_type": kind})
    if rows:
        connection.execute(insert(_values), rows)


def insert_intermediates(connection: Connection, values: Mapping[int, Mapping[int, float]]) -> None:
    """Write intermediate values by trial id and step; those that are there stay."""
    model = models.TrialIntermediateValueModel
    rows = []
    for trial_id, steps in values.items():
        for step, value in steps.items():
            stored, kind = model.intermediate_value_to_stored_repr(value)
            rows.append(
                {
                    "trial_id": trial_id,
                    "step": step,
                    "intermediate_value": stored,
                    "intermediate_value_type": kind,
                }
            )
    if rows:
        connection.execute(insert_or_ignore(_intermediates), rows)


def insert_user_attributes(
    connection: Connection, attributes: Mapping[int, Mapping[str, str | float]]
) -> None:
    """Write user attributes by trial id and key; those that are there stay."""
    rows = [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for trial_id, pairs in attributes.items()
        for key, value in pairs.items()
    ]
    if rows:
        connection.execute(insert_or_ignore(_user_attributes), rows)


def read_rows(
    connection: Connection, study_id: int, trial_ids: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """Return a study's trials by number, as keyword arguments of a TrialRecord without ours."""
    columns = ("trial_id", "number", "state", "datetime_start", "datetime_complete")
    statement = select(*(_trials.c[name] for name in columns)).order_by(_trials.c.number)
    rows = connection.execute(statement.where(_trials.c.study_id == study_id)).all()
    if trial_ids is not None:
        wanted = set(trial_ids)
        rows = [row for row in rows if row.trial_id in wanted]
    params, distributions = _read_params(connection, study_id, trial_ids)
    values = {
        row.trial_id: models.TrialValueModel.stored_repr_to_value(row.value, row.value_type)
        for row in _select_of(connection, _values, study_id, trial_ids)
    }
    intermediates: dict[int, dict[int, float]] = defaultdict(dict)
    to_value = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
    for row in _select_of(connection, _intermediates, study_id, trial_ids):
        number = to_value(row.intermediate_value, row.intermediate_value_type)
        intermediates[row.trial_id][row.step] = number
    return [
        {
            "trial_id": row.trial_id,
            "number": row.number,
            "state": row.state.name,
            "value": values.get(row.trial_id),
            "params": params.get(row.trial_id, {}),
            "distributions": distributions.get(row.trial_id, {}),
            "intermediate": dict(sorted(intermediates.get(row.trial_id, {}).items())),
            "started_at": row.datetime_start,
            "finished_at": row.datetime_complete,
        }
        for row in rows
    ]


def _read_params(
    connection: Connection, study_id: int, trial_ids: Sequence[int] | None
) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, BaseDistribution]]]:
    parsed: dict[str, BaseDistribution] = {}
    params: dict[int, dict[str, Any]] = defaultdict(dict)
    distributions: dict[int, dict[str, BaseDistribution]] = defaultdict(dict)
    for row in _select_of(connection, _params, study_id, trial_ids):
        if row.distribution_json not in parsed:
            parsed[row.distribution_json] = json_to_distribution(row.distribution_json)
        distribution = parsed[row.distribution_json]
        params[row.trial_id][row.param_name] = distribution.to_external_repr(row.param_value)
        distributions[row.trial_id][row.param_name] = distribution
    return params, distributions


def _select_of(
    connection: Connection, table: Table, study_id: int, trial_ids: Sequence[int] | None
) -> list[Any]:
    """Return a table's rows of a study's trials: of all of them, or of those named."""
    if trial_ids is None:
        joined = select(table).join(_trials, _trials.c.trial_id == table.c.trial_id)
        return list(connection.execute(joined.where(_trials.c.study_id == study_id)))
    rows: list[Any] = []
    for start in range(0, len(trial_ids), _CHUNK):
        chunk = trial_ids[start : start + _CHUNK]
        rows += connection.execute(select(table).where(table.c.trial_id.in_(chunk)))
    return rows


def select_trial_id(connection: Connection, study_id: int, number: int) -> int | None:
    """Return the id of a study's trial, or None."""
    statement = select(_trials.c.trial_id).where(
        _trials.c.study_id == study_id, _trials.c.number == number
    )
    return connection.execute(statement).scalar_one_or_none()


def living_studies() -> Any:
    """Return a subquery of the ids of all studies."""
    return select(_studies.c.study_id)


def living_trials() -> Any:
    """Return a subquery of the ids of all trials."""
    return select(_trials.c.trial_id)
