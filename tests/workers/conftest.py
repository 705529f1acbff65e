"""What the tests of executors share: functions to run, and one Ray for all of them."""

import os
import pathlib
import sys
import time

import pytest

from archloss.workers.cluster import RayExecutor
from archloss.workers.cluster.session import Session
from archloss.workers.executor import Executor
from archloss.workers.inline import InlineExecutor
from archloss.workers.local import LocalExecutor

JOBS = '''
"""Functions that a worker can import."""
import os, signal, subprocess, sys, time
import numpy as np
from archloss.spaces.errors import DataError

class Awkward(Exception):
    def __init__(self, one, two):
        super().__init__("awkward")

def square(x): return x * x
def double(array): return array * 2
def fail(text): raise DataError(text)
def fail_awkwardly(_): raise Awkward(1, 2)
def leave(_): sys.exit(3)
def die(_): os.kill(os.getpid(), signal.SIGKILL)
def get_pid(_): return os.getpid()
def get_variable(name): return os.environ.get(name)
def chat(_):
    print("to nobody")
    os.write(1, b"straight to the descriptor")
    return sys.stdin.read()
def nap(seconds):
    time.sleep(seconds)
    return os.getpid()
def interrupt(_):
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"
def start(size, _): return size, [np.arange(size), None]
def add(number, values):
    array, nothing = values
    assert nothing is None
    return int(array.sum()), [array + number]
def fail_holding(text, values): raise DataError(text)
def give_none(x, values): return x, []
def give_one(_, values): return 0, [1]
class Stubborn:
    def __reduce__(self): raise TypeError("does not travel")
def give_stubborn(_, values): return 0, [Stubborn()]
def touch_then_nap(path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(60)
'''


EXECUTORS = {
    "inline": InlineExecutor,
    "local": lambda: LocalExecutor(2),
    "ray": lambda: RayExecutor(workers=2, cpus_per_worker=0.5),
}


@pytest.fixture(scope="session")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "archloss_test_jobs.py").write_text(JOBS)
    sys.path.insert(0, str(folder))
    import archloss_test_jobs

    yield archloss_test_jobs
    sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def ray_here(jobs):
    """A Ray on this machine; executors find it started already, and leave it running."""
    session = Session(None)
    yield session
    session.close()


@pytest.fixture(scope="session", params=EXECUTORS)
def executor(request, jobs):
    """An executor for all tests that leave it open."""
    made = _make(request)
    yield made
    made.close(now=True)


@pytest.fixture(params=EXECUTORS)
def new_executor(request, jobs):
    """An executor to be closed."""
    made = _make(request)
    yield made
    made.close(now=True)


def _make(request) -> Executor:
    if request.param == "ray":
        request.getfixturevalue("ray_here")
    return EXECUTORS[request.param]()


@pytest.fixture
def read_pid():
    """Waits for a process to write its id to a file."""
    return _read_pid


@pytest.fixture
def wait_until_gone():
    """Waits for a process to end."""
    return _wait_until_gone


def _read_pid(mark: pathlib.Path) -> int:
    for _ in range(3000):
        if mark.exists() and (text := mark.read_text()):
            return int(text)
        time.sleep(0.01)
    raise AssertionError("the worker never started")


def _wait_until_gone(pid: int) -> None:
    for _ in range(3000):
        try:
            os.kill(pid, 0)
            process = pathlib.Path(f"/proc/{pid}")
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
            # A zombie whose other threads still die cannot be waited for yet.
            if state == "Z" and len(list((process / "task").iterdir())) == 1:
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} is still alive")
