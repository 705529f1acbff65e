"""Trials as the report sees them: where each lies in the search, and how it ended."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archloss.spaces.design import Design
from archloss.spaces.dimensions import Value
from archloss.spaces.outcome import Outcome

if TYPE_CHECKING:
    from archloss.storage.records import TrialRecord

Ending = Literal[
    "completed", "diverged", "pruned", "failed", "lost", "infeasible", "running", "waiting"
]
MakeDesign = Callable[[Mapping[str, Value]], Design]

_ENDINGS: Mapping[Outcome, Ending] = {
    Outcome.COMPLETED: "completed",
    Outcome.DIVERGED: "diverged",
    Outcome.PRUNED: "pruned",
    Outcome.FAILED: "failed",
    Outcome.LOST: "lost",
    Outcome.INFEASIBLE: "infeasible",
}
_BY_STATE: Mapping[str, Ending] = {
    "RUNNING": "running",
    "WAITING": "waiting",
    "COMPLETE": "completed",
    "PRUNED": "pruned",
    "FAIL": "failed",
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One trial: its design, its ending, and the objective it reached.

    `value` is final for a trial that completed or diverged; for a pruned one it is the
    objective at its last rung, which no other number of epochs may be compared with; None where
    there is nothing yet.
    """

    number: int
    design: Design
    ending: Ending
    value: float | None


def make_points(trials: Iterable["TrialRecord"], make_design: MakeDesign) -> tuple[Point, ...]:
    """Return one point per trial, in the order given.

    A trial that another program put into the study has no outcome of ours: its state stands in.
    """
    return tuple(
        Point(
            number=trial.number,
            design=make_design(trial.params),
            ending=find_ending(trial),
            value=_find_value(trial),
        )
        for trial in trials
    )


def find_ending(trial: "TrialRecord") -> Ending:
    """Say in one word how the trial ended, or that it has not."""
    if trial.state in ("RUNNING", "WAITING") or trial.outcome is None:
        return _BY_STATE[trial.state]
    return _ENDINGS.get(trial.outcome, _BY_STATE[trial.state])


def _find_value(trial: "TrialRecord") -> float | None:
    if trial.value is not None or not trial.intermediate:
        return trial.value
    return trial.intermediate[max(trial.intermediate)]
