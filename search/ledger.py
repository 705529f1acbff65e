"""The driver's book-keeping: everything that touches Optuna or the database.

All of it runs on one thread, in the order it was asked for, so that a study with one slot is
the same every time, and asking overlaps with training.
"""

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from optuna.trial import FrozenTrial

from archloss.search.mirror import Mirror
from archloss.search.progress import Progress
from archloss.search.running import RungResult, RunningTrial, take_reports
from archloss.search.score import Score
from archloss.search.tally import Tally
from archloss.spaces.design import Design
from archloss.spaces.dimensions import Value
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import Report
from archloss.storage.database import Database
from archloss.storage.errors import StudyMovedError
from archloss.storage.records import (
    Checkpoint,
    StudyRecord,
    TrialEnd,
    TrialHandle,
    TrialRecord,
    TrialStart,
    TrialTell,
)
from archloss.workers.executor import Held, HeldLostError

CHECKPOINT_AFTER_S = 60.0
"""A killed driver loses about this much training of a trial; saving costs a little each time."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a spec says about its trials, ready for use.

    `rungs` end with the last epoch; `list_replicates` gives the replicates of a trial.
    """

    budget: int | None
    rungs: tuple[int, ...]
    list_replicates: Callable[[Mapping[str, Value]], Sequence[int]]
    keep_weights: int
    score: Score
    make_design: Callable[[Mapping[str, Value]], Design]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What came back of one pack: its trials, their reports up to an epoch, and their states.

    `reports` and `states` are in the order of the pack's members.
    """

    trials: Sequence[RunningTrial]
    until_epoch: int
    reports: Sequence[Report]
    states: Sequence[Held | None]
    seconds: float
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of telling: the trials that go on, and what a person should know.

    `failures` holds a message for each trial that failed or does not fit into memory.
    """

    survivors: tuple[RunningTrial, ...]
    came_to_something: bool
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is left to do: trials taken over, and how many other drivers are running."""

    inherited: tuple[RunningTrial, ...]
    elsewhere: int
    room: bool


class Ledger:
    """One driver's view of one study, and the only writer of its trials."""

    def __init__(
        self,
        database: Database,
        study: StudyRecord,
        *,
        lease_id: int,
        mirror: Mirror,
        rules: Rules,
    ) -> None:
        self._database = database
        self._study = study
        self._mirror = mirror
        self._rules = rules
        self._tally = Tally()
        self._active: dict[int, RunningTrial] = {}
        self._lease_id = lease_id
        self._shared = False
        self._started = time.monotonic()
        self._started_from = 0

    def open(self) -> tuple[RunningTrial, ...]:
        """Return the trials that earlier drivers left, to be gone on with."""
        inherited = self.take_over()
        self._read_all()
        self._shared = bool(self._mirror.elsewhere)
        self._started_from = self._tally.finished
        return inherited

    def renew(self) -> bool:
        """Renew the lease; say whether someone asked the study to stop.

        Unlike everything else here, this may run on any thread.
        """
        return self._database.renew_lease(self._lease_id)

    def close(self) -> None:
        """Give the lease back: what is still running may be taken over at once."""
        self._database.close_lease(self._lease_id)

    def take_over(self) -> tuple[RunningTrial, ...]:
        """Make the trials ours that are paused, or whose driver is dead."""
        taken = self._database.take_over(
            self._study.study_id, self._lease_id, budget=self._rules.budget
        )
        self._take_in(
            [record for record, _ in taken], running={record.trial_id for record, _ in taken}
        )
        return tuple(self._adopt(record, checkpoints) for record, checkpoints in taken)

    def look_around(self) -> Outlook:
        """Say what is left of the study once this driver has nothing to do."""
        inherited = self.take_over()
        self._read_news()
        drivers = self._database.list_drivers(self._study.study_id)
        elsewhere = sum(one.running for one in drivers if one.lease_id != self._lease_id)
        return Outlook(inherited=inherited, elsewhere=elsewhere, room=self._count_room() > 0)

    def ask(self, count: int) -> list[RunningTrial]:
        """Start up to `count` new trials, as many as the budget leaves room for."""
        if self._shared:
            self._read_news()
        while True:
            count = min(count, self._count_room())
            if count <= 0:
                return []
            asked = self._mirror.ask(count)
            try:
                handles = self._start(asked)
            except StudyMovedError:
                self._discard(asked)
                self._read_news()
                continue
            return self._take_up(asked, handles)

    def _start(self, asked: Sequence[FrozenTrial]) -> list[TrialHandle]:
        distributions = self._mirror.distributions
        starts = [TrialStart(params=trial.params, distributions=distributions) for trial in asked]
        return self._database.start_trials(
            self._study.study_id,
            self._lease_id,
            starts,
            budget=self._rules.budget,
            expected_count=self._mirror.next_number if self._mirror.follows_a_list else None,
        )

    def _take_up(
        self, asked: Sequence[FrozenTrial], handles: Sequence[TrialHandle]
    ) -> list[RunningTrial]:
        alone = [handle.number for handle in handles] == list(
            range(self._mirror.next_number, self._mirror.next_number + len(asked))
        )
        self._discard(asked[len(handles) :])
        begun = []
        for handle, trial in zip(handles, asked, strict=False):
            self._mirror.start(handle, trial)
            begun.append(self._begin(handle, trial.params))
        if not alone:
            self._shared = True  # what came in between is read before the next ask
        return begun

    def _discard(self, asked: Sequence[FrozenTrial]) -> None:
        for trial in asked:
            self._mirror.discard(trial)

    def _count_room(self) -> int:
        """Return how many more trials the budget has room for, as far as is known here."""
        if self._rules.budget is None:
            return sys.maxsize
        spent = self._tally.finished + len(self._active) + len(self._mirror.elsewhere)
        return self._rules.budget - spent

    def tell_reports(self, packs: Sequence[Trained]) -> Told:
        """Tell what a rung made of the trials of some packs; the pruner decides who goes on."""
        results = [result for pack in packs for result in self._take_pack(pack)]
        pruned = self._mirror.find_pruned(
            [
                trial.trial_id
                for trial, result, epoch in results
                if self._may_prune(trial, result, epoch)
            ]
        )
        tells = [
            self._make_tell(trial, result, epoch, pruned=trial.trial_id in pruned)
            for trial, result, epoch in results
        ]
        notes = tuple(note for pack in packs for note in pack.notes)
        return self._write([trial for trial, _, _ in results], tells, notes=notes)

    def _take_pack(self, pack: Trained) -> list[tuple[RunningTrial, RungResult, int]]:
        by_number: dict[int, tuple[list[Report], list[Held | None]]] = {}
        for report, state in zip(pack.reports, pack.states, strict=True):
            reports, states = by_number.setdefault(report.trial_number, ([], []))
            reports.append(report)
            states.append(state)
        results = []
        for trial in pack.trials:
            trial.unsaved_s += pack.seconds
            result = take_reports(
                trial,
                *by_number[trial.number],
                until_epoch=pack.until_epoch,
                score=self._rules.score,
            )
            results.append((trial, result, pack.until_epoch))
            if result.failure is None and pack.until_epoch not in trial.told:
                self._mirror.report(trial.trial_id, epoch=pack.until_epoch, value=result.value)
        return results

    def tell_failure(self, trials: Sequence[RunningTrial], outcome: Outcome, message: str) -> Told:
        """Give these trials up."""
        tells = [
            TrialTell(
                trial_id=trial.trial_id,
                state="FAIL",
                outcome=outcome,
                message=message,
                seconds=trial.seconds,
                retries=trial.retries,
            )
            for trial in trials
        ]
        return self._write(trials, tells, notes=())

    def fall_back(self, trials: Sequence[RunningTrial]) -> tuple[RunningTrial, ...]:
        """Send those whose states are gone back by a rung, to what is saved, or to the start."""
        lost = [trial for trial in trials if not trial.has_states()]
        checkpoints = self._database.read_checkpoints([trial.trial_id for trial in lost])
        for trial in lost:
            trial.fall_back(checkpoints.get(trial.trial_id, ()))
        return tuple(trials)

    def pause(self) -> int:
        """Let every unfinished trial wait for the next launch; return how many there are.

        One whose last rung could not be told goes back to what was saved before: to go on from
        behind that rung would leave a gap in its curves.
        """
        tells = [
            TrialTell(
                trial_id=trial.trial_id,
                state="WAITING",
                checkpoints=() if trial.untold else _save(trial),
                seconds=trial.seconds,
                retries=trial.retries,
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

    def _read_all(self) -> None:
        self._take_in(self._database.read_trials(self._study.study_id))
        self._mirror.mark_read()

    def _read_news(self) -> None:
        """Learn what other drivers started and finished since the last look."""
        news = self._database.read_news(
            self._study.study_id,
            first_number=self._mirror.unread_from,
            trial_ids=self._mirror.elsewhere,
            with_params=self._mirror.needs_params,
        )
        self._mirror.learn(news)
        self._count([end for end in news.ended if end.trial_id not in self._active])

    def _take_in(self, records: Sequence[TrialRecord], *, running: Collection[int] = ()) -> None:
        self._mirror.load(records, running=running)
        self._count([record for record in records if record.trial_id not in self._active])

    def _count(self, trials: Sequence[TrialRecord | TrialEnd]) -> None:
        for trial in trials:
            self._tally.count(
                trial.trial_id,
                number=trial.number,
                state=trial.state,
                value=trial.value,
                outcome=trial.outcome,
            )

    def _begin(self, handle: TrialHandle, params: Mapping[str, Value]) -> RunningTrial:
        trial = RunningTrial(
            trial_id=handle.trial_id,
            number=handle.number,
            design=self._rules.make_design(params),
            states=dict.fromkeys(self._rules.list_replicates(params)),
        )
        self._active[trial.trial_id] = trial
        return trial

    def _adopt(self, record: TrialRecord, checkpoints: Sequence[Checkpoint]) -> RunningTrial:
        handle = TrialHandle(trial_id=record.trial_id, number=record.number)
        trial = self._begin(handle, record.params)
        trial.told = set(record.intermediate)
        trial.seconds = record.seconds or 0.0
        trial.retries = record.retries
        trial.restore(checkpoints)
        return trial

    def _make_tell(
        self, trial: RunningTrial, result: RungResult, until_epoch: int, *, pruned: bool
    ) -> TrialTell:
        state, outcome = self._judge(trial, result, until_epoch, pruned=pruned)
        trial.told.add(until_epoch)
        finished = state is not None
        complete = state == "COMPLETE"
        save = not finished and trial.unsaved_s >= CHECKPOINT_AFTER_S
        if save:
            trial.unsaved_s = 0.0
        elif not finished:
            trial.back_up()
        keep = complete and self._tally.is_among_best(result.value, self._rules.keep_weights)
        return TrialTell(
            trial_id=trial.trial_id,
            state=state,
            value=result.value if complete else None,
            outcome=outcome,
            message=result.message,
            intermediate={} if result.failure else {until_epoch: result.value},
            curves=result.curves,
            checkpoints=_save(trial) if save else (),
            weights=_save_weights(trial) if keep else (),
            seconds=trial.seconds,
            retries=trial.retries,
            test=result.test if complete else {},
        )

    def _may_prune(self, trial: RunningTrial, result: RungResult, until_epoch: int) -> bool:
        """Say whether the pruner is asked about a trial at this rung.

        Not at one that the study knew before: the trial survived it, before a restart.
        """
        return (
            result.failure is None
            and len(trial.diverged) < len(trial.states)
            and until_epoch != self._rules.rungs[-1]
            and until_epoch not in trial.told
        )

    def _judge(
        self, trial: RunningTrial, result: RungResult, until_epoch: int, *, pruned: bool
    ) -> tuple[Literal["COMPLETE", "PRUNED", "FAIL"] | None, Outcome | None]:
        """Say how the trial ends at this rung, or that it goes on."""
        if result.failure is Outcome.INFEASIBLE:
            return "PRUNED", result.failure
        if result.failure is not None:
            return "FAIL", result.failure
        all_diverged = len(trial.diverged) == len(trial.states)
        if all_diverged or until_epoch == self._rules.rungs[-1]:
            return "COMPLETE", Outcome.DIVERGED if trial.diverged else Outcome.COMPLETED
        return ("PRUNED", Outcome.PRUNED) if pruned else (None, None)

    def _write(
        self, trials: Sequence[RunningTrial], tells: Sequence[TrialTell], notes: tuple[str, ...]
    ) -> Told:
        """Write one transaction; then let the sampler know, of what the database accepted."""
        for trial in trials:
            trial.untold = True
        accepted = self._database.tell(self._lease_id, tells, keep_weights=self._rules.keep_weights)
        for trial in trials:
            trial.untold = False
        survivors = []
        for trial, tell in zip(trials, tells, strict=True):
            if tell.trial_id not in accepted:
                self._shared = True
                self._mirror.hand_over(tell.trial_id)
                del self._active[tell.trial_id]
            elif tell.state is None:
                survivors.append(trial)
            else:
                self._mirror.finish(tell.trial_id, tell.state, tell.value, tell.outcome)
                del self._active[tell.trial_id]
                self._tally.count(
                    trial.trial_id,
                    number=trial.number,
                    state=tell.state,
                    value=tell.value,
                    outcome=tell.outcome,
                )
        refused = len(tells) - len(accepted)
        if refused:
            notes += (f"{refused} trials were taken over by another driver meanwhile",)
        failures = tuple(
            tell.message or ""
            for tell in tells
            if tell.state == "FAIL" or tell.outcome is Outcome.INFEASIBLE
        )
        return Told(
            survivors=tuple(survivors),
            came_to_something=len(failures) < len(tells),
            failures=failures,
            notes=notes,
            progress=self.measure_progress(),
        )


def _save(trial: RunningTrial) -> tuple[Checkpoint, ...]:
    """Return the trial's checkpoints; none if its states are gone, and it must begin anew."""
    try:
        return trial.make_checkpoints()
    except HeldLostError:
        return ()


def _save_weights(trial: RunningTrial) -> tuple[Checkpoint, ...]:
    """Return the trial's weights; none if the machine that held them is gone."""
    try:
        return trial.make_weights()
    except HeldLostError:
        return ()
