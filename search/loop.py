"""The driver's loop: every slot trains while the next pack is asked and the last one is told."""

import contextlib
import functools
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from archloss.search.heartbeat import Heartbeat
from archloss.search.interrupts import Interrupts
from archloss.search.ledger import Ledger, Told
from archloss.search.packing import ReadyTrials
from archloss.search.progress import Observer
from archloss.search.running import RunningTrial
from archloss.spaces.errors import ArchlossError, DataError
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import Pack, PackReport
from archloss.spaces.recipe import Recipe
from archloss.workers.executor import Executor, WorkerLostError

R = TypeVar("R")

MOST_LOSSES = 3
"""A trial whose worker died this many times is given up."""
MOST_FAILED_PACKS = 3
"""After this many packs in a row of which no trial came to anything, the study stops."""


class StudyStoppedError(ArchlossError):
    """Training fails whatever the design: the study was stopped, and can be launched again."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How trials become packs.

    `rungs` end with the last epoch; `pack_size` gives the trials in a pack for a width;
    `ask_size` are the trials asked at once, and `ask_until` those that must wait before a pack
    that is not full goes off, which is more where the space has several widths.
    """

    recipe: Recipe
    fingerprint: str
    device: str
    rungs: tuple[int, ...]
    pack_size: Callable[[int], int]
    ask_size: int
    ask_until: int
    minutes: float | None
    train: Callable[[Pack], PackReport]


