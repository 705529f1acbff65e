"""Learning-rate schedules: the factor on a member's learning rate at each optimizer step."""

import math

from archloss.spaces.design import Schedule


def schedule_factor(schedule: Schedule, *, step: int, total_steps: int) -> float:
    """Return the factor in [0, 1] at `step` (0 is the first) of `total_steps`.

    "constant" is 1; "linear" falls from 1 to 0; "cosine" is half a cosine (Loshchilov & Hutter,
    arXiv 1608.03983, eq. 5, without restarts). The step after the last one would have factor 0.
    """
    done = step / total_steps
    if schedule == "constant":
        return 1.0
    if schedule == "linear":
        return 1.0 - done
    return 0.5 * (1.0 + math.cos(math.pi * done))
