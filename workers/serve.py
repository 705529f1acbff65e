"""What a worker process of the local executor does: read a job, run it, answer, until the end.

A worker must never outlive its driver, not even one killed with SIGKILL in the middle of a job.
Two guards see to that: a thread that ends the process as soon as its input closes, and, on
Linux, a request to the kernel to kill it together with its parent.
"""

import ctypes
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from archloss.workers.frames import read_frame, write_frame
from archloss.workers.holding import HoldingCall

_PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


@dataclass(frozen=True)
class Pickled:
    """A value that passes through the driver without being made there."""

    data: bytes

    @classmethod
    def dump(cls, value: Any) -> "Pickled":
        """Pickle the value."""
        return cls(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))

    def load(self) -> Any:
        """Make the value anew."""
        return pickle.loads(self.data)


def run_holding(
    job: tuple[HoldingCall, Sequence[Pickled | None]],
) -> tuple[Any, tuple[Pickled | None, ...]]:
    """Run a call on values that come pickled, and pickle those that it makes, each by itself."""
    call, held = job
    result, made = call([None if one is None else one.load() for one in held])
    return result, tuple(None if value is None else Pickled.dump(value) for value in made)


def serve(parent_pid: int) -> None:
    """Answer jobs from standard input on standard output until the input closes.

    Both are taken away from the functions that run here: what they print goes to standard
    error, and what they read is empty. Ctrl-C is the driver's to handle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent_pid)
    jobs, answers = _take_streams()
    pending: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_jobs, args=(jobs, pending), daemon=True).start()
    while True:
        write_frame(answers, _answer(pending.get()))


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent dies (Linux; elsewhere do nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before we asked
        os._exit(1)


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return jobs, answers


def _read_jobs(jobs: BinaryIO, pending: "queue.SimpleQueue[bytes]") -> None:
    while True:
        try:
            pending.put(read_frame(jobs))
        except (EOFError, OSError):
            os._exit(0)


def _answer(job: bytes) -> bytes:
    """Run one job; return the pickled pair (whether it worked, its result or exception)."""
    try:
        function, argument = pickle.loads(job)
        return pickle.dumps((True, function(argument)), protocol=pickle.HIGHEST_PROTOCOL)
    except BaseException as error:
        return _pickle_exception(error)


def _pickle_exception(error: BaseException) -> bytes:
    """Keep the exception's type when it survives pickling; always keep where it came from."""
    story = "".join(traceback.format_exception(error))
    error.__traceback__ = None
    try:
        if not isinstance(error, Exception):
            raise TypeError("a worker's wish to exit must not become its driver's")
        payload = pickle.dumps((False, (error, story)))
        pickle.loads(payload)
    except Exception:
        payload = pickle.dumps((False, (RuntimeError(f"{type(error).__name__}: {error}"), story)))
    return payload
