"""From the trials of an experiment to what its analysis reads, once all of them are done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from archloss.search.analysis.experiment import Experiment
from archloss.search.confirm import make_command
from archloss.search.plan import list_planned
from archloss.search.report.points import find_ending
from archloss.search.spec import Spec
from archloss.spaces.dimensions import Choice, Dimension
from archloss.spaces.errors import ArchlossError

if TYPE_CHECKING:
    from archloss.storage.records import TrialRecord


class IncompleteError(ArchlossError):
    """The experiment has not measured all that its plan asks for."""


def read_experiment(spec: Spec, records: "Sequence[TrialRecord]") -> Experiment:
    """Return what the experiment measured; raise IncompleteError where anything is missing.

    The first training of a design and replicate that came to an end counts, if there are several.
    """
    plan = spec.plan
    assert plan is not None
    trainings = _list_trainings(spec, records)
    # Trainings are planned replicate by replicate, and designs by level, context and choice.
    shape = (plan.replicates, *plan.shape)
    values = np.array([trial.value for trial in trainings], dtype=np.float64)
    diverged = np.array([find_ending(trial) == "diverged" for trial in trainings])
    return Experiment(
        context=plan.context,
        choice=plan.choice,
        by=plan.by,
        levels=plan.levels or (None,),
        contexts=tuple(float(value) for value in plan.contexts),
        choices=tuple(float(value) for value in plan.choices),
        bound=plan.bound,
        values=np.moveaxis(values.reshape(shape), 0, -1),
        diverged=np.moveaxis(diverged.reshape(shape), 0, -1),
        logarithmic=_is_logarithmic(spec.dimensions()[plan.choice]),
    )


def _is_logarithmic(dimension: Dimension) -> bool:
    return not isinstance(dimension, Choice) and dimension.log


def _list_trainings(spec: Spec, records: "Sequence[TrialRecord]") -> "list[TrialRecord]":
    """Return the trial that did each training of the plan, in the plan's order."""
    plan = spec.plan
    assert plan is not None
    ended = {
        frozenset(trial.params.items()): trial
        for trial in sorted(records, key=lambda one: one.number, reverse=True)
        if trial.state in ("COMPLETE", "PRUNED")
    }
    planned = [frozenset(params.items()) for params in list_planned(spec)]
    trainings = [ended[key] for key in planned if key in ended]
    missing = len(planned) - len(trainings)
    if missing:
        raise IncompleteError(
            f"all {len(planned)} trainings of {spec.name!r} must be done before they are analysed, "
            f"but {missing} are not: `{make_command(plan.confirms, spec.name)}` goes on with it"
        )
    unfit = [trial for trial in trainings if trial.value is None]
    if unfit:
        raise IncompleteError(
            f"each training of {spec.name!r} must have come to a value, but {len(unfit)} did not, "
            f"the first of them trial {unfit[0].number} ({unfit[0].message}): delete the "
            "experiment, and plan one with fewer or smaller contexts, or use a larger device"
        )
    return trainings
