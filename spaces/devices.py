"""Which device a pack runs on, and whether an error says that its memory ran out."""

import torch

from archloss.spaces.errors import SpaceError


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; "auto" is CUDA, else MPS, else the CPU.

    Raises SpaceError if the machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    kind = name.partition(":")[0]
    if not available.get(kind, False):
        found = [other for other, there in available.items() if there]
        raise SpaceError(
            f"the device must be one that this machine has, but got {name!r}; it has {found}: "
            'choose one of them, or "auto"'
        )
    return torch.device(name)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Say whether an error of torch means that a device's memory ran out."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
