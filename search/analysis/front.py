"""The networks that no other beats in both of two things."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def find_front(costs: Sequence[float], values: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Return which are on the Pareto front `[N]`: nothing costs no more and has a lower value.

    Of equals in both the first one is.

    >>> find_front([1.0, 2.0, 3.0, 2.0], [0.5, 0.3, 0.4, 0.3]).tolist()
    [True, True, False, False]
    """
    order = np.lexsort((np.asarray(values), np.asarray(costs)))  # stable
    lowest = np.minimum.accumulate(np.asarray(values, dtype=float)[order])
    better = np.concatenate([[True], lowest[1:] < lowest[:-1]])[: len(order)]
    front = np.zeros(len(order), dtype=bool)
    front[order] = better
    return front
