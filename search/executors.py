"""From the spec's `workers` to an executor."""

from importlib import metadata

from archloss.search.spec import WorkersSpec
from archloss.spaces.errors import ArchlossError
from archloss.workers.executor import Executor
from archloss.workers.inline import InlineExecutor
from archloss.workers.local import LocalExecutor
from archloss.workers.machine import count_cores, list_gpus


class NoRoomError(ArchlossError):
    """This machine has no room for a worker of the kind that was asked for."""


def make_executor(workers: WorkersSpec, *, ray_address: str | None = None) -> Executor:
    """Make the executor that the spec asks for.

    Local workers are one per GPU (or share of one) where GPUs are used, each seeing its own
    alone, and as many as there are cores for otherwise, unless `processes` says how many; more
    processes than GPUs share them. `ray_address` is the cluster to join with "ray"; without it a
    Ray is started on this machine.
    """
    match workers.executor:
        case "inline":
            return InlineExecutor()
        case "local":
            return _make_local(workers)
        case "ray":
            return _make_ray(workers, ray_address)


def _make_local(workers: WorkersSpec) -> Executor:
    share = 1.0 if workers.gpus_per_worker == "auto" else workers.gpus_per_worker
    gpus = list_gpus() if _may_use_gpus(workers.device) and share > 0 else ()
    if share > 1:
        size = int(share)
        gpus = tuple(",".join(gpus[at : at + size]) for at in range(0, len(gpus) - size + 1, size))
    room = int(len(gpus) / min(share, 1.0)) if gpus else count_cores() // workers.cpus_per_worker
    count = room if workers.processes == "auto" else workers.processes
    if count < 1:
        raise NoRoomError(
            f"workers.cpus_per_worker must be at most {count_cores()}, the cores that this process "
            f"may use, but got {workers.cpus_per_worker}"
        )
    return LocalExecutor(
        count,
        thread_count=workers.cpus_per_worker,
        environments=[{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus],
        timeout_s=workers.pack_timeout,
    )


def _make_ray(workers: WorkersSpec, address: str | None) -> Executor:
    from archloss.workers.cluster import RayExecutor

    gpus = workers.gpus_per_worker
    if workers.device == "cpu":
        gpus = 0
    return RayExecutor(
        address=address,
        workers=None if workers.processes == "auto" else workers.processes,
        cpus_per_worker=workers.cpus_per_worker,
        gpus_per_worker=None if gpus == "auto" else gpus,
        timeout_s=workers.pack_timeout,
    )


def _may_use_gpus(device: str) -> bool:
    """Say whether workers pick a GPU for themselves: a torch built for CPUs alone never does."""
    return device in ("auto", "cuda") and not metadata.version("torch").endswith("+cpu")
