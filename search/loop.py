"""The driver's loop: every slot trains while the next packs are asked and the last are told."""

import contextlib
import functools
import math
import queue
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from archloss.search.heartbeat import Heartbeat
from archloss.search.interrupts import Interrupts
from archloss.search.ledger import Ledger, Outlook, Told, Trained
from archloss.search.packing import ReadyTrials
from archloss.search.progress import Observer
from archloss.search.running import RunningTrial
from archloss.spaces.errors import ArchlossError, DataError
from archloss.spaces.jobs import Training, train_holding
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import Pack, PackReport
from archloss.spaces.recipe import Recipe
from archloss.workers.executor import Executor, Held, HeldLostError, WorkerLostError

R = TypeVar("R")
Answer = tuple[PackReport, tuple[Held | None, ...]]

MOST_FAILURES = 3
"""After this many failures without a trial that finished, the study stops."""
LOOK_EVERY_S = 1.0
"""How often the driver looks at what ends no pack: its clock, and workers that come and go."""
LOOK_AROUND_FIRST_S = 0.5
LOOK_AROUND_EVERY_S = 5.0
"""How often a driver that has nothing left looks whether others leave it something, in the end."""
SLOTS_PER_SPARE = 20
"""For so many slots one asked pack waits, so that none stands idle while the next is asked."""
MOST_PACKS_ASKED = 64
"""More packs at once would keep the first of them waiting."""


class StudyStoppedError(ArchlossError):
    """Training fails whatever the design: the study was stopped, and can be launched again."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How trials become packs.

    `rungs` end with the last epoch; `pack_size` gives the trials in a pack for a kind of device
    and a width; `ask_size` are the trials asked for one pack, and `ask_until` those that must
    wait before a pack that is not full goes off, which is more where the space has several
    widths. A trial is tried again `max_retries` times after its worker was lost.
    """

    recipe: Recipe
    fingerprint: str
    device: str
    rungs: tuple[int, ...]
    pack_size: Callable[[str, int], int]
    ask_size: int
    ask_until: int
    minutes: float | None
    max_retries: int
    train: Callable[[Pack], PackReport]


