"""From what `archloss confirm` is asked to a plan: the stored one, or one that a study suggests."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console

from archloss.search.analysis.study import Question, make_trials
from archloss.search.cli.confirming import ConfirmOptions, find_name
from archloss.search.cli.questions import check_bound
from archloss.search.cli.studies import Opened, open_study
from archloss.search.confirm import make_command
from archloss.search.confirm.asked import Asked, check_same
from archloss.search.confirm.estimate import describe_estimate, estimate_seconds
from archloss.search.confirm.planning import Wish, plan_experiment
from archloss.search.confirm.proposal import ConfirmError, Size, propose
from archloss.search.report.answer.measure import (
    DEFAULT_DIFFERENCE,
    DEFAULT_POINTS,
    make_study_measure,
)
from archloss.search.spec import override_spec
from archloss.storage.errors import StudyNotFoundError

if TYPE_CHECKING:
    from archloss.search.spec import Spec
    from archloss.search.spec_plan import PlanSpec


def read_plan(options: ConfirmOptions, workers: dict[str, Any]) -> "Spec | None":
    """Return the stored experiment's spec, with other `workers` laid over; None if there is none.

    Raises ConfirmError where it is not this experiment.
    """
    name = find_name(options)
    try:
        with open_study(name, storage=options.storage, folder=options.folder) as opened:
            spec = opened.spec
    except StudyNotFoundError:
        if options.show:
            raise ConfirmError(
                f"there is no experiment {name!r} yet: `{make_command(options.study, name)} "
                "--plan-only` plans one"
            ) from None
        return None
    if spec.plan is None or spec.plan.confirms != options.study:
        what = "is no experiment" if spec.plan is None else f"confirms {spec.plan.confirms!r}"
        raise ConfirmError(
            f"study {name!r} exists, and {what}: choose another name for the experiment that "
            f"confirms {options.study!r} with --name"
        )
    _check_origin(spec.plan, name, options)
    check_same(
        spec,
        Asked(
            context=options.context,
            choice=options.choice,
            by=options.by,
            bound=options.bound,
            contexts=options.contexts,
            choices=options.choices,
            replicates=options.replicates,
            power=options.power,
        ),
    )
    return override_spec(spec, workers)


def _check_origin(plan: "PlanSpec", name: str, options: ConfirmOptions) -> None:
    """Refuse, or only say where it is shown, that the study is not the one that was planned from.

    A study that is gone is no reason: the plan has all that the experiment needs.
    """
    try:
        with open_study(options.study, storage=options.storage, folder=options.folder) as opened:
            digest = opened.spec.digest()
    except StudyNotFoundError:
        return
    if digest == plan.confirms_digest:
        return
    reason = (
        f"experiment {name!r} was planned from an earlier study {options.study!r}, which differed "
        "from the one of that name now"
    )
    if not options.show:
        raise ConfirmError(
            f"{reason}: choose another name for the experiment that confirms this one with --name, "
            f"or remove the old one with `archloss delete {name}`"
        )
    Console(stderr=True).print(reason, markup=False, highlight=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An experiment's spec, its data's fingerprint, and what to know of the plan, in sentences."""

    spec: "Spec"
    fingerprint: str
    remarks: tuple[str, ...]


def propose_plan(options: ConfirmOptions, workers: dict[str, Any]) -> Planned:
    """Return the experiment that the study suggests.

    Raises AnalysisError or ConfirmError where it suggests none.
    """
    with open_study(options.study, storage=options.storage, folder=options.folder) as opened:
        _check_parent(opened)
        if opened.database.list_drivers(opened.record.study_id):
            Console(stderr=True).print(
                f"study {options.study!r} is still at work: the experiment is planned from its "
                "trials so far",
                highlight=False,
            )
        records = opened.read_trials()
    parent = opened.spec
    measure = make_study_measure(parent.objective)
    check_bound(options.bound, measure)
    default = DEFAULT_POINTS if measure.is_error_rate else DEFAULT_DIFFERENCE
    bound = (options.bound or default) / measure.factor
    question = Question(
        context=options.context or Question.context,
        choice=options.choice or Question.choice,
        by=options.by,
    )
    size = Size(
        contexts=options.contexts or Size.contexts,
        choices=options.choices or Size.choices,
        replicates=options.replicates,
        power=options.power or Size.power,
    )
    proposal = propose(
        make_trials(parent, records, question),
        parent.dimensions(),
        size=size,
        bound=bound,
        trainings=parent.recipe.replicates,
    )
    wish = Wish(
        name=find_name(options),
        bound=bound,
        replicates=options.replicates or proposal.replication.replicates,
        power=None if options.replicates else size.power,
        asked=(size.contexts, size.choices),
    )
    spec = override_spec(plan_experiment(parent, proposal, wish), workers)
    estimate = describe_estimate(estimate_seconds(parent, records, spec), spec.workers)
    return Planned(
        spec=spec,
        fingerprint=opened.record.fingerprint,
        remarks=(*proposal.notes, estimate),
    )


def _check_parent(opened: Opened) -> None:
    """Raise what speaks against confirming this study: that it is an experiment, or its data."""
    from archloss.spaces.data import load_dataset
    from archloss.spaces.errors import DataError

    spec, plan = opened.spec, opened.spec.plan
    if plan is not None:
        raise ConfirmError(
            f"study {spec.name!r} is itself an experiment, which confirms {plan.confirms!r}: "
            f"`{make_command(plan.confirms, spec.name)}` goes on with it"
        )
    fingerprint = load_dataset(spec.dataset, spec.target).fingerprint
    if fingerprint != opened.record.fingerprint:
        raise DataError(
            f"the data of study {spec.name!r} have changed: {spec.dataset!r} had the fingerprint "
            f"{opened.record.fingerprint}, and has {fingerprint} now. Bring the old data back to "
            "confirm what was found on them"
        )


def store_plan(options: ConfirmOptions, planned: Planned) -> None:
    """Store the experiment, before anything is trained; `minutes` are those of one launch."""
    from archloss.search.launch import store_study

    store_study(
        planned.spec.model_copy(update={"minutes": None}),
        fingerprint=planned.fingerprint,
        storage=options.storage,
        folder=options.folder,
    ).database.close()
