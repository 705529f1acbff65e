"""From a complete experiment to what its report shows."""

from archloss.search.analysis.confirmation import confirm
from archloss.search.analysis.experiment import Experiment
from archloss.search.analysis.interaction import find_smallest_p
from archloss.search.confirm import make_command
from archloss.search.report.answer.asking import say_now
from archloss.search.report.answer.findings import Findings, Source
from archloss.search.report.answer.measure import make_study_measure
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
        ),
        experiment=experiment,
        p_values=confirmation.p_values,
        smallest_p=find_smallest_p(plan.replicates),
    )
