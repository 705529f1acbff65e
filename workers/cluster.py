"""The executor that runs functions in long-lived workers on a Ray cluster.

A worker is a Ray actor with whole or fractional CPUs and GPUs of one node; it runs one function
at a time. Values that workers hold stay in Ray's object store. They belong to the driver, so that
they outlive the worker that made them, and are lost with its node alone, unless backed up.
"""

import contextlib
import functools
import importlib
import logging
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import archloss
from archloss.spaces.errors import ArchlossError
from archloss.workers.executor import (
    A,
    Held,
    HeldLostError,
    Holding,
    R,
    WorkerLostError,
    WorkerTimeoutError,
)
from archloss.workers.holding import call_holding
from archloss.workers.local import THREAD_VARIABLES
from archloss.workers.machine import count_cores

# What a member's state was lost with is asked about when the state is needed, if it ever is.
os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
try:
    import ray
    from ray import exceptions
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:  # pragma: no cover  where Ray is not installed
    raise ArchlossError(
        "the executor \"ray\" needs Ray, which is not installed: pip install 'archloss[ray]'"
    ) from error

WATCH_EVERY_S = 1.0
START_TIMEOUT_S = 600.0
FETCH_TIMEOUT_S = 300.0
MOST_FAILED_STARTS = 5
_NODE_ANSWER_S = 60.0
_QUIET: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
_logger = logging.getLogger(__name__)
_VALUE_LOST = (
    exceptions.ObjectLostError,
    exceptions.ReferenceCountingAssertionError,
    exceptions.ObjectFetchTimedOutError,
)
_WORKER_LOST = (
    exceptions.RayActorError,
    exceptions.WorkerCrashedError,
    exceptions.NodeDiedError,
    exceptions.OutOfMemoryError,
    exceptions.LocalRayletDiedError,
)


class ClusterError(ArchlossError):
    """The Ray cluster cannot be reached, or has no room for a worker."""


@dataclass(frozen=True, eq=False)
class RayHeld:
    """A value in Ray's object store."""

    reference: Any
    backups: "queue.SimpleQueue[Any]"

    def fetch(self) -> Any:
        """Return the value; raise HeldLostError if its node is gone."""
        try:
            return ray.get(self.reference, timeout=FETCH_TIMEOUT_S)
        except (*_VALUE_LOST, exceptions.GetTimeoutError) as error:
            raise HeldLostError("the machine that held a member's state is gone") from error

    def back_up(self) -> None:
        """Begin to copy the value to this node; small ones are here already."""
        self.backups.put(self.reference)


@dataclass(eq=False)
class _Job:
    method: str
    arguments: tuple[Any, ...]
    count: int
    kind: str | None
    future: "Future[Any]"


@dataclass(eq=False)
class _Worker:
    """An actor, from when it is asked for; `kind` is known once it has answered."""

    actor: Any
    node_id: str | None
    kind: str | None = None
    job: _Job | None = None
    deadline: float | None = None
    late: bool = False


class _Actor:
    """What runs on a node."""

    def __init__(self, thread_count: int) -> None:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(thread_count)))

    def describe(self) -> tuple[str, str]:
        """Return the kind of device and the node's id."""
        context = ray.get_runtime_context()
        return _name_device(context.get_accelerator_ids().get("GPU", [])), context.get_node_id()

    def run(self, function: Callable[[A], R], argument: A) -> R:
        """Run a function."""
        return function(argument)

    def run_holding(
        self, function: Holding[A, R], argument: A, count: int, *values: Any
    ) -> tuple[Any, ...]:
        """Run a function; return its result, which values there are, and the values."""
        result, made = call_holding(function, argument, values, count=count)
        there = tuple(value is not None for value in made)
        return ((result, there), *made) if count else (result, there)


def _name_device(gpu_ids: Sequence[str]) -> str:
    """Return the name of the device that this process may use, without loading torch."""
    if not gpu_ids:
        return "cpu"
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader", f"--id={gpu_ids[0]}"],
            capture_output=True,
            text=True,
            timeout=_NODE_ANSWER_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "gpu"
    return answer.stdout.strip() or "gpu"


