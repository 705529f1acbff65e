"""Trials read from Optuna's own tables in bulk: a handful of SELECTs for any number of trials."""

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, json_to_distribution

from archloss.storage.dialects import is_among
from archloss.storage.optuna_trials import OptunaEnd, OptunaParams, OptunaTrial

_FINITE = "FINITE"


class TrialReader:
    """Reads trials by way of plain SQL, inside the caller's transaction.

    Attributes:
        _models: Optuna's module of private models.
        _table: Their tables, by the name of the model.
    """

    def __init__(self, models: Any, tables: Mapping[str, sa.Table]) -> None:
        self._models = models
        self._table = tables
        self._trials = tables["TrialModel"]

    def read(
        self,
        connection: sa.Connection,
        study_id: int,
        trial_ids: Collection[int] | None = None,
    ) -> list[OptunaTrial]:
        """Return the study's trials, or some of them, by number: three SELECTs for all."""
        params = self.read_params(connection, study_id, trial_ids)
        values = self._read_values(connection, study_id, trial_ids)
        intermediates = self._read_intermediates(connection, study_id, trial_ids)
        nothing: OptunaParams = ({}, {})
        found = []
        for row in self._read_trials(connection, study_id, trial_ids):
            external, distributions = params.get(row.trial_id, nothing)
            found.append(
                OptunaTrial(
                    trial_id=row.trial_id,
                    number=row.number,
                    state=row.state.name,
                    value=values.get(row.trial_id),
                    params=external,
                    distributions=distributions,
                    intermediate=intermediates.get(row.trial_id, {}),
                    started_at=row.datetime_start,
                    finished_at=row.datetime_complete,
                )
            )
        return found

    def read_ends(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int]
    ) -> list[OptunaEnd]:
        """Return how those of the trials ended that have: three SELECTs for all."""
        rows = self._read_trials(connection, study_id, trial_ids)
        ended = {row.trial_id: row for row in rows if row.state.is_finished()}
        if not ended:
            return []
        values = self._read_values(connection, study_id, ended)
        intermediates = self._read_intermediates(connection, study_id, ended)
        return [
            OptunaEnd(
                trial_id=trial_id,
                number=row.number,
                state=row.state.name,
                value=values.get(trial_id),
                intermediate=intermediates.get(trial_id, {}),
            )
            for trial_id, row in ended.items()
        ]

    def _read_trials(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> list[sa.Row[Any]]:
        """Return the rows of the study's trials, or of some of them, by number."""
        query = sa.select(self._trials).order_by(self._trials.c.number)
        if trial_ids is None:
            query = query.where(self._trials.c.study_id == study_id)
        else:  # a second condition would lead a database to look through the whole study
            query = query.where(is_among(connection, self._trials.c.trial_id, trial_ids))
        return [row for row in connection.execute(query).all() if row.study_id == study_id]

    def _read_table(
        self,
        connection: sa.Connection,
        select: sa.Select[Any],
        study_id: int,
        trial_ids: Collection[int] | None,
    ) -> Sequence[Any]:
        """Read a table that hangs on trials: the rows of these trials, or of all of the study."""
        column = select.selected_columns[0]
        if trial_ids is None:
            query = select.join(self._trials, self._trials.c.trial_id == column)
            return connection.execute(query.where(self._trials.c.study_id == study_id)).all()
        return connection.execute(select.where(is_among(connection, column, trial_ids))).all()

    def read_params(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> dict[int, OptunaParams]:
        """Return the parameters of the study's trials, or of some of them, by id."""
        table = self._table["TrialParamModel"].c
        query = sa.select(
            table.trial_id, table.param_name, table.param_value, table.distribution_json
        ).order_by(table.param_id)
        found: dict[int, OptunaParams] = {}
        rows = self._read_table(connection, query, study_id, trial_ids)
        for trial_id, name, value, text in rows:
            distribution = _load_distribution(text)
            if trial_id not in found:
                found[trial_id] = ({}, {})
            external, distributions = found[trial_id]
            external[name] = distribution.to_external_repr(value)
            distributions[name] = distribution
        return found

    def _read_values(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> dict[int, float]:
        kind = self._models.TrialValueModel
        table = self._table["TrialValueModel"].c
        query = sa.select(table.trial_id, table.value, _as_text(table.value_type))
        query = query.where(table.objective == 0)
        return {
            trial_id: value
            if name == _FINITE
            else kind.stored_repr_to_value(value, kind.TrialValueType[name])
            for trial_id, value, name in self._read_table(connection, query, study_id, trial_ids)
        }

    def _read_intermediates(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> dict[int, dict[int, float]]:
        kind = self._models.TrialIntermediateValueModel
        table = self._table["TrialIntermediateValueModel"].c
        query = sa.select(
            table.trial_id,
            table.step,
            table.intermediate_value,
            _as_text(table.intermediate_value_type),
        ).order_by(table.step)
        found: dict[int, dict[int, float]] = {}
        rows = self._read_table(connection, query, study_id, trial_ids)
        for trial_id, step, value, name in rows:
            if name != _FINITE:
                value_type = kind.TrialIntermediateValueType[name]
                value = kind.stored_repr_to_intermediate_value(value, value_type)
            found.setdefault(trial_id, {})[step] = value
        return found


def _as_text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Return an enumeration's column as the names in it, which are quicker to read."""
    return sa.type_coerce(column, sa.String)


@functools.lru_cache(maxsize=1024)
def _load_distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
