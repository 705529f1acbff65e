"""The executor that runs functions in long-lived processes of its own on this machine.

The processes are plain new interpreters that talk over pipes. They import neither the caller's
`__main__` nor anything else until a job asks for it, so that a script needs no
`if __name__ == "__main__"`, and a notebook or standard input works as well.
"""

import atexit
import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from archloss.workers.executor import (
    A,
    Held,
    HeldLostError,
    Holding,
    R,
    WorkerLostError,
    WorkerTimeoutError,
)
from archloss.workers.frames import read_frame, write_frame
from archloss.workers.holding import LOCAL_KIND, HoldingCall, check_kind, pickle_call
from archloss.workers.serve import Pickled, run_holding

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_CODE = "import sys; sys.path[:] = {path!r}; from archloss.workers.serve import serve; serve({pid})"


@dataclass(frozen=True)
class LocalHeld:
    """A value in this process's memory, pickled as its worker sent it."""

    pickled: Pickled

    def fetch(self) -> Any:
        """Return a copy of the value."""
        return self.pickled.load()

    def back_up(self) -> None:
        """Do nothing: it is in this process already."""


@dataclass(frozen=True)
class _Job:
    payload: bytes
    future: "Future[Any]"
    unpack: Callable[[Any], Any] = lambda result: result


class LocalExecutor:
    """One process per slot, each with `thread_count` threads for its arithmetic.

    `environments` are the variables that single processes out, such as CUDA_VISIBLE_DEVICES:
    slot i gets the one at i, cyclically. A function that runs longer than `timeout_s` has its
    process killed, which is then replaced.
    """

    def __init__(
        self,
        processes: int,
        *,
        thread_count: int = 1,
        environments: Sequence[Mapping[str, str]] = (),
        timeout_s: float | None = None,
    ) -> None:
        if processes < 1:
            raise ValueError(f"`processes` must be at least 1, but got {processes}")
        if timeout_s is not None and timeout_s <= 0:
            raise ValueError(f"`timeout_s` must be above 0, but got {timeout_s}")
        self.slots = processes
        self.kinds = {LOCAL_KIND: processes}
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        threads = dict.fromkeys(THREAD_VARIABLES, str(thread_count))
        own = environments or ({},)
        self._slots = [
            _Slot(self._jobs, {**os.environ, **threads, **own[index % len(own)]}, timeout_s)
            for index in range(processes)
        ]
        atexit.register(self.close, now=True)

    def submit(
        self, function: Callable[[A], R], argument: A, *, kind: str | None = None
    ) -> Future[R]:
        """Queue the function; raise at once what keeps it from being sent."""
        check_kind(kind, self.kinds)
        return self._put(_Job(pickle_call(function, (function, argument)), Future()))

    def submit_holding(
        self,
        function: "Holding[A, R]",
        argument: A,
        held: Sequence[Held | None],
        *,
        count: int,
        kind: str | None = None,
    ) -> Future[tuple[R, tuple[Held | None, ...]]]:
        """Queue the function; its values stay in this process's memory, pickled."""
        check_kind(kind, self.kinds)
        try:
            values = [None if one is None else _pickle_held(one) for one in held]
        except HeldLostError as error:
            lost: Future[Any] = Future()
            lost.set_exception(error)
            return lost
        call = HoldingCall(function, argument, count)
        payload = pickle_call(function, (run_holding, (call, values)))
        return self._put(_Job(payload, Future(), _hold))

    def close(self, *, now: bool = False) -> None:
        """Stop the processes: after what is queued, or, with `now`, at once.

        With `now`, what was running ends with a WorkerLostError, and what was queued is
        cancelled. Closing twice is harmless.
        """
        with self._lock:
            first, self._closed = not self._closed, True
        if first:
            for _ in self._slots:
                self._jobs.put(None)
        if now:
            for slot in self._slots:
                slot.kill()
        for slot in self._slots:
            slot.join()
        atexit.unregister(self.close)

    def _put(self, job: _Job) -> "Future[Any]":
        with self._lock:
            if self._closed:
                raise RuntimeError("this executor is closed: nothing can be submitted any more")
            self._jobs.put(job)
        return job.future


