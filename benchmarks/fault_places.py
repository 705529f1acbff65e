"""Where a fault campaign takes place, and what can be done to it there.

`LocalPlace` keeps a study in SQLite on a small disk of its own and trains in local processes;
`ClusterPlace` keeps it in a PostgreSQL server of its own and trains on several Ray nodes, all of
them on this machine's loopback interface.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import psutil
from postgres_server import PostgresServer

from archloss.storage.database import Database

ROOT = Path(__file__).parents[1]
DISK_MB = 48


class Driver:
    """One `archloss launch` in a process of its own, which says what it does in a log."""

    def __init__(self, arguments: list[str], env: Mapping[str, str], log: Path) -> None:
        self._log = log.open("wb")
        self._path = log
        self.process = subprocess.Popen(
            [sys.executable, "-m", "archloss", "launch", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            cwd=log.parent,
        )

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.kill()
        self.process.wait()
        self._log.close()

    def read_log(self) -> str:
        """Return what it said so far."""
        return self._path.read_text(errors="replace")


class Place(Protocol):
    """What a campaign needs of its surroundings.

    `faults` maps each kind to a function that makes one fault happen, waits until its cause is
    gone, and says whether there was anything to hit. Drivers are killed by the campaign.
    """

    database: Database
    faults: Mapping[str, Callable[[random.Random], bool]]
    drivers: list[Driver]
    executor: str

    def launch(self, study: Path, log: Path) -> Driver:
        """Start a driver of the study."""


class LocalPlace:
    """SQLite and local processes. `disk` is a folder that may be filled to its last byte."""

    executor = "local"

    def __init__(self, folder: Path, *, disk: bool) -> None:
        self.drivers: list[Driver] = []
        self._folder = folder
        self.faults: Mapping[str, Callable[[random.Random], bool]] = {"worker": self._kill_worker}
        if disk:
            self.faults = {**self.faults, "disk full": self._fill_disk}
        self.database = Database(f"sqlite:///{folder / 'studies.db'}")

    def launch(self, study: Path, log: Path) -> Driver:
        """Start a driver with two workers."""
        return Driver([str(study), "--folder", str(self._folder), "--processes", "2"], {}, log)

    def _kill_worker(self, rng: random.Random) -> bool:
        workers = [
            child
            for driver in self.drivers
            if driver.process.poll() is None
            for child in _list_family(driver.process.pid)
        ]
        return _kill_one(workers, rng)

    def _fill_disk(self, rng: random.Random) -> bool:
        filler = self._folder / "filler"
        until = time.monotonic() + rng.uniform(0.5, 4.0)
        with filler.open("wb", buffering=0) as file:
            while time.monotonic() < until:
                for size in (1 << 20, 1 << 12, 1):
                    with contextlib.suppress(OSError):
                        while file.write(bytes(size)) == size:
                            pass
                time.sleep(0.05)
        filler.unlink()
        return True


class ClusterPlace:
    """PostgreSQL, and Ray with a head and two more nodes, each of two cores in Ray's books."""

    executor = "ray"

    def __init__(self, server: PostgresServer, nodes: "RayNodes", name: str) -> None:
        self.drivers: list[Driver] = []
        self._server = server
        self._nodes = nodes
        self._url = server.create_database(name)
        self.database = Database(self._url)
        self.faults: Mapping[str, Callable[[random.Random], bool]] = {
            "worker": lambda rng: _kill_one(nodes.list_workers(), rng),
            "node": self._kill_node,
            "PostgreSQL stopped": self._stop_server,
            "PostgreSQL crashed": self._crash_server,
            "connections cut": lambda rng: server.cut_connections() > 0,
        }

    def launch(self, study: Path, log: Path) -> Driver:
        """Start a driver with half of the cluster."""
        arguments = [str(study), "--folder", str(log.parent)]
        arguments += ["--ray-address", self._nodes.address, "--processes", "3"]
        env = {"ARCHLOSS_STORAGE": self._url, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        return Driver(arguments, {**env, "RAY_USAGE_STATS_ENABLED": "0"}, log)

    def _kill_node(self, rng: random.Random) -> bool:
        self._nodes.kill(rng)
        time.sleep(rng.uniform(0.0, 4.0))
        self._nodes.add()
        return True

    def _stop_server(self, rng: random.Random) -> bool:
        with self._server.stopped("fast"):
            time.sleep(rng.uniform(0.2, 8.0))
        return True

    def _crash_server(self, rng: random.Random) -> bool:
        with self._server.stopped("immediate"):
            time.sleep(rng.uniform(0.2, 8.0))
        return True


class RayNodes:
    """A Ray of several nodes, made by the script that the tests of the executor also use."""

    def __init__(self, folder: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "workers" / "ray_machines.py"), folder],
            env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address: str = self._read()[0]
        self._nodes: list[list[int]] = []
        for _ in range(2):
            self.add()

    def add(self) -> None:
        """Start a node."""
        assert self._process.stdin is not None
        self._process.stdin.write("[2, 0]\n")
        self._process.stdin.flush()
        self._nodes.append([int(pid) for pid in self._read()])

    def kill(self, rng: random.Random) -> None:
        """End all of a node's processes at once, as a power cut would; the head is spared."""
        node = self._nodes.pop(rng.randrange(len(self._nodes)))
        family = [psutil.Process(pid) for pid in node if psutil.pid_exists(pid)]
        for process in family + [child for pid in node for child in _list_family(pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def list_workers(self) -> list[psutil.Process]:
        """Return the processes that train, on all nodes."""
        return [one for one in _list_family(self._process.pid) if _is_worker(one)]

    def close(self) -> None:
        """End all nodes."""
        self._process.communicate(timeout=120)

    def _read(self) -> list[str]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("Ray did not start")
        answer: list[str] = json.loads(line)
        return answer


@contextlib.contextmanager
def make_disk() -> Iterator[tuple[Path, bool]]:
    """Give a folder on a small disk in memory; where none can be mounted, say so: a plain one."""
    folder = tempfile.mkdtemp(prefix="archloss-faults-")
    options = ["-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", folder]
    try:
        mounted = subprocess.run(["mount", *options], capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield Path(folder), mounted
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def make_nodes() -> Iterator[RayNodes]:
    """Give a Ray of a head and two more nodes."""
    folder = tempfile.mkdtemp(prefix="ray-")  # short, for Ray's sockets
    nodes = RayNodes(folder)
    try:
        yield nodes
    finally:
        nodes.close()
        shutil.rmtree(folder, ignore_errors=True)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[:1] != [] and process.cmdline()[0].startswith("ray::Worker")
    except (psutil.NoSuchProcess, IndexError):
        return False


def _list_family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill_one(processes: list[psutil.Process], rng: random.Random) -> bool:
    """Kill one of the processes; say whether it was there."""
    try:
        rng.choice(sorted(processes, key=lambda process: process.pid)).kill()
    except (IndexError, psutil.NoSuchProcess):
        return False
    return True
