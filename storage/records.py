"""What the database takes and gives: plain frozen records, without SQLAlchemy or Optuna models."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution

from archloss.spaces.outcome import Outcome

TrialStateName = Literal["RUNNING", "WAITING", "COMPLETE", "PRUNED", "FAIL"]


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """One study: what it was launched with, and where. `spec` is the Spec as JSON text."""

    study_id: int
    name: str
    spec: str
    digest: str
    fingerprint: str
    environment: Mapping[str, str]
    created_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """One line of `archloss list`. `best_value` is None while nothing has completed.

    `ours` is False for a study that another program made in the same database.
    """

    name: str
    ours: bool
    counts: Mapping[TrialStateName, int]
    best_value: float | None
    best_number: int | None
    created_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class TrialStart:
    """A trial to be started: external parameter values and their distributions, by name."""

    params: Mapping[str, bool | int | float | str]
    distributions: Mapping[str, BaseDistribution]


@dataclass(frozen=True, kw_only=True)
class TrialHandle:
    """A trial that this lease is running: its id in the database and its number in the study."""

    trial_id: int
    number: int


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric of one replicate: a value for each epoch from `first_epoch` on (1 is first)."""

    replicate: int
    metric: str
    first_epoch: int
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A replicate's saved state: the arrays of `State`, its step count and epochs done."""

    replicate: int
    epochs_done: int
    steps: int
    arrays: Mapping[str, npt.NDArray[np.floating]]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialTell:
    """What is told of one trial after a rung.

    `intermediate` maps epochs to the objective there (one a rung). `state` None keeps the trial
    RUNNING; "WAITING" pauses it, with `checkpoints` to go on from; the others finish it.
    `value` is the objective of a COMPLETE trial. `weights` are kept for the best trials only.
    `test` holds the metrics on the test split per replicate, which the search never reads.
    `retries` is how often the trial was begun again in all; a smaller number than is known changes
    nothing.
    """

    trial_id: int
    state: Literal["WAITING", "COMPLETE", "PRUNED", "FAIL"] | None
    value: float | None = None
    outcome: Outcome | None = None
    message: str | None = None
    intermediate: Mapping[int, float] = field(default_factory=dict)
    curves: tuple[Curve, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    weights: tuple[Checkpoint, ...] = ()
    seconds: float = 0.0
    test: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    retries: int = 0


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial as the database holds it; `params` are external values."""

    trial_id: int
    number: int
    state: TrialStateName
    value: float | None
    outcome: Outcome | None
    message: str | None
    params: Mapping[str, bool | int | float | str]
    distributions: Mapping[str, BaseDistribution]
    intermediate: Mapping[int, float]
    seconds: float | None
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    retries: int = 0


@dataclass(frozen=True, kw_only=True)
class TrialBegin:
    """What is known of a trial when it begins; no parameters where they were not asked for."""

    trial_id: int
    number: int
    params: Mapping[str, bool | int | float | str]
    distributions: Mapping[str, BaseDistribution]


@dataclass(frozen=True, kw_only=True)
class TrialEnd:
    """How a trial ended, beside what was known when it began."""

    trial_id: int
    number: int
    state: TrialStateName
    value: float | None
    outcome: Outcome | None
    intermediate: Mapping[int, float]


@dataclass(frozen=True, kw_only=True)
class News:
    """What happened in a study since the last look; a trial may be in both."""

    begun: tuple[TrialBegin, ...]
    ended: tuple[TrialEnd, ...]


@dataclass(frozen=True, kw_only=True)
class DriverRecord:
    """A driver at work on a study: its process, its lease, and how many trials it is running.

    Times are seconds since 1970 by the database's clock.
    """

    lease_id: int
    host: str
    pid: int
    opened_s: float
    renewed_s: float
    running: int


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What our table says of a trial, beside Optuna's: how it ended, and what it took."""

    outcome: str | None = None
    message: str | None = None
    seconds: float | None = None
    retries: int = 0