def _pickle_held(held: Held) -> Pickled:
    return held.pickled if isinstance(held, LocalHeld) else Pickled.dump(held.fetch())


def _hold(answer: tuple[Any, Sequence[Pickled | None]]) -> tuple[Any, tuple[Held | None, ...]]:
    result, values = answer
    return result, tuple(None if value is None else LocalHeld(value) for value in values)


class _Slot:
    """A worker process and the thread that owns it.

    The kernel kills a worker when the *thread* that started it ends (PR_SET_PDEATHSIG), so the
    thread that starts workers is the one that lives as long as they do.
    """

    def __init__(
        self,
        jobs: "queue.SimpleQueue[_Job | None]",
        env: Mapping[str, str],
        timeout_s: float | None,
    ) -> None:
        self._jobs = jobs
        self._env = env
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._stopping = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="archloss-worker", daemon=True)
        self._thread.start()

    def kill(self) -> None:
        with self._lock:
            self._stopping = True
            if self._process is not None:
                self._process.kill()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        self._start()
        while (job := self._jobs.get()) is not None:
            if self._stopping:
                job.future.cancel()
            elif job.future.set_running_or_notify_cancel():
                self._run_job(job)
        self._stop()

    def _run_job(self, job: _Job) -> None:
        try:
            worked, result = pickle.loads(self._exchange(job.payload))
        except Exception as error:  # no worker, or an answer that does not unpickle here
            job.future.set_exception(error)
        else:
            if worked:
                job.future.set_result(job.unpack(result))
            else:
                raised, story = result
                raised.add_note(f"In the worker process:\n{story}")
                job.future.set_exception(raised)

    def _exchange(self, payload: bytes) -> bytes:
        """Send a job and wait for its answer; replace a worker that dies over it."""
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._start()  # it died between two jobs: this one has not suffered
        process = self._process
        if process is None:
            raise WorkerLostError("no worker process could be started")
        try:
            with _Limit(process, self._timeout_s) as limit:
                write_frame(cast(BinaryIO, process.stdin), payload)
                return read_frame(cast(BinaryIO, process.stdout))
        except (EOFError, OSError):
            code = self._stop()
            self._start()
            if limit.passed:
                raise WorkerTimeoutError(
                    f"worker process {process.pid} was killed: its function took longer than "
                    f"{self._timeout_s:g} s"
                ) from None
            raise WorkerLostError(
                f"worker process {process.pid} ended with code {code} before it answered"
            ) from None

    def _start(self) -> None:
        """Start a worker, if one can be; the next job finds out and says so if not."""
        with self._lock:
            self._process = None
            if self._stopping:
                return
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _CODE.format(path=sys.path, pid=os.getpid())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=self._env,
                    process_group=0,  # a Ctrl-C in the terminal is the driver's alone
                )

    def _stop(self) -> int | None:
        """Close the worker's input, at which it ends, and return its exit code."""
        if self._process is None:
            return None
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what the buffer holds has nowhere to go
                cast(BinaryIO, stream).close()
        return self._process.wait()


class _Limit:
    """Kills a process that is still inside the `with` block after `timeout_s`."""

    def __init__(self, process: "subprocess.Popen[bytes]", timeout_s: float | None) -> None:
        self.passed = False
        self._process = process
        self._timer = None if timeout_s is None else threading.Timer(timeout_s, self._pass)
        self._lock = threading.Lock()
        self._over = False

    def __enter__(self) -> "_Limit":
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over = True
        if self._timer is not None:
            self._timer.cancel()

    def _pass(self) -> None:
        with self._lock:
            if not self._over:
                self.passed = True
                self._process.kill()
