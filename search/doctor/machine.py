"""What the doctor says about one machine: packages, memory, disk, GPUs."""

import os
import shutil
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from archloss.search.doctor.findings import Finding, is_well, object_to, warn
from archloss.workers.inspection import GpuReport, MachineReport

WORKER_BYTES = 500_000_000
"""What a worker takes with torch loaded and a small study's data."""
_DISK_LITTLE, _DISK_NOTHING = 2_000_000_000, 100_000_000


def check_machine(report: MachineReport, folder: Path) -> list[Finding]:
    """Return what is to be said about the machine that a driver runs on."""
    return [
        is_well("machine", f"{report.host}: {report.system}, Python {report.python}"),
        *check_packages(),
        check_memory(report),
        check_folder(folder),
        check_gpus(report.gpus),
    ]


def check_packages() -> list[Finding]:
    """Compare what is installed with what this archloss asks for."""
    findings = []
    for line in metadata.requires("archloss") or ():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            findings.append(_miss(requirement, "it is not installed"))
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            findings.append(_miss(requirement, f"{version} is installed"))
    shown = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("archloss", "torch", "optuna", "sqlalchemy")
    )
    return findings or [is_well("packages", shown)]


def _miss(requirement: Requirement, found: str) -> Finding:
    wanted = f"{requirement.name}{requirement.specifier}"
    return object_to("packages", f"archloss needs {wanted}, but {found}", f"pip install '{wanted}'")


def check_memory(report: MachineReport) -> Finding:
    """Say whether a worker per core fits into the memory that is free."""
    message = (
        f"{_count(report.cores, 'core')}, {_gigabytes(report.memory_free)} of "
        f"{_gigabytes(report.memory)} memory free"
    )
    room = report.memory_free // WORKER_BYTES
    if room >= report.cores:
        return is_well("memory", message)
    return warn(
        "memory",
        f"{message}: room for {_count(room, 'worker')}, and not for one per core",
        f"launch with --processes {max(1, room)}, or close other programs",
    )


def check_folder(folder: Path) -> Finding:
    """Say whether the folder of studies can be written to, and has room; makes nothing."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return object_to(
            "disk",
            f"the studies' folder {str(folder)!r} cannot be written to, because of {str(place)!r}",
            "change its permissions, or choose another with --folder or ARCHLOSS_FOLDER",
        )
    free = shutil.disk_usage(place).free
    message = f"{_gigabytes(free)} free for the studies' folder {str(folder)!r}"
    if free < _DISK_NOTHING:
        return object_to("disk", message, "make room, or choose another folder with --folder")
    if free < _DISK_LITTLE:
        return warn("disk", message, "make room before a long study")
    return is_well("disk", message)


def check_gpus(gpus: GpuReport, *, area: str = "GPUs") -> Finding:
    """Say whether torch can compute on every GPU that the driver knows."""
    if gpus.error is not None:
        return object_to(area, gpus.error, "put the driver or the installation of torch right")
    seen, known = len(gpus.by_torch), len(gpus.by_driver)
    if not known and not seen:
        return is_well(area, "none: workers train on processor cores")
    names = ", ".join(sorted(set(gpus.by_driver or gpus.by_torch)))
    if seen >= known:
        return is_well(area, f"torch computes on {_count(seen, 'GPU')}: {names}")
    if gpus.torch_cuda is None:
        return warn(
            area,
            f"{_count(known, 'GPU')} ({names}), but this torch is built without CUDA",
            "install a torch with CUDA (pytorch.org says how), or nothing uses them",
        )
    if gpus.visible is not None:
        return is_well(
            area, f"{seen} of {known} ({names}): CUDA_VISIBLE_DEVICES is {gpus.visible!r}"
        )
    return object_to(
        area,
        f"the driver has {_count(known, 'GPU')} ({names}), but torch, built for CUDA "
        f"{gpus.torch_cuda}, can use {seen}",
        "update the driver, or install a torch for the CUDA version that it supports",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
