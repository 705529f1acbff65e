"""A study's trials as the analysis reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archloss.search.analysis.axes import Array, Axis, Category, Numeric
from archloss.search.analysis.basis import Roles
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.trials import Kind, Trials, merge_designs
from archloss.search.distributions import to_asked
from archloss.search.report.points import Ending, find_ending
from archloss.search.spec import Spec
from archloss.spaces.dimensions import Choice, Dimension, Integer, Value, is_fixed

if TYPE_CHECKING:
    from archloss.storage.records import TrialRecord

_KINDS: Mapping[Ending, Kind] = {
    "completed": Kind.COMPLETED,
    "diverged": Kind.DIVERGED,
    "pruned": Kind.PRUNED,
}
DEFAULT_BY = "residual"
_FEWEST_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whose best value (`choice`) may depend on what (`context`), for each level of `by` apart.

    Without `by`: apart for residual and plain networks, if the study has both.
    """

    context: str = "depth"
    choice: str = "ce_weight"
    by: str | None = None


def make_trials(spec: Spec, records: "Sequence[TrialRecord]", question: Question) -> Trials:
    """Return the finished trials of a study; raise AnalysisError if it did not search the axes.

    Their points are what was asked for: where a dimension does not matter, trials are all over it,
    and tell that. At its `otherwise` alone, which may lie outside of its range, they would leave
    open what is elsewhere. Where only some replicates of a trial diverged it went to the end: its
    value is the mean of all, in which those count with what guessing reaches. A design that was
    trained again, with the same seeds, is one trial.
    """
    dimensions = spec.dimensions()
    searched = {
        name: dimension for name, dimension in dimensions.items() if not is_fixed(dimension)
    }
    axes = tuple(make_axis(name, dimension) for name, dimension in searched.items())
    roles = find_roles(axes, question)
    finished = [(trial, _KINDS.get(find_ending(trial))) for trial in records]
    used = [(trial, kind) for trial, kind in finished if kind is not None]
    asked = [to_asked(dimensions, trial.params) for trial, _ in used]
    rungs = spec.search.list_rungs(spec.recipe.epochs)[:-1] if spec.search.pruner != "none" else ()
    kinds = np.array([kind.value for _, kind in used], dtype=np.int64)
    values = np.array([np.nan if trial.value is None else trial.value for trial, _ in used])
    diverged = kinds == Kind.DIVERGED.value
    penalty = float(values[diverged].max()) if diverged.any() else float("nan")
    if spec.recipe.replicates > 1:
        kinds[diverged & (values < penalty)] = Kind.COMPLETED.value
    return merge_designs(
        Trials(
            axes=axes,
            roles=roles,
            points=_encode(axes, asked),
            kinds=kinds,
            values=np.where(kinds == Kind.COMPLETED.value, values, np.nan),
            early=np.array(
                [[trial.intermediate.get(rung, np.nan) for rung in rungs] for trial, _ in used]
            ).reshape(len(used), len(rungs)),
            rungs=tuple(rungs),
            penalty=penalty,
            sampler=spec.search.sampler,
            numbers=np.array([trial.number for trial, _ in used], dtype=np.int64),
        )
    )


def find_roles(axes: Sequence[Axis], question: Question) -> Roles:
    """Return the indices of the axes that the question names.

    Raises AnalysisError where there is none of that name, or it is of the wrong sort.
    """
    names = [axis.name for axis in axes]

    def find(role: str, name: str, kind: type[Numeric] | type[Category]) -> int:
        numbers = [axis.name for axis in axes if isinstance(axis, kind)]
        if name not in numbers:
            sort = "a range of numbers" if kind is Numeric else "a choice of values"
            raise AnalysisError(
                f"--{role} must name {sort} that was searched, but got {name!r}: "
                f"there {'are' if numbers[1:] else 'is'} {', '.join(numbers) or 'none'}"
            )
        return names.index(name)

    context = find("context", question.context, Numeric)
    choice = find("choice", question.choice, Numeric)
    if context == choice:
        raise AnalysisError(
            f"--context and --choice must be two different axes, but both are {question.choice!r}"
        )
    by = question.by
    if by is None:
        residual = DEFAULT_BY in names and isinstance(axes[names.index(DEFAULT_BY)], Category)
        return Roles(
            context=context, choice=choice, by=names.index(DEFAULT_BY) if residual else None
        )
    return Roles(context=context, choice=choice, by=find("by", by, Category))


def make_axis(name: str, dimension: Dimension) -> Axis:
    """Return a searched dimension as an axis of the analysis."""
    if isinstance(dimension, Choice):
        return _make_steps(name, dimension) or Category(name=name, levels=dimension.values)
    return Numeric(
        name=name,
        low=dimension.low,
        high=dimension.high,
        log=dimension.log,
        whole=isinstance(dimension, Integer),
    )


def _make_steps(name: str, choice: Choice) -> Numeric | None:
    """Return the axis of a choice between several numbers; None if it is none."""
    numbers = [value for value in choice.values if isinstance(value, int | float)]
    if (
        len(numbers) < max(_FEWEST_STEPS, len(choice.values))
        or len(set(numbers)) < len(numbers)
        or any(isinstance(number, bool) for number in numbers)
    ):
        return None
    steps = tuple(sorted(float(number) for number in numbers))
    whole = all(step == round(step) for step in steps)
    return Numeric(name=name, low=steps[0], high=steps[-1], whole=whole, steps=steps)


def _encode(axes: Sequence[Axis], asked: Sequence[Mapping[str, Value]]) -> Array:
    columns = [
        axis.encode(np.array([one[axis.name] for one in asked], dtype=float))
        if isinstance(axis, Numeric)
        else axis.encode([one[axis.name] for one in asked])
        for axis in axes
    ]
    return np.stack(columns, axis=1) if asked else np.zeros((0, len(axes)))
