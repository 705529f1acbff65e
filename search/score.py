"""How a trial is scored: the objective alone, never the loss that it trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from archloss.spaces.guessing import score_guessing

Objective = Literal["validation_error", "validation_nll", "validation_brier"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """The metric that the search minimises, and what a replicate that diverged gets for it.

    `penalties` are those of replicates whose split is their own; the others get `penalty`.
    """

    objective: Objective
    penalty: float
    penalties: Mapping[int, float] = field(default_factory=dict)

    def get_penalty(self, replicate: int) -> float:
        """Return what this replicate gets if it diverges."""
        return self.penalties.get(replicate, self.penalty)


def make_score(
    objective: Objective,
    *,
    classes: Sequence[str],
    y_validation: npt.NDArray[np.int64],
    majority_class: int,
) -> Score:
    """Return the score whose penalty is what is reached without looking at the features."""
    guessed = score_guessing(
        classes=classes, y_validation=y_validation, majority_class=majority_class
    )
    return Score(objective=objective, penalty=guessed[objective])