class Loop:
    """One launch of a study, from its lease to its budget.

    The main thread submits packs and waits. All book-keeping is queued for one other thread:
    the next packs are asked before the present ones train, and whatever has come back meanwhile
    is told together. With one slot everything happens in an order that depends on what was told,
    and never on how long it took.
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
        self._done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._training: Counter[str] = Counter()
        self._untold: list[Trained] = []
        self._telling = False
        self._asking = 0
        self._full = False
        self._failures = 0
        self._interrupts = Interrupts(self._on_interrupt)
        self._heartbeat = Heartbeat(ledger.renew)
        self._stop_noted = False
        self._books = ThreadPoolExecutor(1, thread_name_prefix="archloss-study")

    def run(self, on_start: Callable[[int], None]) -> None:
        """Work until the budget is spent, the time is up, or someone asks to stop.

        `on_start` gets the number of trials that earlier launches left unfinished. Whatever
        the reason to end, unfinished trials then wait for the next launch; only a second
        Ctrl-C (KeyboardInterrupt) leaves them running, to be taken over.
        """
        with self._interrupts:
            try:
                with self._heartbeat:
                    inherited = self._on_books(self._ledger.open)
                    on_start(len(inherited))
                    self._ready.add(inherited)
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
            elif self._is_stopping() or not self._wait_for_others():
                break
        if paused := self._on_books(self._ledger.pause):
            self._observer.on_note(f"{paused} unfinished trials wait for the next launch")

    def _is_stopping(self) -> bool:
        minutes = self._plan.minutes
        late = minutes is not None and time.monotonic() - self._started >= 60.0 * minutes
        asked = self._heartbeat.stop_requested
        if asked and not self._stop_noted:
            self._stop_noted = True
            self._observer.on_note("someone asked the study to stop: stopping after this rung")
        return late or asked or self._interrupts.requested

    def _submit_next(self) -> bool:
        """Fill a slot if one is free and something is ready, and ask ahead; say if it did."""
        kinds = self._executor.kinds
        free = {kind: kinds[kind] - self._training[kind] for kind in kinds}
        kind = max(free, key=lambda name: free[name], default="")
        if free.get(kind, 0) <= 0:
            return False
        if self._executor.slots == 1 and self._pending:
            return False  # what was told decides, and not what was told in time
        trials = self._choose(kind, free[kind])
        self._ask_ahead(sum(free.values()) - bool(trials), enough=bool(trials))
        if trials:
            self._submit(trials, kind)
        return bool(trials)

    def _choose(self, kind: str, free: int) -> list[RunningTrial]:
        if self._retries:
            return self._retries.popleft()
        if trials := self._ready.take_full(kind):
            return trials
        if self._full and not self._asking:
            return self._ready.take_some(kind, slots=free)
        if self._ready.count_fresh() >= self._plan.ask_until:
            return self._ready.take_some(kind)
        return []

    def _ask_ahead(self, free: int, *, enough: bool) -> None:
        """Ask for what the free slots lack, and for what should wait in reserve.

        `enough` says that the last slot looked at was filled.
        """
        if self._asking or self._full:
            return
        size = self._plan.ask_size
        reserve = size if enough else self._plan.ask_until
        spare = size * math.ceil(self._executor.slots / SLOTS_PER_SPARE)
        if self._ready.count_fresh() >= max(reserve, spare):
            return
        missing = size * max(0, free) + spare - self._ready.count_fresh()
        count = size * min(MOST_PACKS_ASKED, max(1, round(missing / size)))
        self._asking = count
        self._book(self._on_asked, self._ledger.ask, count)

    def _submit(self, trials: list[RunningTrial], kind: str) -> None:
        epochs_done = trials[0].epochs_done
        until_epoch = next(epoch for epoch in self._plan.rungs if epoch > epochs_done)
        pack = Pack(
            members=tuple(member for trial in trials for member in trial.make_members()),
            recipe=self._plan.recipe,
            until_epoch=until_epoch,
            device=self._plan.device,
            fingerprint=self._plan.fingerprint,
        )
        states = [held for trial in trials for held in trial.list_states()]
        self._training[kind] += 1
        future = self._executor.submit_holding(
            train_holding,
            Training(train=self._plan.train, pack=pack),
            states,
            count=len(states),
            kind=kind,
        )
        self._await(future, functools.partial(self._on_trained, trials, until_epoch, kind))

    def _take_in(self) -> None:
        """Wait for something to end, and go on from there, in the order it was begun."""
        done = set()
        with contextlib.suppress(queue.Empty):
            done.add(self._done.get(timeout=LOOK_EVERY_S))
        while self._executor.slots == 1 and len(done) < len(self._pending):
            done.add(self._done.get())
        with contextlib.suppress(queue.Empty):
            while True:
                done.add(self._done.get_nowait())
        for future in [future for future in self._pending if future in done]:
            self._pending.pop(future)(future)

    def _on_asked(self, trials: list[RunningTrial]) -> None:
        self._full = len(trials) < self._asking
        self._asking = 0
        self._ready.add(trials)

    def _on_trained(
        self, trials: list[RunningTrial], until_epoch: int, kind: str, future: Future[Answer]
    ) -> None:
        self._training[kind] -= 1
        error = future.exception()
        if error is None:
            report, states = future.result()
            self._tell(
                Trained(
                    trials=trials,
                    until_epoch=until_epoch,
                    reports=report.reports,
                    states=states,
                    seconds=report.seconds,
                    notes=report.notes,
                )
            )
        elif isinstance(error, WorkerLostError):
            self._on_lost(trials, error)
        elif isinstance(error, HeldLostError):
            self._observer.on_note(f"{error}; its {len(trials)} trials go back by a rung or more")
            self._book(self._on_fallen_back, self._ledger.fall_back, trials)
        elif isinstance(error, DataError):
            raise error
        elif len(trials) > 1:  # one of them may be to blame
            self._retries.extend([trial] for trial in trials)
        else:
            self._give_up(trials, Outcome.FAILED, "".join(traceback.format_exception(error)))

    def _tell(self, trained: Trained | None = None) -> None:
        """Tell what has come back, all of it together once the last telling is done."""
        if trained is not None:
            self._untold.append(trained)
        if self._untold and not self._telling:
            self._telling = True
            packs, self._untold = self._untold, []
            self._book(self._on_reports_told, self._ledger.tell_reports, packs)

    def _on_reports_told(self, told: Told) -> None:
        self._telling = False
        self._tell()
        self._on_told(told)

    def _on_fallen_back(self, trials: tuple[RunningTrial, ...]) -> None:
        self._ready.add(trials)

    def _on_lost(self, trials: list[RunningTrial], error: WorkerLostError) -> None:
        """Try again, in halves and then one by one: one trial may have killed its worker."""
        for trial in trials:
            trial.retries += 1
        spent = [trial for trial in trials if trial.retries > self._plan.max_retries]
        left = [trial for trial in trials if trial.retries <= self._plan.max_retries]
        if left:
            self._observer.on_note(f"{error}; its {len(left)} trials are tried again")
        if spent:
            self._give_up(spent, Outcome.LOST, str(error))
        size = len(left)
        if left and not error.blameless:
            size = -(-len(left) // 2) if max(trial.retries for trial in left) == 1 else 1
        self._retries.extend(left[start : start + size] for start in range(0, len(left), size or 1))

    def _give_up(self, trials: list[RunningTrial], outcome: Outcome, message: str) -> None:
        self._book(self._on_told, self._ledger.tell_failure, trials, outcome, message)

    def _on_told(self, told: Told) -> None:
        self._ready.add(told.survivors)
        for note in told.notes:
            self._observer.on_note(note)
        self._observer.on_progress(told.progress)
        if told.failures:
            self._full = False  # a trial that failed does not count, and another takes its place
        if told.came_to_something:
            self._failures = 0
        else:
            self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise StudyStoppedError(
                f"the last {self._failures} packs came to nothing, the last one with: "
                f"{told.failures[-1].strip()}\nNothing that was finished is lost: "
                "launch the study again once the cause is removed"
            )

    def _wait_for_others(self) -> bool:
        """At the end, see to what other drivers leave; say whether there is anything to do.

        While others are running this waits with them: what they cannot finish falls to us.
        """
        waiting = False
        pause_s = LOOK_AROUND_FIRST_S
        while True:
            outlook: Outlook = self._on_books(self._ledger.look_around)
            self._ready.add(outlook.inherited)
            self._full = not outlook.room
            if outlook.inherited or outlook.room:
                return True
            if not outlook.elsewhere:
                return False
            if not waiting:
                waiting = True
                self._observer.on_note(
                    f"waiting for {outlook.elsewhere} trials of other drivers; Ctrl-C leaves "
                    "them to it"
                )
            until = time.monotonic() + pause_s
            pause_s = min(2.0 * pause_s, LOOK_AROUND_EVERY_S)
            while time.monotonic() < until:
                if self._is_stopping():
                    return False
                time.sleep(0.1)

    def _on_interrupt(self) -> None:
        self._observer.on_note("stopping after this rung; Ctrl-C once more stops now")

    def _pause_after(self, error: Exception) -> None:
        try:
            self._on_books(self._ledger.pause)
        except Exception as second:
            if str(second) != str(error):  # as of a study that was deleted meanwhile
                error.add_note(f"The unfinished trials could not be paused either: {second}")

    def _on_books(self, function: Callable[[], R]) -> R:
        return self._books.submit(function).result()

    def _book(self, then: Callable[[R], None], function: Callable[..., R], *args: Any) -> None:
        """Queue book-keeping, and what to do with its result."""
        self._await(self._books.submit(function, *args), lambda done: then(done.result()))

    def _await(self, future: Future[Any], then: Callable[[Future[Any]], None]) -> None:
        self._pending[future] = then
        future.add_done_callback(self._done.put)
