"""A Ray cluster: joined, or started on this machine alone, and left again.

Ray is imported here and in its workers only, and no sooner than it is needed.
"""

import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import archloss
from archloss.spaces.errors import ArchlossError
from archloss.workers.machine import count_cores

_PROBE_TIMEOUT_S = 120.0
_REACH_TIMEOUT_S = 3.0
_KNOCK_TIMEOUT_S = 20.0
_LONGEST_TEMP_DIR = 30
"""Ray keeps sockets in its folder, and their paths may have no more than 107 characters."""
_CLIENT = "ray://"

_QUIET = {"RAY_DEDUP_LOGS_SKIP_REGEX": "."}
"""Keeps Ray from printing what befalls its nodes: standard output is for our results."""
_LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Makes a Ray that starts here listen on the loopback interface.

The first is made for other systems than Linux, but works there too.
"""


class ClusterError(ArchlossError):
    """The cluster cannot be used: it is not there, does not fit, or has no room."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine of the cluster that is alive."""

    node_id: str
    name: str
    resources: Mapping[str, float]


class Session:
    """This process's part in a cluster.

    `address` is "auto" for the cluster of this machine or of this job, "host:port", or
    "ray://host:port" for Ray's client, from where only that port can be reached; None starts a
    Ray on this machine that nobody else can reach, with room for `cpus`. A Ray that the process
    has started already is used as it is, and left running. Where one of the cluster's machines
    has no archloss, or another version, the driver's is sent to all, unless `ships_code` is False.
    """

    def __init__(
        self,
        address: str | None,
        *,
        runtime_env: Mapping[str, Any] | None = None,
        cpus: int | None = None,
        ships_code: bool = True,
    ) -> None:
        if address == "auto" and os.environ.get("RAY_ADDRESS"):
            address = os.environ["RAY_ADDRESS"]
        if address is not None and address != "auto":
            _check(address)
        self.own = address is None
        self._port: str | None = None
        self.is_open = True
        self._folder: Path | None = None
        self._gone: set[str] = set()
        with _set_variables(_QUIET | (_LOOPBACK | _make_token() if self.own else {})):
            self.ray = _import_ray()
            self._given = bool(self.ray.is_initialized())
            if not self._given:  # the values of a call that died: the call itself says so
                os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
            if self._given:
                self.own = False
                if runtime_env:
                    raise ClusterError(
                        "this process has started Ray already: give `runtime_env` to ray.init"
                    )
            elif address is None:
                with _on_loopback(self.ray):
                    self._start(dict(runtime_env or {}), cpus)
            else:
                self._join(address, dict(runtime_env or {}), ships_code)

    def list_nodes(self) -> list[Node]:
        """Return the nodes that are alive."""
        return [
            Node(
                node_id=node["NodeID"],
                name=node["NodeManagerHostname"],
                resources=node["Resources"],
            )
            for node in self.ray.nodes()
            if node["Alive"]
        ]

    def has_gpus(self) -> bool:
        """Say whether any node that is alive has a GPU."""
        return any(node.resources.get("GPU") for node in self.list_nodes())

    def copy_here(self, reference: Any) -> None:
        """Begin to bring an object to this node; Ray goes on with it after the call."""
        with contextlib.suppress(self.ray.exceptions.RayError):  # whoever needs it will hear of it
            self.ray.wait([reference], timeout=0, fetch_local=True)

    def start_on(self, node_id: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function once in a process of its own on a node; return Ray's reference."""
        strategies = self.ray.util.scheduling_strategies
        place = strategies.NodeAffinitySchedulingStrategy(node_id, soft=False)
        task = self.ray.remote(num_cpus=0, max_retries=0)(function)
        return task.options(scheduling_strategy=place).remote(*arguments)

    def reaches_head(self) -> bool:
        """Say whether the cluster's head answers; without it, Ray's own calls may hang.

        Raises ClusterError if somebody has shut Ray down in this process.
        """
        if not self.ray.is_initialized():  # anything we ask would join some cluster or other
            raise ClusterError("Ray was shut down in this process")
        return _can_reach(self._port or self.ray.get_runtime_context().gcs_address)

    def is_gone(self, node_id: str) -> bool:
        """Say whether a node is dead, even if Ray has not found out yet."""
        if node_id not in self._gone:
            known = [node for node in self.ray.nodes() if node["NodeID"] == node_id]
            alive = [node for node in known if node["Alive"]]
            if any(self._port or _can_reach(_find_raylet(node)) for node in alive):
                return False
            self._gone.add(node_id)
        return True

    def close(self) -> None:
        """Leave the cluster, and end it if this session has started it."""
        if not self.is_open:
            return
        self.is_open = False
        if not self._given:
            self.ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, runtime_env: dict[str, Any], cpus: int | None) -> None:
        base = tempfile.gettempdir()
        short = base if len(base) <= _LONGEST_TEMP_DIR else "/tmp"
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir=short))
        variables = {"PYTHONPATH": os.pathsep.join(_own_path())}
        runtime_env["env_vars"] = {**variables, **runtime_env.get("env_vars", {})}
        try:
            self._init(
                "local",
                runtime_env,
                num_cpus=cpus or count_cores(),
                include_dashboard=False,
                _temp_dir=str(self._folder),
            )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _join(self, address: str, runtime_env: dict[str, Any], ships_code: bool) -> None:
        if address.startswith(_CLIENT):
            self._port = address.removeprefix(_CLIENT)
        self._knock(address)
        self._init(address, runtime_env)
        if ships_code and self._lacks_code():
            self.ray.shutdown()
            package = str(Path(archloss.__file__).parent)
            runtime_env["py_modules"] = [*runtime_env.get("py_modules", ()), package]
            runtime_env["excludes"] = [*runtime_env.get("excludes", ()), "__pycache__"]
            self._init(address, runtime_env)

    def _lacks_code(self) -> bool:
        """Say whether any of the cluster's machines has no archloss, or another."""

        def probe() -> str | None:  # a nested function travels by value
            try:
                import archloss
            except ImportError:
                return None
            return archloss.__version__

        answers = [self.start_on(node.node_id, probe) for node in self.list_nodes()]
        answered, _ = self.ray.wait(
            answers, num_returns=len(answers), timeout=_PROBE_TIMEOUT_S, fetch_local=False
        )
        found = set()
        for answer in answered:
            with contextlib.suppress(self.ray.exceptions.RayError):  # that machine has gone
                found.add(self.ray.get(answer))
        return found != {archloss.__version__}

    def _knock(self, address: str) -> None:
        """Raise ClusterError if nobody listens where Ray would join: it would try for minutes."""
        services = self.ray._private.services  # nothing public says where "auto" leads
        try:
            place = self._port or services.canonicalize_bootstrap_address_or_die(address)
            _connect(place, _KNOCK_TIMEOUT_S)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no cluster can be reached at {address!r}: {error}; `ray start --head` starts "
                "one, and prints its address"
            ) from error

    def _init(self, address: str, runtime_env: dict[str, Any], **options: Any) -> None:
        with _keep_sigterm():
            try:
                self.ray.init(
                    address,
                    runtime_env=runtime_env,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    **options,
                )
            except Exception as error:
                where = "on this machine" if self.own else f"at {address}"
                raise ClusterError(f"Ray cannot be used {where}: {error}") from error


