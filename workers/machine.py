"""What this machine offers to workers: the cores this process may use, and its GPUs."""

import os
import re
import shutil
import subprocess

_ANSWER_TIMEOUT_S = 20.0


def count_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def list_gpus() -> tuple[str, ...]:
    """Return a value of CUDA_VISIBLE_DEVICES for each NVIDIA GPU that this process may use.

    Without loading anything of CUDA: from the variable itself if it is set, else from the
    driver's own tool; none where there is no such tool.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip() not in ("", "-1"))
    answer = _ask_driver("--query-gpu=index", "--format=csv,noheader")
    return tuple(line.strip() for line in answer.splitlines() if line.strip().isdigit())


def _ask_driver(*question: str) -> str:
    """Return what NVIDIA's tool answers; nothing where there is none, or it fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    try:
        return subprocess.run(
            [tool, *question],
            capture_output=True,
            text=True,
            timeout=_ANSWER_TIMEOUT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def describe_device() -> str:
    """Return the name of the first GPU that this process may use, or "cpu".

    As the driver's own tool names it, without loading anything of CUDA; slices of a GPU carry
    their profile as well, for they are as fast as their size.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = _name_gpus()
    if not names or (visible is not None and visible.strip() in ("", "-1")):
        return "cpu"
    first = "0" if visible is None else visible.split(",")[0].strip()
    for known, name in names.items():
        if known == first or (not first.isdigit() and known.startswith(first)):
            return name
    return "cpu"


def _name_gpus() -> dict[str, str]:
    """Return the names of GPUs and slices of GPUs by number and by UUID."""
    names: dict[str, str] = {}
    whole = ""
    for line in _ask_driver("-L").splitlines():
        if (gpu := re.match(r"GPU (\d+): (.+) \(UUID: (GPU-[^)]+)\)", line)) is not None:
            number, whole, uuid = gpu.groups()
            names |= {number: whole, uuid: whole}
        elif (part := re.match(r"\s+MIG (\S+)\s.*\(UUID: (MIG-[^)]+)\)", line)) is not None:
            names[part[2]] = f"{whole} MIG {part[1]}"
    return names
