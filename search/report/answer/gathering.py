"""Gathers the evidence that only a study has: sizes of networks, curves, replicates and tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import TYPE_CHECKING

import numpy as np

from archloss.search.analysis.answer import Fitted
from archloss.search.analysis.axes import Array, Category
from archloss.search.analysis.bands import LearningCurves, choose_evenly, make_band
from archloss.search.analysis.evidence import Evidence, Front, SizedTrial, find_evidence
from archloss.search.analysis.front import find_front
from archloss.search.analysis.selection import find_best, find_selection
from archloss.search.analysis.spread import Replicates, find_spread
from archloss.search.analysis.trials import Kind
from archloss.search.distributions import to_design
from archloss.search.spec import Spec
from archloss.spaces.catalogue import SPACES
from archloss.spaces.data import load_dataset, split_dataset
from archloss.spaces.errors import ArchlossError
from archloss.spaces.shape import DataWidths

if TYPE_CHECKING:
    from archloss.storage.database import Database
    from archloss.storage.records import Curve, StudyRecord, TrialRecord

_MOST_CURVES = 300
_VALIDATION = "validation_"
"""What the objective's metric is called without on the test split."""


@dataclass(frozen=True, kw_only=True)
class StudyTrials:
    """A study, its trials, and where the rest of what it measured is kept."""

    database: "Database"
    record: "StudyRecord"
    spec: Spec
    trials: "Sequence[TrialRecord]"


def gather_evidence(fitted: Fitted | None, study: StudyTrials) -> Evidence:
    """Return all evidence of a study; what cannot be had is left out, and said."""
    found = find_evidence(fitted)
    if fitted is None:
        return found
    ids = {trial.number: trial.trial_id for trial in study.trials}
    curves = _read_curves(fitted, study, ids)
    test, shift = _read_tests(fitted, study, ids)
    try:
        front, remarks = _find_front(fitted, study), found.remarks
    except ArchlossError as error:
        front = None
        remarks = (*found.remarks, f"The sizes of networks are not shown: {error}.")
    return replace(
        found,
        spread=find_spread(fitted, _find_replicates(fitted, curves)),
        selection=find_selection(fitted, test=test, shift=shift),
        front=front,
        curves=_make_curves(fitted, study, curves),
        remarks=remarks,
    )


def measure_data(spec: Spec, fingerprint: str) -> DataWidths:
    """Return the widths of a study's data, which are loaded for it: constant columns fall out.

    Raises ArchlossError where they cannot be, or are not what the study was launched with.
    """
    dataset = load_dataset(spec.dataset, spec.target)
    if dataset.fingerprint != fingerprint:
        raise ArchlossError(f"the data {spec.dataset!r} have changed since the study was launched")
    recipe = spec.make_recipe()
    splits = split_dataset(
        dataset,
        validation_fraction=recipe.validation_fraction,
        test_fraction=recipe.test_fraction,
        seed=recipe.seed,
    )
    return DataWidths(features=splits.x_train.shape[1], classes=len(splits.classes))


def _find_front(fitted: Fitted, study: StudyTrials) -> Front:
    widths = measure_data(study.spec, study.record.fingerprint)
    space, dimensions = SPACES[study.spec.space.name], study.spec.dimensions()
    numbers, values = _list_completed(fitted)
    records = {trial.number: trial for trial in study.trials}
    designs = [to_design(space, dimensions, records[number].params) for number in numbers]
    sizes = [space.find_size(design, widths) for design in designs]
    on_parameters = find_front([size.parameters for size in sizes], values)
    on_flops = find_front([size.flops for size in sizes], values)
    return Front(
        widths=widths,
        trials=tuple(
            SizedTrial(
                number=number,
                depth=design.depth,
                width=design.width,
                residual=design.residual,
                value=value,
                size=size,
                on_parameters=bool(on_parameters[index]),
                on_flops=bool(on_flops[index]),
            )
            for index, (number, value, design, size) in enumerate(
                zip(numbers, values, designs, sizes, strict=True)
            )
        ),
    )


