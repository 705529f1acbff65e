"""The driver's book-keeping: everything that touches Optuna or the database.

All of it runs on one thread, in the order it was asked for, so that a study with one slot is
the same every time, and asking overlaps with training.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from archloss.search.mirror import Mirror
from archloss.search.progress import Progress
from archloss.search.running import RungResult, RunningTrial, take_reports
from archloss.search.score import Score
from archloss.search.tally import Tally
from archloss.spaces.design import Design
from archloss.spaces.dimensions import Value
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import PackReport, Report
from archloss.storage.database import Database
from archloss.storage.records import (
    Checkpoint,
    StudyRecord,
    TrialHandle,
    TrialRecord,
    TrialStart,
    TrialTell,
)

CHECKPOINT_AFTER_S = 60.0
"""A killed driver loses about this much training of a trial; saving costs a little each time."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a spec says about its trials, ready for use. `rungs` end with the last epoch."""

    budget: int | None
    rungs: tuple[int, ...]
    replicates: int
    keep_weights: int
    score: Score
    make_design: Callable[[Mapping[str, Value]], Design]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of telling: the trials that go on, and what a person should know.

    `failures` holds a message for each trial that failed; `came_to_nothing` says that all did.
    """

    survivors: tuple[RunningTrial, ...]
    failures: tuple[str, ...]
    came_to_nothing: bool
    notes: tuple[str, ...]
    progress: Progress


class Ledger:
    """One driver's view of one study, and the only writer of its trials."""

    def __init__(
        self, database: Database, study: StudyRecord, *, mirror: Mirror, rules: Rules
    ) -> None:
        self._database = database
        self._study = study
        self._mirror = mirror
        self._rules = rules
        self._tally = Tally()
        self._active: dict[int, RunningTrial] = {}
        self._lease_id = 0
        self._started = time.monotonic()
        self._started_from = 0

    def open(self) -> list[RunningTrial]:
        """Take a lease; return the trials that earlier drivers left, to be gone on with."""
        self._lease_id = self._database.open_lease(self._study.study_id)
        inherited = self.take_over()
        self._started_from = self._tally.finished
        return inherited

    def renew(self) -> None:
        """Renew the lease. Unlike everything else here, this may run on any thread."""
        self._database.renew_lease(self._lease_id)

    def close(self) -> None:
        """Give the lease back: what is still running may be taken over at once."""
        self._database.close_lease(self._lease_id)

    def take_over(self) -> list[RunningTrial]:
        """Make the trials ours that are paused, or whose driver is dead."""
        taken = self._database.take_over(self._study.study_id, self._lease_id)
        self._read(running={record.trial_id for record, _ in taken})
        return [self._adopt(record, checkpoints) for record, checkpoints in taken]

    def ask(self, count: int) -> list[RunningTrial]:
        """Start up to `count` new trials, as many as the budget leaves room for."""
        if self._rules.budget is not None:
            count = min(count, self._rules.budget - self._tally.finished - len(self._active))
        if count <= 0:
            return []
        asked = self._mirror.ask(count)
        starts = [
            TrialStart(params=trial.params, distributions=trial.distributions) for trial in asked
        ]
        handles = self._database.start_trials(
            self._study.study_id, self._lease_id, starts, budget=self._rules.budget
        )
        for trial in asked[len(handles) :]:
            self._mirror.discard(trial)
        for handle, trial in zip(handles, asked, strict=False):
            self._mirror.start(handle.trial_id, trial)
        if not self._mirror.is_next([handle.number for handle in handles]):
            self._read(running=())  # another driver is at work
        return [
            self._begin(handle, start.params)
            for handle, start in zip(handles, starts, strict=False)
        ]

    def tell_reports(
        self, trials: Sequence[RunningTrial], report: PackReport, until_epoch: int
    ) -> Told:
        """Tell what a rung made of the trials of a pack; the pruner decides who goes on."""
        by_number: dict[int, list[Report]] = {}
        for member in report.reports:
            by_number.setdefault(member.trial_number, []).append(member)
        results = []
        for trial in trials:
            trial.unsaved_s += report.seconds
            result = take_reports(
                trial, by_number[trial.number], until_epoch=until_epoch, score=self._rules.score
            )
            results.append(result)
            if result.failure is None and until_epoch not in trial.told:
                self._mirror.report(trial.trial_id, epoch=until_epoch, value=result.value)
        tells = [
            self._make_tell(trial, result, until_epoch)
            for trial, result in zip(trials, results, strict=True)
        ]
        return self._write(trials, tells, notes=report.notes)

    def tell_failure(self, trials: Sequence[RunningTrial], outcome: Outcome, message: str) -> Told:
        """Give these trials up."""
        tells = [
            TrialTell(
                trial_id=trial.trial_id,
                state="FAIL",
                outcome=outcome,
                message=message,
                seconds=trial.seconds,
            )
            for trial in trials
        ]
        return self._write(trials, tells, notes=())

    def pause(self) -> int:
        """Let every unfinished trial wait for the next launch; return how many there are."""
        tells = [
            TrialTell(
                trial_id=trial.trial_id,
                state="WAITING",
                checkpoints=trial.make_checkpoints(),
                seconds=trial.seconds,
            )
            for trial in self._active.values()
        ]
        if tells:
            self._database.tell(self._lease_id, tells, keep_weights=self._rules.keep_weights)
        self._active.clear()
        return len(tells)

    def measure_progress(self) -> Progress:
        """Return how far the study is."""
        return Progress(
            finished=self._tally.finished,
            budget=self._rules.budget,
            running=len(self._active),
            pruned=self._tally.pruned,
            diverged=self._tally.diverged,
            failed=self._tally.failed,
            best_value=self._tally.best_value,
            best_number=self._tally.best_number,
            elapsed_s=time.monotonic() - self._started,
            started_from=self._started_from,
        )

    def _read(self, *, running: Collection[int]) -> None:
        records = self._database.read_trials(self._study.study_id)
        self._mirror.load(records, running=running)
        self._tally = Tally()
        for record in records:
            self._tally.count(
                number=record.number,
                state=record.state,
                value=record.value,
                outcome=record.outcome,
            )

    def _begin(self, handle: TrialHandle, params: Mapping[str, Value]) -> RunningTrial:
        trial = RunningTrial(
            trial_id=handle.trial_id,
            number=handle.number,
            design=self._rules.make_design(params),
            states=dict.fromkeys(range(self._rules.replicates)),
        )
        self._active[trial.trial_id] = trial
        return trial

    def _adopt(self, record: TrialRecord, checkpoints: Sequence[Checkpoint]) -> RunningTrial:
        handle = TrialHandle(trial_id=record.trial_id, number=record.number)
        trial = self._begin(handle, record.params)
        trial.told = set(record.intermediate)
        trial.seconds = record.seconds or 0.0
        trial.restore(checkpoints)
        return trial

    def _make_tell(self, trial: RunningTrial, result: RungResult, until_epoch: int) -> TrialTell:
        state, outcome = self._judge(trial, result, until_epoch)
        trial.told.add(until_epoch)
        finished = state is not None
        complete = state == "COMPLETE"
        save = not finished and trial.unsaved_s >= CHECKPOINT_AFTER_S
        if save:
            trial.unsaved_s = 0.0
        keep = complete and self._tally.is_among_best(result.value, self._rules.keep_weights)
        return TrialTell(
            trial_id=trial.trial_id,
            state=state,
            value=result.value if complete else None,
            outcome=outcome,
            message=result.message,
            intermediate={} if result.failure else {until_epoch: result.value},
            curves=result.curves,
            checkpoints=trial.make_checkpoints() if save else (),
            weights=trial.make_weights() if keep else (),
            seconds=trial.seconds,
            test=result.test if complete else {},
        )

    def _judge(
        self, trial: RunningTrial, result: RungResult, until_epoch: int
    ) -> tuple[Literal["COMPLETE", "PRUNED", "FAIL"] | None, Outcome | None]:
        """Say how the trial ends at this rung, or that it goes on.

        A rung that the study knew before is one that the trial had survived before a restart.
        """
        if result.failure is not None:
            return "FAIL", result.failure
        all_diverged = len(trial.diverged) == len(trial.states)
        if all_diverged or until_epoch == self._rules.rungs[-1]:
            return "COMPLETE", Outcome.DIVERGED if trial.diverged else Outcome.COMPLETED
        if until_epoch not in trial.told and self._mirror.should_prune(trial.trial_id):
            return "PRUNED", Outcome.PRUNED
        return None, None

    def _write(
        self, trials: Sequence[RunningTrial], tells: Sequence[TrialTell], notes: tuple[str, ...]
    ) -> Told:
        """Write one transaction; then let the sampler know, of what the database accepted."""
        accepted = self._database.tell(self._lease_id, tells, keep_weights=self._rules.keep_weights)
        survivors = []
        for trial, tell in zip(trials, tells, strict=True):
            if tell.trial_id not in accepted:
                self._end(tell.trial_id, "FAIL", None)
            elif tell.state is None:
                survivors.append(trial)
            else:
                self._end(tell.trial_id, tell.state, tell.value)
                self._tally.count(
                    number=trial.number, state=tell.state, value=tell.value, outcome=tell.outcome
                )
        refused = len(tells) - len(accepted)
        if refused:
            notes += (f"{refused} trials were taken over by another driver meanwhile",)
        failures = tuple(tell.message or "" for tell in tells if tell.state == "FAIL")
        return Told(
            survivors=tuple(survivors),
            failures=failures,
            came_to_nothing=len(failures) == len(tells),
            notes=notes,
            progress=self.measure_progress(),
        )

    def _end(self, trial_id: int, state: str, value: float | None) -> None:
        self._mirror.finish(trial_id, state, value)
        del self._active[trial_id]
