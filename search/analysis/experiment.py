"""A designed experiment's results: every cell trained with every replicate.

L level of `by`, D context, M choice, R replicate.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array
from archloss.spaces.dimensions import Value


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment:
    """The objective `[L, D, M, R]` of each cell and replicate; that of guessing where it diverged.

    Replicates share their split, initial weights and data order over all cells: they are blocks.
    `by` is None where there is one level only, which `levels` then has as None. `bound` is the
    smallest cost of one choice for all contexts that matters.
    """

    context: str
    choice: str
    by: str | None
    contexts: tuple[float, ...]
    choices: tuple[float, ...]
    levels: tuple[Value | None, ...]
    log_context: bool
    log_choice: bool
    bound: float
    values: Array
    diverged: npt.NDArray[np.bool_]