def _list_completed(fitted: Fitted) -> tuple[list[int], list[float]]:
    """Return the numbers and objectives of what completed, in the order of the trials."""
    trials = fitted.trials
    completed = trials.find(Kind.COMPLETED)
    assert trials.numbers is not None
    return trials.numbers[completed].tolist(), trials.values[completed].tolist()


def _choose_trials(fitted: Fitted) -> list[int]:
    """Return the indices of some hundred completed trials, evenly from each level, and the best."""
    trials, by = fitted.trials, fitted.trials.roles.by
    completed = np.flatnonzero(trials.find(Kind.COMPLETED))
    levels = np.zeros(len(completed)) if by is None else trials.points[completed, by]
    each = _MOST_CURVES // len(np.unique(levels))
    chosen = {find_best(fitted)}
    for level in np.unique(levels):
        inside = completed[levels == level]
        chosen |= {int(inside[place]) for place in choose_evenly(len(inside), each)}
    return sorted(chosen)


def _read_curves(
    fitted: Fitted, study: StudyTrials, ids: Mapping[int, int]
) -> "dict[int, tuple[Curve, ...]]":
    """Return the curves of the objective of some trials, by their index; whole ones alone."""
    numbers = fitted.trials.numbers
    assert numbers is not None
    chosen = {index: ids[int(numbers[index])] for index in _choose_trials(fitted)}
    read = study.database.read_metric(
        study.record.study_id, list(chosen.values()), study.spec.objective
    )
    whole = {
        trial_id: tuple(
            curve
            for curve in curves
            if curve.first_epoch == 1
            and len(curve.values) == study.spec.recipe.epochs
            and np.isfinite(curve.values).all()
        )
        for trial_id, curves in read.items()
    }
    return {index: whole[trial_id] for index, trial_id in chosen.items() if whole.get(trial_id)}


def _find_replicates(fitted: Fitted, curves: "Mapping[int, tuple[Curve, ...]]") -> list[Replicates]:
    return [
        Replicates(
            point=fitted.trials.points[index],
            values=np.array([curve.values[-1] for curve in replicates]),
        )
        for index, replicates in curves.items()
    ]


def _make_curves(
    fitted: Fitted, study: StudyTrials, curves: "Mapping[int, tuple[Curve, ...]]"
) -> LearningCurves | None:
    """Return the bands of each level and the best trial's curve, each a mean over replicates."""
    trials, by = fitted.trials, fitted.trials.roles.by
    if not curves or study.spec.recipe.epochs < 2:
        return None
    means = {
        index: np.mean([curve.values for curve in replicates], axis=0)
        for index, replicates in curves.items()
    }
    places = {index: 0.0 if by is None else float(trials.points[index, by]) for index in means}
    axis = None if by is None else trials.axes[by]
    bands = []
    for place in sorted(set(places.values())):
        inside: Array = np.stack([means[index] for index in means if places[index] == place])
        level = axis.levels[int(place)] if isinstance(axis, Category) else None
        bands.append(make_band(level, inside))
    best = find_best(fitted)
    assert trials.numbers is not None
    return LearningCurves(
        metric=study.spec.objective,
        bands=tuple(bands),
        best_number=int(trials.numbers[best]),
        best=means.get(best, np.zeros(0)),
    )


def _read_tests(
    fitted: Fitted, study: StudyTrials, ids: Mapping[int, int]
) -> tuple[float | None, float | None]:
    """Return the best trial's objective on the test split, and how far tests are above, mostly."""
    trials = fitted.trials
    assert trials.numbers is not None
    metric = study.spec.objective.removeprefix(_VALIDATION)
    best = find_best(fitted)
    chosen = {index: ids[int(trials.numbers[index])] for index in _choose_trials(fitted)}
    read = study.database.read_tests(study.record.study_id, list(chosen.values()), metric)
    tests = {
        index: fmean(read[trial_id].values())
        for index, trial_id in chosen.items()
        if len(read.get(trial_id, {})) == study.spec.recipe.replicates
    }
    gaps = [value - float(trials.values[index]) for index, value in tests.items() if index != best]
    finite = [gap for gap in gaps if np.isfinite(gap)]
    return tests.get(best), median(finite) if finite else None
