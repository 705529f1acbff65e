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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, BinaryIO, cast

from archloss.workers.boxes import box_values, fetch_all, run_holding
from archloss.workers.executor import (
    A,
    Held,
    HeldLostError,
    Holding,
    R,
    WorkerLostError,
    WorkerTimeoutError,
    check_kind,
)
from archloss.workers.frames import read_frame, write_frame

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_CODE = "import sys; sys.path[:] = {path!r}; from archloss.workers.serve import serve; serve({pid})"

_Job = tuple[bytes, "Future[Any]"]


class LocalExecutor:
    """One process per slot, each with `thread_count` threads for its arithmetic.

    `environments` are the variables that single processes out, such as CUDA_VISIBLE_DEVICES:
    slot i gets the one at i, cyclically. A function that runs for more than `timeout_s` seconds
    has its worker killed, and its Future gets a WorkerTimeoutError.
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
        self.slots = processes
        self.kinds = {"local": processes}
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
        if getattr(function, "__module__", None) == "__main__":
            raise ValueError(
                f"{function!r} lives in __main__, which a worker process cannot import: "
                "move it to a module, or use the inline executor"
            )
        job = pickle.dumps((function, argument), protocol=pickle.HIGHEST_PROTOCOL)
        future: Future[R] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("this executor is closed: nothing can be submitted any more")
            self._jobs.put((job, future))
        return future

    def submit_holding(
        self,
        function: Holding[A, R],
        argument: A,
        held: Sequence[Held | None],
        *,
        count: int,
        kind: str | None = None,
    ) -> Future[tuple[R, tuple[Held | None, ...]]]:
        """Queue the function; the values travel, and this process holds them in between."""
        try:
            values = fetch_all(held)
        except HeldLostError as error:
            lost: Future[tuple[R, tuple[Held | None, ...]]] = Future()
            lost.set_exception(error)
            return lost
        return box_values(self.submit(run_holding, (function, argument, values), kind=kind), count)

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
        self._timeout_s = timeout_s
        self._env = env
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
            payload, future = job
            if self._stopping:
                future.cancel()
            elif future.set_running_or_notify_cancel():
                self._run_job(payload, future)
        self._stop()

    def _run_job(self, payload: bytes, future: "Future[Any]") -> None:
        try:
            worked, result = pickle.loads(self._exchange(payload))
        except Exception as error:  # no worker, or an answer that does not unpickle here
            future.set_exception(error)
        else:
            if worked:
                future.set_result(result)
            else:
                raised, story = result
                raised.add_note(f"In the worker process:\n{story}")
                future.set_exception(raised)

    def _exchange(self, payload: bytes) -> bytes:
        """Send a job and wait for its answer; replace a worker that dies over it."""
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._start()  # it died between two jobs: this one has not suffered
        process = self._process
        if process is None:
            raise WorkerLostError("no worker process could be started")
        late = threading.Event()
        try:
            with _killing_after(process, self._timeout_s, late):
                write_frame(cast(BinaryIO, process.stdin), payload)
                return read_frame(cast(BinaryIO, process.stdout))
        except (EOFError, OSError):
            code = self._stop()
            self._start()
            if late.is_set():
                raise WorkerTimeoutError(
                    f"worker process {process.pid} took longer than {self._timeout_s:g} s, and "
                    "was killed"
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


@contextlib.contextmanager
def _killing_after(
    process: "subprocess.Popen[bytes]", timeout_s: float | None, late: threading.Event
) -> Iterator[None]:
    """Kill the process if the context lasts longer; `late` says that it did."""
    if timeout_s is None:
        yield
        return

    def kill() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(timeout_s, kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
