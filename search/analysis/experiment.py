"""What a confirmatory experiment measured, as its analysis reads it.

L level of `by`, D context, M choice, R replicate.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array
from archloss.spaces.dimensions import Value


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment:
    """A balanced, replicated experiment that is complete.

    `values` `[L, D, M, R]` are final objectives; all of one replicate were measured on the same
    split, with the same initial draws and order of the data. A training that `diverged`
    `[L, D, M, R]` has the value that guessing reaches on its replicate's split. `levels` are
    (None,) without `by`.
    `bound` is the smallest cost that matters, in the objective's own units. Of choices that are
    `logarithmic` equal ratios count as equally far.
    """

    context: str
    choice: str
    by: str | None
    levels: tuple[Value | None, ...]
    contexts: tuple[float, ...]
    choices: tuple[float, ...]
    bound: float
    values: Array
    diverged: npt.NDArray[np.bool_]
    logarithmic: bool = False

    @property
    def means(self) -> Array:
        """Return each cell's mean over the replicates `[L, D, M]`."""
        return np.asarray(self.values.mean(axis=3))

    @property
    def replicates(self) -> int:
        """Return R."""
        return int(self.values.shape[3])