def _import_ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ClusterError("Ray is not installed: pip install 'archloss[ray]'") from error
    return ray


def _make_token() -> dict[str, str]:
    """Return what lets none but us use a Ray that starts here; a Ray imported before is deaf to it.

    A token of its own spares the user's home a file, and other clusters a surprise.
    """
    if "ray" in sys.modules or "RAY_AUTH_MODE" in os.environ:
        return {}
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextlib.contextmanager
def _set_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Set those environment variables that nobody has set, and take them back afterwards."""
    ours = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _on_loopback(ray: Any) -> Iterator[None]:
    """Tell a Ray that was imported before what `_LOOPBACK` would have told it then."""
    constants = ray._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def _keep_sigterm() -> Iterator[None]:
    """Give SIGTERM back to whoever handles it: Ray takes it as it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _own_path() -> list[str]:
    """Return where this process finds its modules: its workers look there first too."""
    return [os.path.abspath(entry) for entry in sys.path]


def _check(address: str) -> None:
    """Raise ClusterError if this is no address of a cluster."""
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    if not (host and port.isdigit()) or "/" in host:
        raise ClusterError(
            "the cluster's address must be 'auto', 'host:port' or 'ray://host:port', but got "
            f"{address!r}; `ray start --head` prints it"
        )


def _find_raylet(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"


def _can_reach(place: str) -> bool:
    try:
        _connect(place, _REACH_TIMEOUT_S)
    except OSError:
        return False
    return True


def _connect(place: str, timeout_s: float) -> None:
    """Raise OSError if nobody listens at "host:port"."""
    host, _, port = place.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout_s).close()
