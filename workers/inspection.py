"""What a machine is and has installed, as plain data that travels: for `archloss doctor`.

Loads nothing of torch, Ray or CUDA: a machine on which these are broken is one to look at.
"""

import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

import archloss
from archloss.workers.machine import count_cores

PACKAGES = ("torch", "numpy", "optuna", "scikit-learn", "sqlalchemy", "psycopg", "ray")
_GPU_TOOL_TIMEOUT_S = 60.0
_TORCH_TIMEOUT_S = 120.0
_ASK_TORCH = """
import json, torch
usable = torch.cuda.is_available()
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if usable else []
for index in range(len(names)):
    torch.ones(2, device=f"cuda:{index}").sum().item()
print(json.dumps({"cuda": torch.version.cuda, "gpus": names}))
"""
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class GpuReport:
    """What the two see that matter: the driver's own tool, and torch, which was made to compute.

    `error` is why one of them could not be asked.
    """

    by_driver: tuple[str, ...] = ()
    by_torch: tuple[str, ...] = ()
    torch_cuda: str | None = None
    visible: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class MachineReport:
    """One machine, as a process on it sees it. Sizes are in bytes.

    `packages` are versions by name, None for what is not installed; `source` is the beginning of
    a SHA-256 over the source of archloss; `memory` respects a container's limit.
    """

    host: str
    system: str
    python: str
    archloss: str
    source: str
    packages: Mapping[str, str | None]
    cores: int
    memory: int
    memory_free: int
    shared_memory: int | None
    gpus: GpuReport


def inspect_machine() -> MachineReport:
    """Look at this machine as it is; takes a few seconds, most of them for torch."""
    return _inspect(dict(os.environ))


def inspect_node() -> MachineReport:
    """Look at a machine of a cluster: all its GPUs, though Ray hides those not asked for."""
    hidden = ("CUDA_VISIBLE_DEVICES",)
    return _inspect({key: value for key, value in os.environ.items() if key not in hidden})


def _inspect(environment: Mapping[str, str]) -> MachineReport:
    memory = psutil.virtual_memory()
    limit = _read_memory_limit() or memory.total
    return MachineReport(
        host=socket.gethostname(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        archloss=archloss.__version__,
        source=_digest_source(),
        packages={name: _find_version(name) for name in PACKAGES},
        cores=count_cores(),
        memory=min(memory.total, limit),
        memory_free=min(memory.available, limit),
        shared_memory=shutil.disk_usage(_SHARED_MEMORY).total if _SHARED_MEMORY.is_dir() else None,
        gpus=_inspect_gpus(environment),
    )


def _find_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _digest_source() -> str:
    root = Path(archloss.__file__).parent
    digest = hashlib.sha256()
    # Sorted by name, and not by path, whose order differs between a checkout's links and a wheel.
    paths = {
        path.relative_to(root).as_posix(): path
        for folder in (root, *(child for child in root.iterdir() if child.is_dir()))
        for path in (folder.glob("*.py") if folder == root else folder.rglob("*.py"))
    }
    for name in sorted(paths):
        digest.update(f"{name}\n".encode())
        digest.update(paths[name].read_bytes())
    return digest.hexdigest()[:12]


def _read_memory_limit() -> int | None:
    for path in _CGROUP_LIMITS:
        try:
            return int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return None


def _inspect_gpus(environment: Mapping[str, str]) -> GpuReport:
    by_driver, driver_error = _ask_driver()
    answer, torch_error = _run(
        [sys.executable, "-c", _ASK_TORCH], timeout_s=_TORCH_TIMEOUT_S, environment=environment
    )
    seen = json.loads(answer) if torch_error is None else {"cuda": None, "gpus": []}
    return GpuReport(
        by_driver=by_driver,
        by_torch=tuple(seen["gpus"]),
        torch_cuda=seen["cuda"],
        visible=environment.get("CUDA_VISIBLE_DEVICES"),
        error=driver_error or torch_error,
    )


def _ask_driver() -> tuple[tuple[str, ...], str | None]:
    """Return the GPUs that NVIDIA's tool lists; none, and no error, where there is no tool."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return (), None
    answer, error = _run(
        [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"],
        timeout_s=_GPU_TOOL_TIMEOUT_S,
        environment=os.environ,
    )
    return tuple(line.strip() for line in answer.splitlines() if line.strip()), error


def _run(
    command: list[str], *, timeout_s: float, environment: Mapping[str, str]
) -> tuple[str, str | None]:
    """Return a program's output; with the last line of its complaints if it failed."""
    name = "torch" if command[0] == sys.executable else Path(command[0]).name
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=dict(environment),
        )
    except subprocess.TimeoutExpired:
        return "", f"{name} did not answer within {timeout_s:.0f} s"
    except OSError as error:
        return "", f"{name} could not be started: {error.strerror}"
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip().splitlines() or ["it said nothing"]
        return "", f"{name} failed: {said[-1]}"
    return result.stdout, None
