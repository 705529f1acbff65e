"""From the spec's `workers` to an executor."""

from importlib import metadata

from archloss.search.spec import WorkersSpec
from archloss.workers.executor import Executor
from archloss.workers.inline import InlineExecutor
from archloss.workers.local import LocalExecutor
from archloss.workers.machine import count_cores, list_gpus


def make_executor(workers: WorkersSpec) -> Executor:
    """Make the executor that the spec asks for.

    Local workers are one per GPU where GPUs are used, each seeing its own alone, and one per
    core otherwise, unless `processes` says how many; more processes than GPUs share them.
    """
    if workers.executor == "inline":
        return InlineExecutor()
    gpus = list_gpus() if _may_use_gpus(workers.device) else ()
    processes = workers.processes
    count = (len(gpus) or count_cores()) if processes == "auto" else processes
    return LocalExecutor(count, environments=[{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus])


def _may_use_gpus(device: str) -> bool:
    """Say whether workers pick a GPU for themselves: a torch built for CPUs alone never does."""
    return device in ("auto", "cuda") and not metadata.version("torch").endswith("+cpu")
