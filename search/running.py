"""A trial while it is being trained: its replicates, and what a rung's reports make of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from archloss.search.score import Score
from archloss.spaces.design import Design
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import Member, Report, State
from archloss.storage.records import Checkpoint, Curve
from archloss.workers.executor import Box, Held, HeldLostError

_FAILURES = (Outcome.INFEASIBLE, Outcome.FAILED, Outcome.LOST)


@dataclass(frozen=True, kw_only=True)
class Rung:
    """What a trial was at the end of a rung."""

    epochs_done: int
    states: Mapping[int, Held | None]
    diverged: frozenset[int]


@dataclass(kw_only=True, eq=False)
class RunningTrial:
    """An unfinished trial of this driver.

    `states` holds one entry per replicate, None before its first rung and once it diverged: the
    states themselves may be on other machines; `earlier` is the rung before, whose states are
    copied to this machine by now, in case the machine of the latest goes too soon;
    `told` are the rungs' epochs that the study knows already, from before a restart; `untold` is
    whether the database has yet to take in what the last rung made of it;
    `unsaved_s` is the training time that a killed driver would lose; `retries` how often its worker
    was lost.
    """

    trial_id: int
    number: int
    design: Design
    states: dict[int, Held | None]
    epochs_done: int = 0
    diverged: set[int] = field(default_factory=set)
    earlier: Rung | None = None
    told: set[int] = field(default_factory=set)
    untold: bool = False
    retries: int = 0
    seconds: float = 0.0
    unsaved_s: float = 0.0

    def make_members(self) -> tuple[Member, ...]:
        """Return the replicates that go on, without their states."""
        return tuple(
            Member(
                trial_number=self.number,
                replicate=replicate,
                design=self.design,
                epochs_done=self.epochs_done,
            )
            for replicate in self.states
            if replicate not in self.diverged
        )

    def list_states(self) -> tuple[Held | None, ...]:
        """Return the states of `make_members`, in its order."""
        return tuple(
            held for replicate, held in self.states.items() if replicate not in self.diverged
        )

    def back_up(self) -> None:
        """Begin to copy the states to this machine, so that they outlive the one they are on."""
        for held in self.states.values():
            if held is not None:
                held.back_up()

    def has_states(self) -> bool:
        """Say whether every state can still be had."""
        return _can_be_had(self.states)

    def fall_back(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Go on from the rung before or from what is saved, whichever is later."""
        saved = max((checkpoint.epochs_done for checkpoint in checkpoints), default=0)
        rung, self.earlier = self.earlier, None
        if rung is not None and rung.epochs_done >= saved and _can_be_had(rung.states):
            self.epochs_done = rung.epochs_done
            self.states = dict(rung.states)
            self.diverged = set(rung.diverged)
        else:
            self.restore(checkpoints)

    def make_checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return what it takes to go on from the last rung; nothing before the first.

        A replicate that diverged has none: `restore` reads that off its absence. Raises
        HeldLostError if a state is gone.
        """
        return tuple(
            _make_checkpoint(replicate, self.epochs_done, held.fetch())
            for replicate, held in self.states.items()
            if held is not None
        )

    def make_weights(self) -> tuple[Checkpoint, ...]:
        """Return the weights alone, without the optimizer's memory."""
        return tuple(
            Checkpoint(
                replicate=saved.replicate,
                epochs_done=saved.epochs_done,
                steps=saved.steps,
                arrays={"parameters": saved.arrays["parameters"]},
            )
            for saved in self.make_checkpoints()
        )

    def restore(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Go on from these; without any, from the beginning.

        All replicates are saved together, so one that the newest rung lacks had diverged.
        """
        if not checkpoints:
            self.states = dict.fromkeys(self.states)
            self.epochs_done = 0
            self.diverged = set()
            return
        self.epochs_done = max(saved.epochs_done for saved in checkpoints)
        newest = {
            saved.replicate: Box(State(arrays=saved.arrays, steps=saved.steps))
            for saved in checkpoints
            if saved.epochs_done == self.epochs_done
        }
        self.states = {replicate: newest.get(replicate) for replicate in self.states}
        self.diverged = {replicate for replicate in self.states if replicate not in newest}


def _can_be_had(states: Mapping[int, Held | None]) -> bool:
    try:
        for held in states.values():
            if held is not None:
                held.fetch()
    except HeldLostError:
        return False
    return True


def _make_checkpoint(replicate: int, epochs_done: int, state: State) -> Checkpoint:
    return Checkpoint(
        replicate=replicate, epochs_done=epochs_done, steps=state.steps, arrays=state.arrays
    )


@dataclass(frozen=True, kw_only=True)
class RungResult:
    """What a rung made of one trial: its score there, or the way in which it failed."""

    value: float
    curves: tuple[Curve, ...]
    test: Mapping[int, Mapping[str, float]]
    failure: Outcome | None = None
    message: str | None = None


def take_reports(
    trial: RunningTrial,
    reports: Sequence[Report],
    states: Sequence[Held | None],
    *,
    until_epoch: int,
    score: Score,
) -> RungResult:
    """Bring the trial up to date with its members' reports of one rung, and their states.

    The value is the mean over all replicates; one that has diverged, in this rung or before,
    counts with the score's penalty.
    """
    first_epoch = trial.epochs_done + 1
    trial.earlier = Rung(
        epochs_done=trial.epochs_done,
        states=dict(trial.states),
        diverged=frozenset(trial.diverged),
    )
    curves = tuple(
        Curve(
            replicate=report.replicate, metric=metric, first_epoch=first_epoch, values=tuple(values)
        )
        for report in reports
        for metric, values in report.curves.items()
        if values
    )
    values: dict[int, float] = {}
    for report, state in zip(reports, states, strict=True):
        trial.seconds += report.seconds
        trial.states[report.replicate] = state
        if report.outcome in _FAILURES:
            return RungResult(
                value=score.penalty,
                curves=curves,
                test={},
                failure=report.outcome,
                message=report.message,
            )
        value = report.curves[score.objective][-1:] or (math.nan,)
        if report.outcome is Outcome.DIVERGED or not math.isfinite(value[0]):
            trial.diverged.add(report.replicate)
            trial.states[report.replicate] = None
        else:
            values[report.replicate] = value[0]
    trial.epochs_done = until_epoch
    return RungResult(
        value=fmean(
            values[replicate] if replicate in values else score.get_penalty(replicate)
            for replicate in trial.states
        ),
        curves=curves,
        test={report.replicate: report.test for report in reports if report.test},
    )
