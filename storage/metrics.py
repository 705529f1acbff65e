"""Reads what training measured: metrics of every epoch, and those on the test split."""

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from archloss.storage.arrays import unpack_values
from archloss.storage.dialects import is_among
from archloss.storage.records import Curve
from archloss.storage.tables import curves, tests, trials


def read_curves(connection: sa.Connection, trial_id: int) -> list[Curve]:
    """Return every metric of every replicate, rungs joined (overlaps hold the same)."""
    found = _join_curves(connection, sa.select(curves).where(curves.c.trial_id == trial_id))
    return [curve for _, curve in found]


def read_metric(
    connection: sa.Connection, study_id: int, trial_ids: Collection[int], metric: str
) -> dict[int, tuple[Curve, ...]]:
    """Return one metric of every replicate, by trial; a trial of another study is left out."""
    query = (
        sa.select(curves)
        .join(trials)
        .where(
            trials.c.study_id == study_id,
            is_among(connection, curves.c.trial_id, trial_ids),
            curves.c.metric == metric,
        )
    )
    found: dict[int, tuple[Curve, ...]] = {}
    for trial_id, curve in _join_curves(connection, query):
        found[trial_id] = (*found.get(trial_id, ()), curve)
    return found


def read_test(connection: sa.Connection, trial_id: int) -> dict[int, dict[str, float]]:
    """Return the metrics on the test split, by replicate."""
    query = sa.select(tests).where(tests.c.trial_id == trial_id)
    found: dict[int, dict[str, float]] = {}
    for row in connection.execute(query.order_by(tests.c.replicate)):
        found.setdefault(row.replicate, {})[row.metric] = unpack_values(row.metric_value)[0]
    return found


def read_tests(
    connection: sa.Connection, study_id: int, trial_ids: Collection[int], metric: str
) -> dict[int, dict[int, float]]:
    """Return one metric on the test split, by trial and replicate."""
    query = (
        sa.select(tests)
        .join(trials)
        .where(
            trials.c.study_id == study_id,
            is_among(connection, tests.c.trial_id, trial_ids),
            tests.c.metric == metric,
        )
    )
    found: dict[int, dict[int, float]] = {}
    for row in connection.execute(query.order_by(tests.c.trial_id, tests.c.replicate)):
        found.setdefault(row.trial_id, {})[row.replicate] = unpack_values(row.metric_value)[0]
    return found


def _join_curves(connection: sa.Connection, query: sa.Select[Any]) -> list[tuple[int, Curve]]:
    """Return the selected rows as curves with their trials, rungs joined."""
    table = curves.c
    order = (table.trial_id, table.replicate, table.metric, table.first_epoch)
    epochs: dict[tuple[int, int, str], dict[int, float]] = {}
    for row in connection.execute(query.order_by(*order)):
        values = unpack_values(row.epoch_values)
        known = epochs.setdefault((row.trial_id, row.replicate, row.metric), {})
        known.update(enumerate(values, start=row.first_epoch))
    return [
        (trial_id, Curve(replicate=replicate, metric=metric, first_epoch=first, values=values))
        for (trial_id, replicate, metric), known in epochs.items()
        for first, values in _split_runs(known)
    ]


def _split_runs(values: Mapping[int, float]) -> list[tuple[int, tuple[float, ...]]]:
    """Return epochs without gaps as (first, values), in order."""
    runs: list[tuple[int, list[float]]] = []
    for epoch in sorted(values):
        if not runs or epoch != runs[-1][0] + len(runs[-1][1]):
            runs.append((epoch, []))
        runs[-1][1].append(values[epoch])
    return [(first, tuple(run)) for first, run in runs]