class RayExecutor:
    """One slot per worker; as many workers as the cluster has room for, or `workers` of them.

    `address` is "auto", HOST:PORT or ray://HOST:PORT; None starts a Ray on this machine, which
    nothing outside it can reach. A process that has joined a cluster already stays with it. A
    worker has `cpus_per_worker` cores and `gpus_per_worker` GPUs, of which None is one where the
    cluster has any. A function that runs for more than `timeout_s` seconds has its worker
    killed. Nodes may come and go at any time.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        workers: int | None = None,
        cpus_per_worker: float = 1,
        gpus_per_worker: float | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._connection = _Connection(address, bring_code=True)
        self._wanted = workers
        if gpus_per_worker is None:
            gpus_per_worker = float(any(node["Resources"].get("GPU") for node in _list_nodes()))
        self._needs = {"CPU": float(cpus_per_worker), "GPU": float(gpus_per_worker)}
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self._workers: list[_Worker] = []
        self._waiting: deque[_Job] = deque()
        self._closed = False
        self._ended = threading.Event()
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._failed_starts = 0
        self._start_error: str | None = None
        self._backups: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._actor_class = ray.remote(
            num_cpus=self._needs["CPU"],
            num_gpus=self._needs["GPU"],
            max_restarts=0,
            max_task_retries=0,
        )(_Actor)
        threading.Thread(target=self._back_up, name="archloss-backups", daemon=True).start()
        self._manager = threading.Thread(target=self._manage, name="archloss-cluster", daemon=True)
        try:
            self._adjust()
            self._manager.start()
            self._wait_for_workers()
        except BaseException:
            self.close(now=True)
            raise

    @property
    def kinds(self) -> Mapping[str, int]:
        """Return how many workers there are now on each kind of device."""
        with self._lock:
            return Counter(worker.kind for worker in self._workers if worker.kind is not None)

    @property
    def slots(self) -> int:
        """Return how many workers there are now."""
        return sum(self.kinds.values())

    def submit(
        self, function: Callable[[A], R], argument: A, *, kind: str | None = None
    ) -> Future[R]:
        """Queue the function for a worker."""
        return self._queue(_Job("run", (function, argument), 0, kind, Future()))

    def submit_holding(
        self,
        function: Holding[A, R],
        argument: A,
        held: Sequence[Held | None],
        *,
        count: int,
        kind: str | None = None,
    ) -> Future[tuple[R, tuple[Held | None, ...]]]:
        """Queue the function for a worker; values go there by reference and stay there."""
        try:
            values = [_to_argument(one) for one in held]
        except HeldLostError as error:
            lost: Future[tuple[R, tuple[Held | None, ...]]] = Future()
            lost.set_exception(error)
            return lost
        job = _Job("run_holding", (function, argument, count, *values), count, kind, Future())
        return self._queue(job)

    def close(self, *, now: bool = False) -> None:
        """Stop the workers: after what was submitted, or, with `now`, at once.

        With `now`, what was running ends with a WorkerLostError, and what was queued is cancelled.
        """
        with self._lock:
            first, self._closed = not self._closed, True
        while not now and not self._ended.is_set() and (self._waiting or self._count_busy()):
            time.sleep(0.05)
        self._ended.set()
        if not first:
            return
        self._events.put(_do_nothing)
        if self._manager.is_alive():
            self._manager.join()
        with self._lock:
            workers, self._workers = self._workers, []
            waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            job.future.cancel()
        for worker in workers:
            self._kill(worker)
            if worker.job is not None:
                self._finish(worker.job, WorkerLostError("the executor was closed"))
        self._backups.put(None)
        self._connection.close()

    def _queue(self, job: _Job) -> "Future[Any]":
        with self._lock:
            if self._closed:
                raise RuntimeError("this executor is closed: nothing can be submitted any more")
            self._waiting.append(job)
        self._events.put(_do_nothing)
        return job.future

    def _dispatch(self) -> None:
        """Give waiting jobs to idle workers; a kind of which the last worker went is any kind."""
        with self._lock:
            kinds = self.kinds
            for worker in self._workers:
                if worker.kind is None or worker.job is not None:
                    continue
                fitting = (
                    job for job in self._waiting if job.kind == worker.kind or job.kind not in kinds
                )
                job = next(fitting, None)
                if job is None:
                    continue
                self._waiting.remove(job)
                if job.future.set_running_or_notify_cancel():
                    self._run(worker, job)

    def _run(self, worker: _Worker, job: _Job) -> None:
        worker.job = job
        worker.deadline = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        call = getattr(worker.actor, job.method).options(num_returns=1 + job.count)
        references = call.remote(*job.arguments)
        first, *values = references if job.count else [references]
        self._await(first, lambda done: self._on_answer(worker, job, values, done))

    def _await(self, reference: Any, then: "Callable[[Future[Any]], None]") -> None:
        """Have something done on the manager's thread once there is an answer.

        Not on Ray's own, which has to be free for whatever it takes to do it.
        """
        reference.future().add_done_callback(
            lambda done: self._events.put(functools.partial(then, done))
        )

    def _on_answer(
        self, worker: _Worker, job: _Job, values: Sequence[Any], done: "Future[Any]"
    ) -> None:
        error = done.exception()
        with self._lock:
            worker.job, worker.deadline = None, None
            if _is_loss_of_worker(error):
                self._drop(worker)
        if error is None:
            self._finish(job, self._take_result(job, done.result(), values))
        else:
            self._finish(job, self._explain(worker, error))

    def _take_result(self, job: _Job, result: Any, values: Sequence[Any]) -> Any:
        if job.method == "run":
            return result
        answer, there = result
        held = (
            RayHeld(reference, self._backups) if exists else None
            for reference, exists in zip(values, there, strict=True)
        )
        return answer, tuple(held)

    def _explain(self, worker: _Worker, error: BaseException) -> BaseException:
        """Return what the caller is to see: our own errors, or what the function raised."""
        if worker.late:
            return WorkerTimeoutError(
                f"a worker on {worker.kind} took longer than {self._timeout_s:g} s, and was killed"
            )
        if _is_loss_of_value(error):
            return HeldLostError("the machine that held a member's state is gone")
        if _is_loss_of_worker(error):
            gone = worker.node_id not in {node["NodeID"] for node in _list_nodes()}
            away = gone or bool(getattr(error, "preempted", False)) or "its node" in str(error)
            where = "with its node" if away else "before it answered"
            return WorkerLostError(f"a worker on {worker.kind} died {where}", blameless=away)
        if isinstance(error, exceptions.RayTaskError):
            cause: BaseException = error.cause
            cause.add_note(f"In the worker process:\n{error}")
            return cause
        return error

    @staticmethod
    def _finish(job: _Job, outcome: Any) -> None:
        with contextlib.suppress(InvalidStateError):  # it was closed meanwhile
            if isinstance(outcome, BaseException):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

    def _count_busy(self) -> int:
        with self._lock:
            return sum(worker.job is not None for worker in self._workers)

    def _kill(self, worker: _Worker) -> None:
        with contextlib.suppress(Exception):  # it is gone already
            ray.kill(worker.actor)

    def _drop(self, worker: _Worker) -> None:
        if worker in self._workers:
            self._workers.remove(worker)
        self._kill(worker)

    def _manage(self) -> None:
        """Hand out jobs, take in answers, follow the cluster, and kill what takes too long."""
        looked_at = time.monotonic()
        while not self._ended.is_set():
            try:
                with contextlib.suppress(queue.Empty):
                    self._events.get(timeout=WATCH_EVERY_S)()
                while not self._events.empty():
                    self._events.get()()
                if time.monotonic() - looked_at >= WATCH_EVERY_S:
                    looked_at = time.monotonic()
                    self._kill_late()
                    self._adjust()
                self._dispatch()
            except Exception as error:
                _logger.warning("the Ray cluster could not be looked at: %s", error)

    def _kill_late(self) -> None:
        now = time.monotonic()
        with self._lock:
            late = [w for w in self._workers if w.deadline is not None and now > w.deadline]
            for worker in late:
                worker.late, worker.deadline = True, None
        for worker in late:
            self._kill(worker)

    def _adjust(self) -> None:
        """Ask for the workers that are missing, and forget those whose node is gone."""
        nodes = {node["NodeID"]: node["Resources"] for node in _list_nodes()}
        with self._lock:
            for worker in list(self._workers):
                if worker.node_id is not None and worker.node_id not in nodes and not worker.job:
                    self._drop(worker)
            if self._failed_starts >= MOST_FAILED_STARTS:
                return
            if self._wanted is not None:
                for _ in range(self._wanted - len(self._workers)):
                    self._ask_for_worker(None)
                return
            there = Counter(worker.node_id for worker in self._workers)
            for node_id, resources in nodes.items():
                for _ in range(self._count_room(resources) - there[node_id]):
                    self._ask_for_worker(node_id)

    def _count_room(self, resources: Mapping[str, float]) -> int:
        """Return how many workers a node of these resources can hold."""
        return min(
            int(resources.get(name, 0.0) / needed + 1e-9)
            for name, needed in self._needs.items()
            if needed > 0
        )

    def _ask_for_worker(self, node_id: str | None) -> None:
        options: dict[str, Any] = {}
        if node_id is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node_id, soft=False)
        actor: Any = self._actor_class.options(**options).remote(max(1, int(self._needs["CPU"])))
        worker = _Worker(actor=actor, node_id=node_id)
        self._workers.append(worker)
        self._await(actor.describe.remote(), lambda done: self._on_started(worker, done))

    def _on_started(self, worker: _Worker, done: "Future[tuple[str, str]]") -> None:
        error = done.exception()
        with self._lock:
            if error is None:
                self._failed_starts = 0
                worker.kind, worker.node_id = done.result()
            else:
                self._failed_starts += 1
                self._start_error = str(error).strip().splitlines()[-1]
                self._drop(worker)

    def _wait_for_workers(self) -> None:
        """Wait until all workers that were asked for have started, or some for long enough."""
        if not self._workers:
            nodes = [dict(node["Resources"]) for node in _list_nodes()]
            room = {name: max(n.get(name, 0.0) for n in nodes) for name in ("CPU", "GPU")}
            raise ClusterError(
                f"no node of the Ray cluster has room for a worker of {_describe(self._needs)}: "
                f"the largest has {_describe(room)}. Lower workers.cpus_per_worker or "
                "workers.gpus_per_worker, or set workers.processes and let the cluster grow"
            )
        until = time.monotonic() + START_TIMEOUT_S
        patience = time.monotonic() + _NODE_ANSWER_S
        while time.monotonic() < until:
            with self._lock:
                started, asked = self.slots, len(self._workers)
            if started and (started >= asked or time.monotonic() > patience):
                return
            if not asked:
                break
            time.sleep(0.05)
        raise ClusterError(
            f"no worker of {_describe(self._needs)} could be started on the Ray cluster within "
            f"{START_TIMEOUT_S:g} s: {self._start_error or 'all resources are taken'}. "
            "`archloss doctor --executor ray` looks at every node"
        )

    def _back_up(self) -> None:
        while (reference := self._backups.get()) is not None:
            with contextlib.suppress(Exception):  # whoever needs the value will hear of it
                ray.wait([reference], timeout=FETCH_TIMEOUT_S, fetch_local=True)


class _Connection:
    """This process's link to a cluster, made by us or found.

    With `bring_code`, nodes that lack archloss get it from here.
    """

    def __init__(self, address: str | None, *, bring_code: bool) -> None:
        self._ours = not ray.is_initialized()
        self._folder: str | None = None
        if not self._ours:
            return
        try:
            if address is None:
                self._start()
            else:
                self._join(address, bring_code=bring_code)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            self.close()
            where = "on this machine" if address is None else f"at {address!r}"
            raise ClusterError(
                f"the Ray cluster {where} cannot be used: {error}. "
                "`archloss doctor --executor ray` looks for the cause"
            ) from error

    def close(self) -> None:
        """Leave the cluster, if we joined it; a Ray that we started ends."""
        if self._ours:
            ray.shutdown()
            self._ours = False
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _start(self) -> None:
        """Start a Ray that only this machine can reach: it listens on the loopback interface."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._folder = tempfile.mkdtemp(prefix="arl-")
        with on_loopback():
            ray.init(
                address="local",
                num_cpus=count_cores(),
                include_dashboard=False,
                _temp_dir=self._folder,
                **_QUIET,
            )

    def _join(self, address: str, *, bring_code: bool) -> None:
        ray.init(address=address, **_QUIET)
        if bring_code and any(
            isinstance(answer, ImportError) for answer in _ask_nodes(find_archloss).values()
        ):
            ray.shutdown()
            package = str(Path(archloss.__file__).parent)
            ray.init(address=address, runtime_env={"py_modules": [package]}, **_QUIET)