class Loop:
    """One launch of a study, from its lease to its budget.

    The main thread submits packs and waits. All book-keeping is queued for one other thread:
    the next pack is asked before the present one trains, which is told after it. With one slot
    everything happens in an order that depends on what was told, and never on how long it took.
    """

    def __init__(self, ledger: Ledger, plan: Plan, executor: Executor, observer: Observer) -> None:
        self._ledger = ledger
        self._plan = plan
        self._executor = executor
        self._observer = observer
        self._started = time.monotonic()
        self._ready = ReadyTrials(plan.pack_size)
        self._retries: deque[list[RunningTrial]] = deque()
        self._pending: dict[Future[Any], Callable[[Future[Any]], None]] = {}
        self._training = 0
        self._asking = False
        self._full = False
        self._failed_packs = 0
        self._interrupts = Interrupts(self._on_interrupt)
        self._books = ThreadPoolExecutor(1, thread_name_prefix="archloss-study")

    def run(self, on_start: Callable[[int], None]) -> None:
        """Work until the budget is spent, the time is up, or Ctrl-C asks to stop.

        `on_start` gets the number of trials that earlier launches left unfinished. Whatever
        the reason to end, unfinished trials then wait for the next launch; only a second
        Ctrl-C (KeyboardInterrupt) leaves them running, to be taken over.
        """
        with self._interrupts:
            try:
                inherited = self._on_books(self._ledger.open)
                on_start(len(inherited))
                self._ready.add(inherited)
                with Heartbeat(self._ledger.renew):
                    self._work()
                self._observer.on_end(self._on_books(self._ledger.measure_progress))
            except Exception as error:
                self._pause_after(error)
                raise
            finally:
                with contextlib.suppress(Exception):  # a lease that is not closed runs out
                    self._on_books(self._ledger.close)
                self._books.shutdown()

    def _work(self) -> None:
        while True:
            while not self._is_stopping() and self._submit_next():
                pass
            if self._pending:
                self._take_in()
            elif self._is_stopping() or not self._take_over_more():
                break
        if paused := self._on_books(self._ledger.pause):
            self._observer.on_note(f"{paused} unfinished trials wait for the next launch")

    def _is_stopping(self) -> bool:
        minutes = self._plan.minutes
        late = minutes is not None and time.monotonic() - self._started >= 60.0 * minutes
        return late or self._interrupts.requested

    def _submit_next(self) -> bool:
        """Fill a slot if one is free and something is ready, and ask ahead; say if it did."""
        if self._training >= self._executor.slots:
            return False
        if self._executor.slots == 1 and self._pending:
            return False  # what was told decides, and not what was told in time
        trials = self._choose()
        enough = self._plan.ask_size if trials else self._plan.ask_until
        if not self._asking and not self._full and self._ready.count_fresh() < enough:
            self._ask()
        if trials:
            self._submit(trials)
        return bool(trials)

    def _choose(self) -> list[RunningTrial]:
        if self._retries:
            return self._retries.popleft()
        if trials := self._ready.take_full():
            return trials
        if self._full and not self._asking:
            return self._ready.take_some(slots=self._executor.slots - self._training)
        if self._ready.count_fresh() >= self._plan.ask_until:
            return self._ready.take_some()
        return []

    def _ask(self) -> None:
        self._asking = True
        self._book(self._on_asked, self._ledger.ask, self._plan.ask_size)

    def _submit(self, trials: list[RunningTrial]) -> None:
        epochs_done = trials[0].epochs_done
        until_epoch = next(epoch for epoch in self._plan.rungs if epoch > epochs_done)
        pack = Pack(
            members=tuple(member for trial in trials for member in trial.make_members()),
            recipe=self._plan.recipe,
            until_epoch=until_epoch,
            device=self._plan.device,
            fingerprint=self._plan.fingerprint,
        )
        self._training += 1
        future = self._executor.submit(self._plan.train, pack)
        self._pending[future] = functools.partial(self._on_trained, trials, until_epoch)

    def _take_in(self) -> None:
        """Wait for something to end, and go on from there, in the order it was begun."""
        when = ALL_COMPLETED if self._executor.slots == 1 else FIRST_COMPLETED
        done, _ = wait(self._pending, return_when=when)
        for future in [future for future in self._pending if future in done]:
            self._pending.pop(future)(future)

    def _on_asked(self, trials: list[RunningTrial]) -> None:
        self._asking = False
        self._full = len(trials) < self._plan.ask_size
        self._ready.add(trials)

    def _on_trained(
        self, trials: list[RunningTrial], until_epoch: int, future: Future[PackReport]
    ) -> None:
        self._training -= 1
        error = future.exception()
        if error is None:
            report = future.result()
            self._book(self._on_told, self._ledger.tell_reports, trials, report, until_epoch)
        elif isinstance(error, WorkerLostError):
            self._on_lost(trials, error)
        elif isinstance(error, DataError):
            raise error
        elif len(trials) > 1:  # one of them may be to blame
            self._retries.extend([trial] for trial in trials)
        else:
            self._give_up(trials, Outcome.FAILED, "".join(traceback.format_exception(error)))

    def _on_lost(self, trials: list[RunningTrial], error: WorkerLostError) -> None:
        """Try again, in halves and then one by one: one trial may have killed its worker."""
        for trial in trials:
            trial.losses += 1
        losses = trials[0].losses
        self._observer.on_note(f"{error}; its {len(trials)} trials are tried again")
        if losses == MOST_LOSSES:
            self._give_up(trials, Outcome.LOST, str(error))
        else:
            size = -(-len(trials) // 2) if losses == 1 else 1
            self._retries.extend(
                trials[start : start + size] for start in range(0, len(trials), size)
            )

    def _give_up(self, trials: list[RunningTrial], outcome: Outcome, message: str) -> None:
        self._book(self._on_told, self._ledger.tell_failure, trials, outcome, message)

    def _on_told(self, told: Told) -> None:
        self._ready.add(told.survivors)
        for note in told.notes:
            self._observer.on_note(note)
        self._observer.on_progress(told.progress)
        if told.failures:
            self._full = False  # a trial that failed does not count, and another takes its place
        self._failed_packs = self._failed_packs + 1 if told.came_to_nothing else 0
        if self._failed_packs >= MOST_FAILED_PACKS:
            raise StudyStoppedError(
                f"the last {self._failed_packs} packs came to nothing, the last one with: "
                f"{told.failures[-1].strip()}\nNothing that was finished is lost: "
                "launch the study again once the cause is removed"
            )

    def _take_over_more(self) -> bool:
        """At the end, look once more for trials that another driver has left."""
        inherited = self._on_books(self._ledger.take_over)
        self._ready.add(inherited)
        return bool(inherited)

    def _on_interrupt(self) -> None:
        self._observer.on_note("stopping after this rung; Ctrl-C once more stops now")

    def _pause_after(self, error: Exception) -> None:
        try:
            self._on_books(self._ledger.pause)
        except Exception as second:
            error.add_note(f"The unfinished trials could not be paused either: {second}")

    def _on_books(self, function: Callable[[], R]) -> R:
        return self._books.submit(function).result()

    def _book(self, then: Callable[[R], None], function: Callable[..., R], *args: Any) -> None:
        """Queue book-keeping, and what to do with its result."""
        future = self._books.submit(function, *args)
        self._pending[future] = lambda done: then(done.result())
