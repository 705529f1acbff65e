"""What both ways into Optuna's tables have in common: their interface, and plain records."""

import datetime
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from archloss.storage.records import TrialHandle, TrialStart, TrialStateName, TrialTell

TOKEN_KEY = "archloss:token"
"""A study attribute that tells our studies from others that came to have the same id."""


OptunaParams = tuple[dict[str, bool | int | float | str], dict[str, BaseDistribution]]
"""A trial's external parameter values, and their distributions."""


@dataclass(frozen=True, kw_only=True)
class OptunaStudy:
    """A study as Optuna's tables hold it; `token` is ours, if there is one."""

    study_id: int
    name: str
    token: str | None
    directions: tuple[StudyDirection, ...]


@dataclass(frozen=True, kw_only=True)
class OptunaTrial:
    """A trial as Optuna's tables hold it, with external parameter values and times in UTC."""

    trial_id: int
    number: int
    state: TrialStateName
    value: float | None
    params: Mapping[str, bool | int | float | str]
    distributions: Mapping[str, BaseDistribution]
    intermediate: Mapping[int, float]
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class OptunaEnd:
    """How a trial ended, as Optuna's tables hold it."""

    trial_id: int
    number: int
    state: TrialStateName
    value: float | None
    intermediate: Mapping[int, float]


class OptunaTables(Protocol):
    """The trials and studies of Optuna, for a Database to change together with our tables.

    Where a way in cannot share a transaction with ours, `connection` commits each statement,
    and whatever finishes a trial comes last, so that a kill in between leaves it RUNNING.
    """

    def close(self) -> None:
        """Let go of connections that are not the caller's."""

    def changing(
        self,
        engine: sa.Engine,
        study_id: int | None,
        lease_id: int | None,
        *,
        alone: bool = True,
    ) -> AbstractContextManager[sa.Connection]:
        """Enter a change; if a study is named, alone on it or beside others that are not alone."""

    def sending(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Enter a part of a change whose statements give nothing back."""

    def create_study(self, connection: sa.Connection, name: str, token: str) -> int | None:
        """Make a study that is minimised; return its id, or None if the name is taken."""

    def list_studies(self, connection: sa.Connection) -> list[OptunaStudy]:
        """Return every study in the database."""

    def delete_study(self, connection: sa.Connection, study_id: int) -> None:
        """Delete all that Optuna has of a study."""

    def read_attributes(self, connection: sa.Connection, study_id: int) -> dict[str, Any]:
        """Return the system attributes of a study."""

    def write_attributes(
        self, connection: sa.Connection, study_id: int, attributes: Mapping[str, Any]
    ) -> None:
        """Set system attributes of a study, in the place of those of the same names."""

    def read_frozen(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> list[FrozenTrial]:
        """Return the study's trials, or some of them, by number, as Optuna's readers want them."""

    def count_states(self, connection: sa.Connection, study_id: int) -> dict[TrialStateName, int]:
        """Return how many trials are in each state that any is in."""

    def count_trials(self, connection: sa.Connection, study_id: int) -> int:
        """Return how many trials the study holds, which is the number of the next one."""

    def find_from(self, connection: sa.Connection, study_id: int, number: int) -> list[TrialHandle]:
        """Return the trials with this number or a higher one, by number."""

    def find_best(self, connection: sa.Connection, study: OptunaStudy) -> tuple[float, int] | None:
        """Return the best finite value of a study and its trial's number."""

    def start(
        self,
        connection: sa.Connection,
        study_id: int,
        starts: Sequence[TrialStart],
        claim: Callable[[Sequence[int]], None],
    ) -> list[TrialHandle]:
        """Make RUNNING trials with their parameters; `claim` their ids before they run."""

    def find_trial(self, connection: sa.Connection, study_id: int, number: int) -> int | None:
        """Return the id of the trial of that number, if there is one."""

    def find_running(
        self, connection: sa.Connection, trial_ids: Collection[int]
    ) -> Collection[int]:
        """Return those of the trials that are RUNNING."""

    def find_unfinished(
        self, connection: sa.Connection, study_id: int
    ) -> dict[int, TrialStateName]:
        """Return the states of the trials that are RUNNING or WAITING, by id."""

    def resume(self, connection: sa.Connection, trial_ids: Collection[int]) -> None:
        """Make WAITING trials RUNNING."""

    def pause(self, connection: sa.Connection, trial_ids: Collection[int]) -> None:
        """Make RUNNING trials WAITING."""

    def write(self, connection: sa.Connection, tells: Sequence[TrialTell]) -> None:
        """Write intermediate values, and for finished trials value, attributes and state."""

    def read(
        self,
        connection: sa.Connection,
        study_id: int,
        trial_ids: Collection[int] | None = None,
    ) -> list[OptunaTrial]:
        """Return the study's trials, or some of them, by number."""

    def read_params(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int] | None
    ) -> dict[int, OptunaParams]:
        """Return the parameters of the study's trials, or of some of them, by id."""

    def read_ends(
        self, connection: sa.Connection, study_id: int, trial_ids: Collection[int]
    ) -> list[OptunaEnd]:
        """Return how those of the trials ended that have."""


def make_attributes(tell: TrialTell) -> dict[str, object]:
    """Return the user attributes of a finished trial."""
    outcome = None if tell.outcome is None else tell.outcome.name
    return {"outcome": outcome, "seconds": tell.seconds}


def read_clock() -> datetime.datetime:
    """Return the time as Optuna 5 stores it: UTC, without saying so."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
