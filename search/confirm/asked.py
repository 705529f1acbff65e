"""What a person asks of an experiment, and whether a plan that is stored already is that."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

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
    contexts, choices = plan.asked or (len(plan.contexts), len(plan.choices))
    stored: Mapping[str, object] = {
        "context": plan.context,
        "choice": plan.choice,
        "by": plan.by,
        "bound": plan.bound * make_study_measure(spec.objective).factor,
        "contexts": contexts,
        "choices": choices,
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


def _is_same(stored: object, asked: object) -> bool:
    if isinstance(stored, float) and isinstance(asked, float | int):
        return bool(np.isclose(stored, asked, rtol=1e-9, atol=0.0))
    return stored == asked
