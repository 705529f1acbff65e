"""Puts records together from Optuna's rows and ours, and explains those that are not there."""

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from archloss.spaces.outcome import Outcome
from archloss.storage.dialects import show_url
from archloss.storage.leases import show_host
from archloss.storage.optuna_trials import OptunaEnd, OptunaParams, OptunaStudy, OptunaTrial
from archloss.storage.records import (
    DriverRecord,
    Ending,
    StudyRecord,
    TrialBegin,
    TrialEnd,
    TrialHandle,
    TrialRecord,
    TrialTell,
)


def check_tell(tell: TrialTell) -> None:
    """Raise ValueError for a tell that would make a trial unlike any of Optuna's."""
    if tell.state == "COMPLETE" and (tell.value is None or math.isnan(tell.value)):
        raise ValueError(
            f"a COMPLETE trial must have a value, but {tell.trial_id} got {tell.value}"
        )
    if tell.state != "COMPLETE" and tell.value is not None:
        raise ValueError(f"only a COMPLETE trial has a value, but {tell.trial_id} is {tell.state}")


def explain_missing(
    name: str, known: Sequence[OptunaStudy], ours: Mapping[int, StudyRecord]
) -> str:
    """Return why there is no such study of ours, and the nearest name there is."""
    if any(study.name == name for study in known):
        return (
            f"study {name!r} is in the database, but another program than archloss made it; "
            "choose another name"
        )
    names = [study.name for study in ours.values()]
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"there is no study {name!r}; did you mean {near[0]!r}?"
    there = f"there are {', '.join(map(repr, sorted(names)))}" if names else "there are none"
    return f"there is no study {name!r}; {there}"


def explain_elsewhere(url: URL, host: str) -> str:
    """Return why a driver may not work on an SQLite file that one on another machine works on."""
    return (
        f"a driver on the machine {host!r} is working in the database {show_url(url)}; SQLite "
        "cannot be shared between machines. Use PostgreSQL (--storage postgresql://...), or wait "
        "until that driver has ended"
    )


def make_study(name: str, row: sa.Row[Any]) -> StudyRecord:
    """Put Optuna's part of a study and ours together."""
    return StudyRecord(
        study_id=row.study_id,
        name=name,
        spec=row.spec,
        digest=row.digest,
        fingerprint=row.fingerprint,
        environment=json.loads(row.environment),
        created_at=row.created_at,
    )


def make_driver(row: sa.Row[Any], running: int) -> DriverRecord:
    """Make a record of a lease."""
    return DriverRecord(
        lease_id=row.lease_id,
        host=show_host(row.host),
        pid=row.pid,
        opened_s=row.opened_s,
        renewed_s=row.renewed_s,
        running=running,
    )


def make_record(trial: OptunaTrial, ending: Ending) -> TrialRecord:
    """Put Optuna's part of a trial and ours together."""
    return TrialRecord(
        trial_id=trial.trial_id,
        number=trial.number,
        state=trial.state,
        value=trial.value,
        outcome=_read_outcome(ending),
        message=ending.message,
        params=trial.params,
        distributions=trial.distributions,
        intermediate=trial.intermediate,
        seconds=ending.seconds,
        started_at=trial.started_at,
        finished_at=trial.finished_at,
        retries=ending.retries,
    )


def make_begin(handle: TrialHandle, params: Mapping[int, OptunaParams]) -> TrialBegin:
    """Put a trial and its parameters together, if they are among these."""
    external, distributions = params.get(handle.trial_id, ({}, {}))
    return TrialBegin(
        trial_id=handle.trial_id,
        number=handle.number,
        params=external,
        distributions=distributions,
    )


def make_end(end: OptunaEnd, ending: Ending) -> TrialEnd:
    """Put Optuna's part of how a trial ended and ours together."""
    return TrialEnd(
        trial_id=end.trial_id,
        number=end.number,
        state=end.state,
        value=end.value,
        outcome=_read_outcome(ending),
        intermediate=end.intermediate,
    )


def _read_outcome(ending: Ending) -> Outcome | None:
    return None if ending.outcome is None else Outcome[ending.outcome]
