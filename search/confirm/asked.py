"""What a person asks of an experiment, and whether a plan that is stored already is that."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from archloss.search.analysis.answer import spread_places
from archloss.search.analysis.axes import Numeric
from archloss.search.analysis.study import make_axis
from archloss.search.confirm.proposal import ConfirmError
from archloss.search.report.answer.measure import make_study_measure
from archloss.search.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options that decide a plan; None where one was not given."""

    context: str | None = None
    choice: str | None = None
    by: str | None = None
    bound: float | None = None
    contexts: int | None = None
    choices: int | None = None
    replicates: int | None = None
    power: float | None = None


def check_same(spec: Spec, asked: Asked) -> None:
    """Raise ConfirmError if the plan that is stored is another one than is asked for."""
    plan = spec.plan
    assert plan is not None
    stored: Mapping[str, object] = {
        "context": plan.context,
        "choice": plan.choice,
        "by": plan.by,
        "bound": plan.bound * make_study_measure(spec.objective).factor,
        "contexts": _as_stored(spec, plan.context, plan.contexts, asked.contexts),
        "choices": _count_choices(spec, asked.choices),
        "replicates": plan.replicates,
        "power": plan.power,
    }
    lines = [
        f"  --{name}: {value!r} in the plan, {getattr(asked, name)!r} now"
        for name, value in stored.items()
        if getattr(asked, name) is not None and not _is_same(value, getattr(asked, name))
    ]
    if lines:
        raise ConfirmError(
            "\n".join(
                [
                    f"the plan of experiment {spec.name!r} is stored, and does not change:",
                    *lines,
                    "Leave these options out, or plan another experiment with --name",
                ]
            )
        )


def _as_stored(spec: Spec, name: str, values: tuple[float, ...], count: int | None) -> int:
    """Return the count itself if so many values of an axis are those of the plan.

    Of whole numbers there may be fewer than were asked for.
    """
    axis = make_axis(name, spec.dimensions()[name])
    if count is None or not isinstance(axis, Numeric) or not axis.whole:
        return len(values)
    low, high = axis.encode(np.array([values[0], values[-1]], dtype=np.float64))
    again = axis.decode(spread_places(axis, float(low), float(high), count=count))
    return count if again.tolist() == list(values) else len(values)


def _count_choices(spec: Spec, count: int | None) -> int:
    """Return the count itself where the plan may have come of it.

    Of whole numbers, and of the values of a grid, there may be fewer than were asked for.
    """
    plan = spec.plan
    assert plan is not None
    axis = make_axis(plan.choice, spec.dimensions()[plan.choice])
    few = isinstance(axis, Numeric) and (axis.whole or axis.steps)
    return count if few and count is not None and len(plan.choices) < count else len(plan.choices)


def _is_same(stored: object, asked: object) -> bool:
    if isinstance(stored, float) and isinstance(asked, float | int):
        return bool(np.isclose(stored, asked, rtol=1e-9, atol=0.0))
    return stored == asked
