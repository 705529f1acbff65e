"""From a complete experiment to what its report shows."""

import shlex

from archloss.search.analysis.confirmation import confirm
from archloss.search.analysis.experiment import Experiment
from archloss.search.analysis.interaction import find_smallest_p
from archloss.search.analysis.study import DEFAULT_BY, Question
from archloss.search.confirm import make_command
from archloss.search.confirm.proposal import Size
from archloss.search.report.answer.asking import say_now
from archloss.search.report.answer.findings import Findings, Source
from archloss.search.report.answer.measure import (
    DEFAULT_DIFFERENCE,
    DEFAULT_POINTS,
    make_study_measure,
)
from archloss.search.spec import Spec


def make_findings(spec: Spec, experiment: Experiment) -> Findings:
    """Return what the experiment says; raise AnalysisError where that is nothing."""
    plan = spec.plan
    assert plan is not None
    confirmation = confirm(experiment)
    return Findings(
        answer=confirmation.answer,
        trials=confirmation.trials,
        measure=make_study_measure(spec.objective),
        source=Source(
            kind="experiment",
            name=spec.name,
            data=spec.dataset,
            digest=spec.digest(),
            command=make_command(plan.confirms, spec.name),
            made_at=say_now(),
            seed=spec.recipe.seed,
            notes=(
                f"An experiment of {len(plan.designs)} designs, each trained {plan.replicates} "
                f"times: planned from the study {plan.confirms!r}, stored before its first "
                "training, and analysed once. All designs of a replicate share its split, initial "
                "weights and order of the data.",
                "What was tuned for each cell, such as the learning rate, is as the study left it: "
                "where that was far from the best, cells look worse than they could be.",
            ),
            another=make_another(spec),
        ),
        experiment=experiment,
        p_values=confirmation.p_values,
        smallest_p=find_smallest_p(plan.replicates),
    )


def make_another(spec: Spec) -> str:
    """Return the command that plans an experiment like this one, but for its name and replicates.

    Options that have their usual values are left out.
    """
    plan = spec.plan
    assert plan is not None
    measure = make_study_measure(spec.objective)
    bound = plan.bound * measure.factor
    contexts, choices = plan.asked or (len(plan.contexts), len(plan.choices))
    usual = Question()
    options: list[tuple[str, object, object]] = [
        ("context", plan.context, usual.context),
        ("choice", plan.choice, usual.choice),
        ("by", plan.by or DEFAULT_BY, DEFAULT_BY),
        (
            "bound",
            f"{bound:g}",
            f"{DEFAULT_POINTS if measure.is_error_rate else DEFAULT_DIFFERENCE:g}",
        ),
        ("contexts", contexts, Size.contexts),
        ("choices", choices, Size.choices),
    ]
    words = ["archloss", "confirm", plan.confirms]
    for name, value, default in options:
        words += [] if value == default else [f"--{name}", str(value)]
    return shlex.join(words)
