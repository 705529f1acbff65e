"""What drivers do to the trials of a study they share: start them, tell of them, take them over.

Each function works inside the transaction of a Change that is alone on the study; `tell` may do so
beside others that tell, if it writes no weights.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from archloss.storage import leases, results
from archloss.storage.access import Change
from archloss.storage.assembly import make_begin, make_end, make_record
from archloss.storage.errors import StudyMovedError
from archloss.storage.optuna_trials import OptunaTables
from archloss.storage.records import (
    Checkpoint,
    Ending,
    News,
    TrialHandle,
    TrialRecord,
    TrialStart,
    TrialStateName,
    TrialTell,
)


@dataclass(frozen=True)
class Driver:
    """Who changes what: a lease, and the study that it is on."""

    study_id: int
    lease_id: int


def start_trials(
    change: Change,
    driver: Driver,
    starts: Sequence[TrialStart],
    *,
    budget: int | None,
    expected_count: int | None,
) -> list[TrialHandle]:
    """Start the first of the trials, as many as the budget has room for."""
    study_id, connection = driver.study_id, change.connection
    if change.repeated:
        started = _find_started(change, driver)
        if started:
            return started
    count = change.optuna.count_trials(connection, study_id)
    if expected_count not in (None, count):
        raise StudyMovedError(
            f"the study holds {count} trials where {expected_count} were expected: another "
            "driver started some"
        )
    if budget is not None and count + len(starts) > budget:
        starts = starts[: max(0, budget - _count_spent(change, study_id))]
    if not starts:
        return []

    def claim(ids: Sequence[int]) -> None:
        results.insert_started(
            connection, study_id, ids, lease_id=driver.lease_id, token=change.token
        )

    return change.optuna.start(connection, study_id, starts, claim)


def tell(
    change: Change, driver: Driver, tells: Sequence[TrialTell], *, keep_weights: int
) -> set[int]:
    """Write what became of those trials that are RUNNING under the lease; return their ids."""
    connection = change.connection
    ids = [tell.trial_id for tell in tells]
    told = results.find_told(connection, change.token, ids) if change.repeated else {}
    retries = {**told, **results.find_leased(connection, driver.lease_id, ids)}
    running = set(change.optuna.find_running(connection, retries))
    tells = [tell for tell in tells if tell.trial_id in running]
    if not tells:
        return running | told.keys()
    with change.optuna.sending(connection):
        results.write_results(
            connection,
            driver.study_id,
            tells,
            retries=retries,
            lease_id=driver.lease_id,
            token=change.token,
        )
        change.optuna.write(connection, tells)
        finished = [tell.trial_id for tell in tells if tell.state not in (None, "WAITING")]
        if finished:
            results.delete_checkpoints(connection, finished)
    if any(tell.weights for tell in tells):
        _drop_weights(change, driver.study_id, keep_weights)
    return running | told.keys()


def take_over(
    change: Change, driver: Driver, *, budget: int | None
) -> list[tuple[TrialRecord, tuple[Checkpoint, ...]]]:
    """Put trials under the lease that are paused or whose driver is dead, and run them."""
    study_id, connection = driver.study_id, change.connection
    unfinished = change.optuna.find_unfinished(connection, study_id)
    owners = results.read_leases(connection, study_id, set(unfinished))
    live = leases.find_live(connection, set(owners.values())) | {driver.lease_id}
    paused = sorted(i for i in owners if unfinished[i] == "WAITING")
    dead = sorted(i for i in owners if unfinished[i] == "RUNNING" and owners[i] not in live)
    taken = [*dead, *paused]
    if budget is not None:
        counts = change.optuna.count_states(connection, study_id)
        busy = _count_active(counts) - len(dead)
        taken = taken[: max(0, budget - busy)]
    left = set(dead).difference(taken)
    if left:
        results.set_lease(connection, None, left, change.token)
        change.optuna.pause(connection, left)
    if taken:
        results.set_lease(connection, driver.lease_id, taken, change.token)
        change.optuna.resume(connection, taken)
    if change.repeated:
        taken = results.find_claimed(
            connection, study_id, lease_id=driver.lease_id, token=change.token
        )
    if not taken:
        return []
    checkpoints = results.read_checkpoints(connection, taken)
    records = read_trials(change.optuna, connection, study_id, taken)
    return [(record, checkpoints.get(record.trial_id, ())) for record in records]


def read_trials(
    optuna: OptunaTables,
    connection: sa.Connection,
    study_id: int,
    trial_ids: Collection[int] | None,
) -> list[TrialRecord]:
    """Return the trials of a study, or some of them, by number."""
    endings = results.read_endings(connection, study_id, trial_ids)
    return [
        make_record(trial, endings.get(trial.trial_id, Ending()))
        for trial in optuna.read(connection, study_id, trial_ids)
    ]


def read_news(
    optuna: OptunaTables,
    connection: sa.Connection,
    study_id: int,
    *,
    first_number: int,
    trial_ids: Collection[int],
    with_params: bool,
) -> News:
    """Return the trials from a number on, and how they or those with these ids ended."""
    handles = optuna.find_from(connection, study_id, first_number)
    new = [handle.trial_id for handle in handles]
    params = optuna.read_params(connection, study_id, new) if with_params and new else {}
    wanted = {*new, *trial_ids}
    ended = optuna.read_ends(connection, study_id, wanted) if wanted else []
    ids = [end.trial_id for end in ended]
    endings = results.read_endings(connection, study_id, ids) if ids else {}
    return News(
        begun=tuple(make_begin(handle, params) for handle in handles),
        ended=tuple(make_end(end, endings.get(end.trial_id, Ending())) for end in ended),
    )


def _find_started(change: Change, driver: Driver) -> list[TrialHandle]:
    """Return the trials that an earlier try of the same change started, now RUNNING."""
    started = results.find_claimed(
        change.connection, driver.study_id, lease_id=driver.lease_id, token=change.token
    )
    if not started:
        return []
    change.optuna.resume(change.connection, started)
    trials = change.optuna.read(change.connection, driver.study_id, started)
    return [TrialHandle(trial_id=trial.trial_id, number=trial.number) for trial in trials]


def _count_spent(change: Change, study_id: int) -> int:
    """Return how much of the budget is finished, running or paused."""
    counts = change.optuna.count_states(change.connection, study_id)
    spent = _count_active(counts)
    if counts.get("WAITING", 0):
        states = change.optuna.find_unfinished(change.connection, study_id)
        waiting = [trial_id for trial_id, state in states.items() if state == "WAITING"]
        spent += len(results.read_leases(change.connection, study_id, waiting))
    return spent


def _count_active(counts: Mapping[TrialStateName, int]) -> int:
    return sum(counts.get(state, 0) for state in ("RUNNING", "COMPLETE", "PRUNED"))


def _drop_weights(change: Change, study_id: int, keep: int) -> None:
    """Delete the weights of all but the best trials."""
    weighty = results.find_weighty(change.connection, study_id)
    trials = change.optuna.read(change.connection, study_id, weighty)
    trials.sort(key=lambda trial: math.inf if trial.value is None else trial.value)
    results.delete_weights(change.connection, [trial.trial_id for trial in trials[keep:]])
