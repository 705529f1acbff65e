"""What archloss keeps of trials beside Optuna: who runs them, curves, tests, states, endings."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa

from archloss.storage import tables
from archloss.storage.arrays import pack_arrays, pack_values, unpack_arrays
from archloss.storage.dialects import insert_rows, is_among
from archloss.storage.records import Checkpoint, Ending, TrialTell
from archloss.storage.tables import arrays, curves, tests, trials

_CHECKPOINT = "checkpoint"
_WEIGHTS = "weights"


def remove_leftovers(connection: sa.Connection, study_id: int) -> None:
    """Delete what we have of a study's id, and of studies that another program deleted.

    Such a program may not have our foreign keys enforced, and ids are given out again.
    """
    theirs = tables.metadata.tables["studies"]
    for table in (tables.trials, tables.leases, tables.studies):
        gone = table.c.study_id.not_in(sa.select(theirs.c.study_id))
        connection.execute(sa.delete(table).where(gone | (table.c.study_id == study_id)))


def insert_started(
    connection: sa.Connection,
    study_id: int,
    trial_ids: Sequence[int],
    *,
    lease_id: int,
    token: str,
) -> None:
    """Say who runs the trials; an id may have been another's, of a study deleted since."""
    connection.execute(sa.delete(trials).where(is_among(connection, trials.c.trial_id, trial_ids)))
    row = {"study_id": study_id, "lease_id": lease_id, "token": token}
    insert_rows(connection, trials, [{"trial_id": i, **row} for i in trial_ids])


def find_claimed(
    connection: sa.Connection, study_id: int, *, lease_id: int, token: str
) -> list[int]:
    """Return the trials under the lease that the call with this token put there."""
    query = sa.select(trials.c.trial_id).where(
        trials.c.study_id == study_id, trials.c.lease_id == lease_id, trials.c.token == token
    )
    return list(connection.execute(query).scalars())


def count_running(connection: sa.Connection, study_id: int) -> dict[int, int]:
    """Return how many trials of a study each lease is running, by lease."""
    query = (
        sa.select(trials.c.lease_id, sa.func.count())
        .where(trials.c.study_id == study_id, trials.c.lease_id.is_not(None))
        .group_by(trials.c.lease_id)
    )
    return {row.lease_id: row[1] for row in connection.execute(query)}


def find_leased(
    connection: sa.Connection, lease_id: int, trial_ids: Collection[int]
) -> dict[int, int]:
    """Return how often those of the trials were retried that are under the lease, by trial."""
    query = sa.select(trials.c.trial_id, trials.c.retries).where(
        is_among(connection, trials.c.trial_id, trial_ids), trials.c.lease_id == lease_id
    )
    return {row.trial_id: row.retries for row in connection.execute(query)}


def find_told(connection: sa.Connection, token: str, trial_ids: Collection[int]) -> dict[int, int]:
    """Return the same of those that the call with this token told of already."""
    query = sa.select(trials.c.trial_id, trials.c.retries).where(
        is_among(connection, trials.c.trial_id, trial_ids), trials.c.token == token
    )
    return {row.trial_id: row.retries for row in connection.execute(query)}


def read_leases(
    connection: sa.Connection, study_id: int, trial_ids: Collection[int]
) -> dict[int, int | None]:
    """Return the lease of each of the study's trials that are ours, None for a paused one."""
    query = sa.select(trials.c.trial_id, trials.c.lease_id).where(
        is_among(connection, trials.c.trial_id, trial_ids), trials.c.study_id == study_id
    )
    return {row.trial_id: row.lease_id for row in connection.execute(query)}


def set_lease(
    connection: sa.Connection, lease_id: int | None, trial_ids: Collection[int], token: str
) -> None:
    """Put trials under a lease, or under none."""
    update = sa.update(trials).where(is_among(connection, trials.c.trial_id, trial_ids))
    connection.execute(update.values(lease_id=lease_id, token=token))


def read_endings(
    connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
) -> dict[int, Ending]:
    """Return how the trials of a study that are ours ended, or some of them."""
    table = trials.c
    query = sa.select(
        table.study_id,
        table.trial_id,
        table.outcome,
        table.message,
        table.seconds,
        table.retries,
    )
    if trial_ids is None:
        query = query.where(table.study_id == study_id)
    else:
        query = query.where(is_among(connection, table.trial_id, trial_ids))
    return {
        trial_id: Ending(outcome=outcome, message=message, seconds=seconds, retries=retries)
        for owner, trial_id, outcome, message, seconds, retries in connection.execute(query).all()
        if owner == study_id
    }


