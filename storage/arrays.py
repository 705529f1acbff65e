"""Arrays as bytes and back: safetensors for named arrays, little-endian float64 for curves."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save


def pack_arrays(arrays: Mapping[str, npt.NDArray[np.floating]]) -> bytes:
    """Return named arrays as the bytes of a safetensors file."""
    return bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def unpack_arrays(data: bytes) -> dict[str, npt.NDArray[np.floating]]:
    """Return the arrays that `pack_arrays` was given."""
    return dict(load(data))


def pack_numbers(numbers: Sequence[float]) -> bytes:
    """Return numbers as little-endian float64."""
    return np.asarray(numbers, dtype="<f8").tobytes()


def unpack_numbers(data: bytes) -> tuple[float, ...]:
    """Return the numbers that `pack_numbers` was given."""
    return tuple(np.frombuffer(data, dtype="<f8").tolist())
