"""Our own rows of a trial: its driver, outcome, curves, checkpoints and weights."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from archloss.storage import optuna_tables, tables
from archloss.storage.arrays import pack_arrays, pack_numbers, unpack_arrays, unpack_numbers
from archloss.storage.connection import insert_or_ignore
from archloss.storage.records import Checkpoint, Curve, TrialTell

Kind = Literal["checkpoint", "weights"]
_CHUNK = 500
_trials = tables.trials


def sweep_orphans(connection: Connection) -> None:
    """Delete our rows of studies and trials that Optuna's tools have deleted."""
    living_trials, living_studies = optuna_tables.living_trials(), optuna_tables.living_studies()
    for table in (tables.trials, tables.curves, tables.states):
        connection.execute(delete(table).where(table.c.trial_id.not_in(living_trials)))
    for table in (tables.studies, tables.leases):
        connection.execute(delete(table).where(table.c.study_id.not_in(living_studies)))


def delete_study(connection: Connection, study_id: int) -> None:
    """Delete all our rows of a study."""
    ids = select(_trials.c.trial_id).where(_trials.c.study_id == study_id)
    connection.execute(delete(tables.curves).where(tables.curves.c.trial_id.in_(ids)))
    for table in (tables.states, tables.trials, tables.leases, tables.studies):
        connection.execute(delete(table).where(table.c.study_id == study_id))


def insert_trials(
    connection: Connection, study_id: int, lease_id: int, trial_ids: Sequence[int]
) -> None:
    """Write that these new trials run under a lease."""
    rows = [{"trial_id": i, "study_id": study_id, "lease_id": lease_id} for i in trial_ids]
    connection.execute(insert(_trials), rows)


def read_holders(connection: Connection, trial_ids: Sequence[int]) -> dict[int, int | None]:
    """Return under which lease each trial of ours runs."""
    holders: dict[int, int | None] = {}
    for start in range(0, len(trial_ids), _CHUNK):
        chunk = trial_ids[start : start + _CHUNK]
        statement = select(_trials.c.trial_id, _trials.c.lease_id)
        rows = connection.execute(statement.where(_trials.c.trial_id.in_(chunk)))
        holders |= {row.trial_id: row.lease_id for row in rows}
    return holders


def set_holder(connection: Connection, trial_ids: Iterable[int], lease_id: int) -> None:
    """Write that these trials run under another lease from now on."""
    rows = [{"this": trial_id, "holder": lease_id} for trial_id in trial_ids]
    statement = update(_trials).where(_trials.c.trial_id == bindparam("this"))
    if rows:
        connection.execute(statement.values(lease_id=bindparam("holder")), rows)


def update_trials(connection: Connection, tells: Sequence[TrialTell]) -> None:
    """Write outcome, message, seconds and test metrics; a trial that ends has no driver."""
    going_on = [tell for tell in tells if tell.state is None]
    ending = [tell for tell in tells if tell.state is not None]
    seconds = update(_trials).where(_trials.c.trial_id == bindparam("this"))
    if going_on:
        rows = [{"this": tell.trial_id, "spent": tell.seconds} for tell in going_on]
        connection.execute(seconds.values(seconds=bindparam("spent")), rows)
    if ending:
        statement = seconds.values(
            seconds=bindparam("spent"),
            lease_id=None,
            outcome=bindparam("new_outcome"),
            message=bindparam("new_message"),
            test=bindparam("new_test"),
        )
        connection.execute(
            statement,
            [
                {
                    "this": tell.trial_id,
                    "spent": tell.seconds,
                    "new_outcome": tell.outcome.name if tell.outcome else None,
                    "new_message": tell.message,
                    "new_test": {str(r): dict(metrics) for r, metrics in tell.test.items()},
                }
                for tell in ending
            ],
        )


def read_trials(connection: Connection, study_id: int) -> dict[int, Any]:
    """Return our row of each trial of a study, by trial id."""
    rows = connection.execute(select(_trials).where(_trials.c.study_id == study_id))
    return {row.trial_id: row for row in rows}


def insert_curves(connection: Connection, tells: Sequence[TrialTell]) -> None:
    """Write curves; a piece that is there already stays (the same, by determinism)."""
    rows = [
        {
            "trial_id": tell.trial_id,
            "replicate": curve.replicate,
            "metric": curve.metric,
            "first_epoch": curve.first_epoch,
            "numbers": pack_numbers(curve.values),
        }
        for tell in tells
        for curve in tell.curves
        if curve.values
    ]
    if rows:
        connection.execute(insert_or_ignore(tables.curves), rows)


def read_curves(connection: Connection, trial_id: int) -> list[Curve]:
    """Return a trial's curves, the pieces of its rungs joined, by replicate and metric."""
    columns = tables.curves.c
    rows = connection.execute(
        select(tables.curves)
        .where(columns.trial_id == trial_id)
        .order_by(columns.replicate, columns.metric, columns.first_epoch)
    )
    joined: dict[tuple[int, str], dict[int, float]] = {}
    for row in rows:
        epochs = joined.setdefault((row.replicate, row.metric), {})
        # Pieces may overlap where a trial began again after a crash: they agree, so any will do.
        epochs |= dict(enumerate(unpack_numbers(row.numbers), start=row.first_epoch))
    return [
        Curve(
            replicate=replicate,
            metric=metric,
            first_epoch=min(epochs),
            values=tuple(epochs[epoch] for epoch in sorted(epochs)),
        )
        for (replicate, metric), epochs in joined.items()
    ]


def replace_states(
    connection: Connection, study_id: int, kind: Kind, states: dict[int, tuple[Checkpoint, ...]]
) -> None:
    """Write states of trials, by trial id, in place of older ones of their kind."""
    delete_states(connection, kind, list(states))
    rows = [
        {
            "trial_id": trial_id,
            "kind": kind,
            "replicate": state.replicate,
            "study_id": study_id,
            "epochs_done": state.epochs_done,
            "steps": state.steps,
            "arrays": pack_arrays(state.arrays),
        }
        for trial_id, replicates in states.items()
        for state in replicates
    ]
    if rows:
        connection.execute(insert(tables.states), rows)


def delete_states(connection: Connection, kind: Kind, trial_ids: Collection[int]) -> None:
    """Delete the states of one kind of these trials."""
    columns, ids = tables.states.c, list(trial_ids)
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        connection.execute(
            delete(tables.states).where(columns.trial_id.in_(chunk), columns.kind == kind)
        )


def keep_best_weights(connection: Connection, study_id: int, count: int) -> None:
    """Delete all weights but those of the study's best trials."""
    best = {trial_id for trial_id, _, _ in optuna_tables.read_best(connection, study_id, count)}
    columns = tables.states.c
    kept = connection.execute(
        select(columns.trial_id).where(columns.study_id == study_id, columns.kind == "weights")
    )
    delete_states(connection, "weights", set(kept.scalars()) - best)


def read_states(connection: Connection, kind: Kind, trial_id: int) -> tuple[Checkpoint, ...]:
    """Return a trial's states of one kind, by replicate."""
    columns = tables.states.c
    rows = connection.execute(
        select(tables.states)
        .where(columns.trial_id == trial_id, columns.kind == kind)
        .order_by(columns.replicate)
    )
    return tuple(
        Checkpoint(
            replicate=row.replicate,
            epochs_done=row.epochs_done,
            steps=row.steps,
            arrays=unpack_arrays(row.arrays),
        )
        for row in rows
    )
