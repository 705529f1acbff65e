"""How long an experiment takes, from what the trainings of the search took."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from archloss.search.spec import Spec, WorkersSpec
from archloss.workers.machine import count_cores

if TYPE_CHECKING:
    from archloss.storage.records import TrialRecord

_DEPTH = "depth"


def estimate_seconds(parent: Spec, records: "Sequence[TrialRecord]", spec: Spec) -> float | None:
    """Return the worker's time that the experiment takes at the speed of the search.

    A training in a pack takes its share of the pack's time, the longer the deeper it is: a line in
    depth is fitted. None where no trial of the search has its time.
    """
    from archloss.search.distributions import to_design
    from archloss.spaces.catalogue import SPACES

    assert spec.plan is not None
    space, dimensions = SPACES[parent.space.name], parent.dimensions()
    measured = [
        (to_design(space, dimensions, trial.params).depth, trial.seconds / parent.recipe.replicates)
        for trial in records
        if trial.state == "COMPLETE" and trial.seconds
    ]
    if not measured:
        return None
    depths, seconds = np.array(measured, dtype=np.float64).T
    slope = 0.0
    if np.ptp(depths) > 0:
        slope = max(0.0, float(np.polyfit(depths, seconds, 1)[0]))
    shallow = max(0.0, float(seconds.mean() - slope * depths.mean()))
    planned = [float(design[_DEPTH]) for design in spec.plan.designs]
    return spec.plan.replicates * sum(shallow + slope * depth for depth in planned)


def count_workers(workers: WorkersSpec) -> int | None:
    """Return how many workers share the time; None where only a cluster knows."""
    if workers.executor == "inline":
        return 1
    if workers.processes != "auto":
        return workers.processes
    if workers.executor == "local" and workers.device == "cpu":
        return max(1, count_cores() // workers.cpus_per_worker)
    return None


def describe_estimate(seconds: float | None, workers: WorkersSpec) -> str:
    """Return the estimate as one sentence."""
    if seconds is None:
        return "How long it takes is not known: no trial of the search has its time."
    count = count_workers(workers)
    spent = f"about {_say_span(seconds)} of a worker's time at the speed of the search"
    if count is None or count == 1:
        return f"It takes {spent}."
    return f"It takes {spent}, or {_say_span(seconds / count)} with {count} workers."


def _say_span(seconds: float) -> str:
    """Return a span of time in two digits.

    >>> [_say_span(seconds) for seconds in (0.2, 95, 5000, 100_000)]
    ['1 second', '95 seconds', '83 minutes', '28 hours']
    """
    for unit, size in (("hour", 3600.0), ("minute", 60.0)):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}s"
    count = max(1, math.ceil(seconds))
    return f"{count} second{'s' * (count > 1)}"
