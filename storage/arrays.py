"""Arrays as bytes and back: safetensors for states, plain float64 for curves; never pickle."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import safetensors.numpy

Arrays = Mapping[str, npt.NDArray[np.floating]]


def pack_arrays(arrays: Arrays) -> bytes:
    """Return named arrays as one safetensors blob; shapes and types are kept."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return bytes(safetensors.numpy.save(contiguous))


def unpack_arrays(blob: bytes) -> Arrays:
    """Return what `pack_arrays` was given."""
    return cast(Arrays, safetensors.numpy.load(blob))


def pack_values(values: Sequence[float]) -> bytes:
    """Return numbers as little-endian float64, infinities and NaN included."""
    return np.asarray(values, dtype="<f8").tobytes()


def unpack_values(blob: bytes) -> list[float]:
    """Return what `pack_values` was given."""
    return cast(list[float], np.frombuffer(blob, dtype="<f8").tolist())
