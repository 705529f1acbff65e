"""Sobol sequences: points that leave no part of a space out (Sobol 1967)."""

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

# SciPy reads its direction numbers from a file when it first needs them. Where several threads do
# so at once, that read may fail, and SciPy then goes on without them, with points that repeat: so
# they are read here, while modules are still loaded one at a time.
qmc.Sobol(1)


def draw_sobol(
    dimensions: int, count: int, *, seed: int | np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the first points `[count, dimensions]` of a scrambled sequence, in [0, 1)."""
    whole = qmc.Sobol(dimensions, seed=seed).random_base2((count - 1).bit_length())
    return np.asarray(whole[:count])
