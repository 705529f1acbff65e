"""What is reached without looking at the features: the score of a network that diverged."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt


def score_guessing(
    *, classes: Sequence[str], y_validation: npt.NDArray[np.int64], majority_class: int
) -> Mapping[str, float]:
    """Return the validation metrics that a study can minimise, as guessing reaches them.

    For the error that is always guessing the training data's commonest class; for the negative
    log-likelihood and the Brier score it is giving each of the C classes the probability 1 / C:
    `ln C` and `1 - 1 / C`.
    """
    return {
        "validation_error": float(np.mean(y_validation != majority_class)),
        "validation_nll": math.log(len(classes)),
        "validation_brier": 1.0 - 1.0 / len(classes),
    }