def write_results(
    connection: sa.Connection,
    study_id: int,
    tells: Sequence[TrialTell],
    *,
    retries: Mapping[int, int],
    lease_id: int,
    token: str,
) -> None:
    """Write all that is told but Optuna's share; paused and finished trials leave the lease.

    `retries` are those known of each trial, whose rows are there and locked.
    """
    rows = [
        {
            "trial_id": tell.trial_id,
            "study_id": study_id,
            "lease_id": lease_id if tell.state is None else None,
            "outcome": None if tell.outcome is None else tell.outcome.name,
            "message": None if tell.message is None else _clean(tell.message),
            "seconds": tell.seconds,
            "retries": max(tell.retries, retries[tell.trial_id]),
            "token": token,
        }
        for tell in tells
    ]
    insert_rows(connection, trials, rows, known="replaced")
    curve_rows = [row for tell in tells for row in _make_curves(tell)]
    insert_rows(connection, curves, curve_rows, known="replaced")
    test_rows = [row for tell in tells for row in _make_tests(tell)]
    insert_rows(connection, tests, test_rows, known="replaced")
    array_rows = [
        row
        for tell in tells
        for kind, saved in ((_CHECKPOINT, tell.checkpoints), (_WEIGHTS, tell.weights))
        for row in _make_arrays(tell.trial_id, kind, saved)
    ]
    insert_rows(connection, arrays, array_rows, known="replaced")


def delete_checkpoints(connection: sa.Connection, trial_ids: Collection[int]) -> None:
    """Delete the checkpoints of trials."""
    _delete_arrays(connection, _CHECKPOINT, trial_ids)


def find_weighty(connection: sa.Connection, study_id: int) -> list[int]:
    """Return the trials of a study whose weights are kept."""
    query = sa.select(arrays.c.trial_id).join(trials).distinct()
    query = query.where(trials.c.study_id == study_id, arrays.c.kind == _WEIGHTS)
    return list(connection.execute(query).scalars())


def delete_weights(connection: sa.Connection, trial_ids: Collection[int]) -> None:
    """Delete the weights of trials."""
    _delete_arrays(connection, _WEIGHTS, trial_ids)


def read_checkpoints(
    connection: sa.Connection, trial_ids: Collection[int]
) -> dict[int, tuple[Checkpoint, ...]]:
    """Return the checkpoints of trials, by replicate."""
    return _read_arrays(connection, _CHECKPOINT, trial_ids)


def read_weights(connection: sa.Connection, trial_id: int) -> tuple[Checkpoint, ...]:
    """Return the weights of a trial, by replicate; none if it is not among the best."""
    return _read_arrays(connection, _WEIGHTS, [trial_id]).get(trial_id, ())


def _clean(text: str) -> str:
    """Return the text without what databases have no place for: NUL, and halves of characters."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _make_curves(tell: TrialTell) -> Iterable[dict[str, object]]:
    return (
        {
            "trial_id": tell.trial_id,
            "replicate": curve.replicate,
            "metric": curve.metric,
            "first_epoch": curve.first_epoch,
            "epoch_values": pack_values(curve.values),
        }
        for curve in tell.curves
    )


def _make_tests(tell: TrialTell) -> Iterable[dict[str, object]]:
    return (
        {
            "trial_id": tell.trial_id,
            "replicate": replicate,
            "metric": metric,
            "metric_value": pack_values([value]),
        }
        for replicate, metrics in tell.test.items()
        for metric, value in metrics.items()
    )


def _make_arrays(
    trial_id: int, kind: str, saved: Iterable[Checkpoint]
) -> Iterable[dict[str, object]]:
    return (
        {
            "trial_id": trial_id,
            "kind": kind,
            "replicate": one.replicate,
            "epochs_done": one.epochs_done,
            "steps": one.steps,
            "content": pack_arrays(one.arrays),
        }
        for one in saved
    )


def _delete_arrays(connection: sa.Connection, kind: str, trial_ids: Collection[int]) -> None:
    delete = sa.delete(arrays).where(
        is_among(connection, arrays.c.trial_id, trial_ids), arrays.c.kind == kind
    )
    connection.execute(delete)


def _read_arrays(
    connection: sa.Connection, kind: str, trial_ids: Collection[int]
) -> dict[int, tuple[Checkpoint, ...]]:
    query = sa.select(arrays).where(
        is_among(connection, arrays.c.trial_id, trial_ids), arrays.c.kind == kind
    )
    found: dict[int, tuple[Checkpoint, ...]] = {}
    for row in connection.execute(query.order_by(arrays.c.trial_id, arrays.c.replicate)):
        checkpoint = Checkpoint(
            replicate=row.replicate,
            epochs_done=row.epochs_done,
            steps=row.steps,
            arrays=unpack_arrays(row.content),
        )
        found[row.trial_id] = (*found.get(row.trial_id, ()), checkpoint)
    return found
