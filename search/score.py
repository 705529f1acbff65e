"""How a trial is scored: the objective alone, never the loss that it trained on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Objective = Literal["validation_error", "validation_nll", "validation_brier"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """The metric that the search minimises, and what a replicate that diverged gets for it."""

    objective: Objective
    penalty: float


def make_score(
    objective: Objective,
    *,
    classes: Sequence[str],
    y_validation: npt.NDArray[np.int64],
    majority_class: int,
) -> Score:
    """Return the score whose penalty is what is reached without looking at the features.

    For the error that is always guessing the training data's commonest class; for the negative
    log-likelihood and the Brier score it is giving each of the C classes the probability 1 / C:
    `ln C` and `1 - 1 / C`.
    """
    penalties = {
        "validation_error": float(np.mean(y_validation != majority_class)),
        "validation_nll": math.log(len(classes)),
        "validation_brier": 1.0 - 1.0 / len(classes),
    }
    return Score(objective=objective, penalty=penalties[objective])
