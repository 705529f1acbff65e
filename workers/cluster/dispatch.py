"""The thread that brings a cluster's jobs to its workers, and their answers back.

It alone owns jobs and workers; whatever comes from outside reaches it as functions in a queue.
"""

import contextlib
import pickle
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from archloss.workers.cluster.fleet import Fleet, Slot, when_answered
from archloss.workers.cluster.session import ClusterError
from archloss.workers.executor import WorkerLostError, WorkerTimeoutError

_WATCH_S = 1.0
_START_FAILURES = 3
_TELLING = re.compile(r"ip: \S+ (?=The )")


@dataclass(eq=False)
class Job:
    """A function that was submitted, pickled, and the Future for what it gives."""

    payload: bytes
    kind: str | None
    held: Sequence[Any] = ()
    count: int | None = None
    """The number of values that it gives; None for a plain function."""
    wrap: Callable[[Any], Any] | None = None
    """Makes a Held of a reference to a value."""
    future: "Future[Any]" = field(default_factory=Future)
    started: bool = False


@dataclass(eq=False)
class _Call:
    """A job on its way through a worker."""

    job: Job
    deadline: float | None
    values: Sequence[Any] = ()
    timed_out: bool = False


class Dispatcher:
    """Runs jobs on the workers of a fleet, each worker one at a time, in the order they came."""

    def __init__(self, make_fleet: "MakeFleet", *, timeout_s: float | None) -> None:
        self.kinds: Mapping[str, int] = {}
        self.known_kinds: dict[str, int] = {}
        self._timeout_s = timeout_s
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._fleet = make_fleet(self._events.put)
        self._waiting: deque[Job] = deque()
        self._lock = threading.Lock()
        self._closed = self._stopping = False
        self._trouble: BaseException | None = None
        self._ready = threading.Event()
        self._watch_at = 0.0
        self._thread = threading.Thread(target=self._run, name="archloss-cluster", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Let a job wait for a worker.

        Raises RuntimeError after `close`, and ClusterError if Ray has failed.
        """
        with self._lock:
            if self._trouble is not None:
                raise ClusterError(
                    f"the cluster is lost: {self._trouble}. Nothing that was finished is: launch "
                    "again when the cluster is back"
                )
            if self._closed:
                raise RuntimeError("this executor is closed: nothing can be submitted any more")
            self._events.put(partial(self._waiting.append, job))

    def wait_for_a_worker(self, timeout_s: float) -> None:
        """Return once a worker has started; raise ClusterError if none does."""
        started = self._ready.wait(timeout_s)
        if self._trouble is not None:
            raise ClusterError(f"no worker could be started: {self._trouble}")
        if not started:
            raise ClusterError(
                f"no worker could be started within {timeout_s:g} s: "
                f"{self._fleet.describe_lack()}, of which others may be using some (`ray status` "
                "says so): ask for less with `cpus_per_worker` and `gpus_per_worker`, or add nodes"
            )

    def close(self, *, now: bool) -> None:
        """End the thread and the workers: after what was put, or, with `now`, at once."""
        with self._lock:
            self._closed = True
            self._stopping |= now
        self._events.put(lambda: None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._is_done():
                self._handle_events()
                if time.monotonic() >= self._watch_at:
                    self._watch()
                self._count_kinds()
                self._dispatch()
        except Exception as error:  # Ray itself has failed, or was shut down under us
            self._trouble = error
        with self._lock:
            self._closed = True
        self._end()
        self._ready.set()

    def _is_done(self) -> bool:
        if self._stopping:
            return True
        idle = not self._waiting and not any(slot.work for slot in self._fleet.slots)
        return self._closed and idle and self._events.empty()

    def _handle_events(self) -> None:
        """Do what has come up, after waiting for it no longer than until the next watch."""
        with contextlib.suppress(queue.Empty):
            self._events.get(timeout=max(0.0, self._watch_at - time.monotonic()))()
            while True:
                self._events.get_nowait()()

    def _watch(self) -> None:
        self._fleet.refresh()
        now = time.monotonic()
        self._watch_at = now + _WATCH_S
        for slot in self._fleet.slots:
            call: _Call | None = slot.work
            if call is None or call.deadline is None or call.timed_out:
                continue
            if now >= call.deadline:
                call.timed_out = True
                self._fleet.kill(slot)
            else:
                self._watch_at = min(self._watch_at, call.deadline)

    def _count_kinds(self) -> None:
        self.kinds = dict(self._fleet.count_kinds())
        self.known_kinds.update(self.kinds)
        if any(slot.where is not None for slot in self._fleet.slots):
            self._ready.set()
        elif not self._ready.is_set() and self._fleet.count_failures() >= _START_FAILURES:
            raise ClusterError(str(self._fleet.last_failure))

    def _dispatch(self) -> None:
        idle = [slot for slot in self._fleet.slots if slot.is_idle]
        kept: deque[Job] = deque()
        while self._waiting:
            job = self._waiting.popleft()
            slot = next((one for one in idle if job.kind in (None, one.kind)), None)
            if job.kind is not None and job.kind not in self.kinds:
                text = f"no worker of kind {job.kind!r} is left"
                _fail(job, WorkerLostError(text, blameless=True))
            elif slot is None:
                kept.append(job)
            elif job.started or job.future.set_running_or_notify_cancel():
                job.started = True
                idle.remove(slot)
                self._call(slot, job)
        self._waiting.extend(kept)

    def _call(self, slot: Slot, job: Job) -> None:
        """Send a job, once the worker has answered to an empty call: it may have died before."""
        deadline = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        if deadline is not None:
            self._watch_at = min(self._watch_at, deadline)
        slot.work = _Call(job, deadline)
        self._expect(slot.actor.begin.remote(), self._on_begun, slot)

    def _on_begun(self, slot: Slot, future: "Future[None]") -> None:
        job: Job = slot.work.job
        error = future.exception()
        if error is not None and not slot.work.timed_out:
            slot.work = None
            self._fleet.replace(slot)
            self._waiting.appendleft(job)
        elif error is not None:
            self._on_answer(slot, future)
        elif job.count is None:
            self._expect(slot.actor.run.remote(job.payload), self._on_answer, slot)
        else:
            method = slot.actor.run_holding.options(num_returns=1 + job.count)
            made = method.remote(job.payload, job.held, job.count)
            answer, *slot.work.values = made if job.count else [made]
            self._expect(answer, self._on_answer, slot)

    def _on_answer(self, slot: Slot, future: "Future[Any]") -> None:
        call: _Call = slot.work
        slot.work = None
        error = future.exception()
        if error is None:
            _finish(call, future.result())
            return
        self._fleet.replace(slot)
        if call.timed_out:
            text = f"{slot} was killed: its function took longer than {self._timeout_s:g} s"
            _fail(call.job, WorkerTimeoutError(text))
        else:
            gone = slot.node_id is not None and self._fleet.session.is_gone(slot.node_id)
            blameless = gone or bool(getattr(error, "preempted", False))
            text = f"{slot} ended before it answered: {_shorten(error)}"
            _fail(call.job, WorkerLostError(text, blameless=blameless))

    def _expect(self, reference: Any, react: Callable[[Slot, Any], None], slot: Slot) -> None:
        when_answered(reference, lambda future: self._events.put(partial(react, slot, future)))

    def _end(self) -> None:
        """Give every job that is left an ending, and end the workers."""
        while not self._events.empty():
            with contextlib.suppress(Exception):
                self._events.get()()
        why = "the executor was closed" if self._trouble is None else f"lost: {self._trouble}"
        lost = WorkerLostError(f"the worker was stopped: {why}", blameless=True)
        running = [slot.work.job for slot in self._fleet.slots if slot.work is not None]
        for job in [*running, *self._waiting]:
            if job.started:
                _fail(job, lost)
            else:
                job.future.cancel()
        if self._trouble is None:
            for slot in list(self._fleet.slots):
                self._fleet.drop(slot)


MakeFleet = Callable[[Callable[[Callable[[], None]], None]], Fleet]
"""Makes a fleet, given what makes the dispatcher's thread run a function."""


def _finish(call: _Call, answer: bytes) -> None:
    """Give a worker's answer to the job's Future."""
    job = call.job
    try:
        worked, result = pickle.loads(answer)
    except Exception as error:  # it does not unpickle here
        job.future.set_exception(error)
        return
    if not worked:
        raised, story = result
        raised.add_note(f"In the worker process:\n{story}")
        job.future.set_exception(raised)
    elif job.wrap is None:
        job.future.set_result(result)
    else:
        value, present = result
        pairs = zip(call.values, present, strict=True)
        job.future.set_result((value, tuple(job.wrap(one) if is_ else None for one, is_ in pairs)))


def _fail(job: Job, error: Exception) -> None:
    if job.started or job.future.set_running_or_notify_cancel():
        job.started = True
        job.future.set_exception(error)


def _shorten(error: BaseException) -> str:
    """Return the telling part of an error of Ray's, on one line."""
    text = " ".join(str(error).split()).partition(" Some common causes")[0]
    return _TELLING.split(text, maxsplit=1)[-1]
