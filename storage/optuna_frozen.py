"""Whole trials as Optuna's readers want them, read from its own tables in bulk."""

import json
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from optuna.trial import FrozenTrial

from archloss.storage.optuna_reading import TrialReader
from archloss.storage.optuna_trials import OptunaParams


class FrozenReader(TrialReader):
    """Reads trials with all that Optuna knows of them: also other programs', with many values."""

    def read_frozen(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> list[FrozenTrial]:
        """Return the study's trials, or some of them, by number: six SELECTs for all."""
        params = self.read_params(connection, study_id, trial_ids)
        values = self._read_all_values(connection, study_id, trial_ids)
        intermediates = self._read_intermediates(connection, study_id, trial_ids)
        user, system = (
            self._read_attributes(connection, name, study_id, trial_ids)
            for name in ("TrialUserAttributeModel", "TrialSystemAttributeModel")
        )
        nothing: OptunaParams = ({}, {})
        found = []
        for row in self._read_trials(connection, study_id, trial_ids):
            external, distributions = params.get(row.trial_id, nothing)
            found.append(
                FrozenTrial(
                    number=row.number,
                    state=row.state,
                    value=None,
                    values=values.get(row.trial_id),
                    datetime_start=row.datetime_start,
                    datetime_complete=row.datetime_complete,
                    params=external,
                    distributions=distributions,
                    user_attrs=user.get(row.trial_id, {}),
                    system_attrs=system.get(row.trial_id, {}),
                    intermediate_values=intermediates.get(row.trial_id, {}),
                    trial_id=row.trial_id,
                )
            )
        return found

    def _read_all_values(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> dict[int, list[float]]:
        """Return the values of every objective, in its order, by trial."""
        kind = self._models.TrialValueModel
        table = self._table["TrialValueModel"].c
        query = sa.select(table.trial_id, table.value, table.value_type).order_by(table.objective)
        found: dict[int, list[float]] = {}
        for trial_id, value, value_type in self._read_table(connection, query, study_id, trial_ids):
            found.setdefault(trial_id, []).append(kind.stored_repr_to_value(value, value_type))
        return found

    def _read_attributes(
        self,
        connection: sa.Connection,
        name: str,
        study_id: int,
        trial_ids: Collection[int] | None,
    ) -> dict[int, dict[str, Any]]:
        """Return attributes by trial, from the table of one of Optuna's two models of them."""
        table = self._table[name].c
        query = sa.select(table.trial_id, table.key, table.value_json)
        found: dict[int, dict[str, Any]] = {}
        for trial_id, key, text in self._read_table(connection, query, study_id, trial_ids):
            found.setdefault(trial_id, {})[key] = json.loads(text)
        return found