def run_on_every_node(
    function: Callable[[], R], *, address: str | None = None
) -> dict[str, R | Exception]:
    """Run a function of no arguments once on every node; return results or errors by node name.

    A node without archloss answers with ModuleNotFoundError. Raises ClusterError if the cluster
    cannot be reached.
    """
    connection = _Connection(address, bring_code=False)
    try:
        return _ask_nodes(function)
    finally:
        connection.close()


def find_archloss() -> str:
    """Return where archloss is; what asks a node for it needs to have it there."""
    return archloss.__file__


def _ask_nodes(function: Callable[[], R]) -> dict[str, R | Exception]:
    def call(module: str, name: str) -> Any:
        """Look the function up where this runs: what is not at module level travels whole."""
        return getattr(importlib.import_module(module), name)()

    task = ray.remote(num_cpus=0, max_retries=0)(call)
    asked = {}
    for node in _list_nodes():
        strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        name = f"{node['NodeManagerHostname']} {node['NodeID'][:8]}"
        asked[name] = task.options(scheduling_strategy=strategy).remote(
            function.__module__, function.__name__
        )
    until = time.monotonic() + _NODE_ANSWER_S
    answers: dict[str, R | Exception] = {}
    for name, reference in asked.items():
        try:
            answers[name] = ray.get(reference, timeout=max(0.1, until - time.monotonic()))
        except exceptions.RayTaskError as error:
            answers[name] = error.cause
        except exceptions.RayError as error:
            answers[name] = error
    return answers


def _list_nodes() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # as Ray has it
    return [node for node in nodes if node["Alive"]]


def _to_argument(held: Held | None) -> Any:
    """Return what stands for a held value in a call: our own travel by reference."""
    if held is None or not isinstance(held, RayHeld):
        return None if held is None else held.fetch()
    return held.reference


def _is_loss_of_value(error: BaseException | None) -> bool:
    cause = error.cause if isinstance(error, exceptions.RayTaskError) else error
    return isinstance(cause, _VALUE_LOST)


def _is_loss_of_worker(error: BaseException | None) -> bool:
    return isinstance(error, _WORKER_LOST)


def _describe(resources: Mapping[str, float]) -> str:
    return " and ".join(
        f"{amount:g} {name}" for name, amount in resources.items() if amount or name == "CPU"
    )


def _do_nothing() -> None:
    """Wake the manager."""


@contextlib.contextmanager
def on_loopback() -> Iterator[None]:
    """Let a Ray that is started here listen on 127.0.0.1 alone.

    Ray does so where RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER was 0 when it was imported, on Linux too.
    """
    constants = ray._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before
