"""What the tests of executors share: functions to run, and one Ray for all of them."""

import contextlib
import importlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import psutil
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
from archloss.spaces.jobs import train

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
def get_gpu(seconds):
    time.sleep(seconds)
    return os.environ["CUDA_VISIBLE_DEVICES"]
def find_archloss(_):
    import archloss
    return archloss.__file__, archloss.__version__, os.listdir(os.path.dirname(archloss.__file__))
def load_executor():
    import archloss.workers.executor
def get_place():
    import ray
    return ray.get_runtime_context().get_node_id()
def fail_alone(): raise DataError("no such column")
def oversleep(): time.sleep(60)
def train_slowly(pack):
    """No trial from 30 on before another machine has joined, so that there is work left for it."""
    joined = os.path.join(os.path.dirname(__file__), "joined")
    while pack.members[-1].trial_number >= 30 and not os.path.exists(joined):
        time.sleep(0.05)
    time.sleep(0.3)
    return train(pack)
def touch_then_nap(path):
    with open(path + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.replace(path + ".new", path)  # who waits for the file finds it whole
    time.sleep(60)
'''


EXECUTORS = {
    "inline": InlineExecutor,
    "local": lambda: LocalExecutor(2),
    "ray": lambda: RayExecutor(workers=2, cpus_per_worker=0.25),
}


@pytest.fixture(scope="session")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "archloss_test_jobs.py").write_text(JOBS)
    sys.path.insert(0, str(folder))
    import archloss_test_jobs

    yield archloss_test_jobs
    sys.path.remove(str(folder))


class RayMachines:
    """A cluster of Ray nodes, each a few processes on this machine."""

    def __init__(self, folder: str, env: dict[str, str]) -> None:
        script = pathlib.Path(__file__).with_name("ray_machines.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), folder],
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address, self.client_address = self._read()

    def add(self, *, cpus: int, gpus: int) -> list[int]:
        """Start a node with GPUs that exist in Ray's books alone; return its processes."""
        self._process.stdin.write(f"{json.dumps([cpus, gpus])}\n")
        self._process.stdin.flush()
        return self._read()

    def kill(self, node: list[int]) -> None:
        """End all of a node's processes at once, as a power cut would."""
        family = [psutil.Process(pid) for pid in node]
        family += [child for process in family for child in process.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def _read(self):
        line = self._process.stdout.readline()
        assert line, "Ray did not start"
        return json.loads(line)


@pytest.fixture(scope="package")
def machines(jobs):
    """A cluster whose head has two cores; more machines are added by those who need them.

    They have another archloss than the driver, which finds its own in its working folder, and
    a driver for GPUs that do not exist.
    """
    constants = importlib.import_module("ray._private.ray_constants")
    # or Ray takes 127.0.0.1 for a mistake
    across_machines, constants.ENABLE_RAY_CLUSTER = constants.ENABLE_RAY_CLUSTER, False
    folder = tempfile.mkdtemp(prefix="ray-")  # pytest's own are too long for Ray's sockets
    other = pathlib.Path(folder, "other", "archloss")
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("__version__ = '0.0.1'")
    tool = pathlib.Path(folder, "bin", "nvidia-smi")
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\necho 'GPU 0: Abacus 9 (UUID: GPU-a)'\necho 'GPU 1: Abacus 9 (UUID: GPU-b)'\n"
    )
    tool.chmod(0o755)
    cluster = RayMachines(
        folder,
        {
            "PYTHONPATH": f"{os.path.dirname(jobs.__file__)}:{folder}/other",
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
        },
    )
    yield cluster
    cluster.close()
    shutil.rmtree(folder, ignore_errors=True)
    constants.ENABLE_RAY_CLUSTER = across_machines


@pytest.fixture(scope="package")
def ray_here(machines):
    """This process as a part of the cluster; executors find it so, and leave it so."""
    session = Session(machines.address)
    yield session
    session.close()


@pytest.fixture(scope="package", params=EXECUTORS)
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
    for _ in range(6000):
        if mark.exists() and (text := mark.read_text()):
            return int(text)
        time.sleep(0.01)
    raise AssertionError("the worker never started")


def _wait_until_gone(pid: int) -> None:
    for _ in range(6000):
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
