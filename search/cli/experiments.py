"""How an experiment is shown: its design before, its counts meanwhile, its cells afterwards."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from archloss.search.report.answer.measure import make_study_measure
from archloss.search.report.wording import format_objective, format_setting
from archloss.spaces.dimensions import Value, is_fixed

if TYPE_CHECKING:
    from archloss.search.analysis.experiment import Experiment
    from archloss.search.spec import PlanSpec, Spec


def print_plan(console: Console, spec: "Spec") -> None:
    """Print the design: its cells with their tuned values, what is fixed, and the trainings."""
    plan = spec.plan
    assert plan is not None
    console.print(
        f"[bold]Experiment {spec.name!r}: does the best {plan.choice} depend on {plan.context}, "
        f"as study {plan.confirms!r} suggests?[/bold]",
        highlight=False,
        soft_wrap=True,
    )
    levels: tuple[Value | None, ...] = plan.levels or (None,)
    size = len(plan.designs) // len(levels)
    for index, level in enumerate(levels):
        console.print()
        if level is not None:
            console.print(f"{plan.by} {format_setting(level)}:", highlight=False)
        console.print(_make_plan_table(spec, plan.designs[index * size : (index + 1) * size]))
    console.print()
    for line in describe_plan(spec):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _make_plan_table(spec: "Spec", designs: "Sequence[Mapping[str, Value]]") -> Table:
    """Return a row per context and a column per choice; a cell holds its tuned values."""
    plan = spec.plan
    assert plan is not None
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column(plan.context, justify="right")
    for value in plan.choices:
        table.add_column(format_setting(value), justify="right")
    tuned = _list_tuned(spec)
    for row, context in enumerate(plan.contexts):
        cells = designs[row * len(plan.choices) : (row + 1) * len(plan.choices)]
        settings = ["\n".join(format_setting(cell[name]) for name in tuned) for cell in cells]
        table.add_row(format_setting(context), *settings)
    return table


def _list_tuned(spec: "Spec") -> list[str]:
    """Return the dimensions whose values each cell has its own of."""
    plan = spec.plan
    assert plan is not None
    asked = (plan.context, plan.choice, plan.by)
    return [
        name
        for name, dimension in spec.dimensions().items()
        if not is_fixed(dimension) and name not in asked
    ]


def describe_plan(spec: "Spec") -> list[str]:
    """Return what is trained, how it is paired, and what is fixed, a sentence each."""
    plan = spec.plan
    assert plan is not None
    tuned = _list_tuned(spec)
    layout = f"A row for each {plan.context}, a column for each {plan.choice}; "
    each = f"{layout}each cell has its tuned {', '.join(tuned)}." if tuned else "Nothing is tuned."
    recipe = spec.recipe
    fixed = ", ".join(
        f"{name} {format_setting(plan.designs[0][name])}"
        for name, dimension in spec.dimensions().items()
        if is_fixed(dimension)
    )
    measure = make_study_measure(spec.objective)
    return [
        each,
        f"Fixed: {fixed}; {recipe.epochs} epochs, batches of {recipe.batch_size}.",
        f"{len(plan.designs)} designs x {plan.replicates} replicates = {plan.trials} trainings. "
        "All designs of a replicate share its split, initial weights and order of the data.",
        f"The smallest cost that matters is {measure.format_bound(plan.bound)}. "
        f"{_describe_replicates(plan)}",
    ]


def _describe_replicates(plan: "PlanSpec") -> str:
    from archloss.search.analysis.power import MOST_REPLICATES
    from archloss.search.confirm.enough import find_enough, find_powers
    from archloss.search.report.answer.sentences import place_level, round_up
    from archloss.search.spec_plan import limit_replicates

    if not plan.deviations:
        return f"{plan.replicates} replicates, as asked for."
    powers = find_powers(plan, plan.replicates)
    levels = plan.levels or (None,)
    shares = " and ".join(
        f"{100 * power:.0f}% {place_level(plan.by, level)}".rstrip()
        for power, level in zip(powers, levels, strict=True)
    )
    reached = f"the chance to find an interaction at twice that cost is about {shares}"
    if plan.power is None:
        return f"With {plan.replicates} replicates, as asked for, {reached}."
    if min(powers) >= plan.power:
        return f"With {plan.replicates} replicates {reached}."
    most = ", the most that a plan takes by itself," if plan.replicates == MOST_REPLICATES else ""
    enough = find_enough(plan, plan.power)
    way = (
        "no plan may have enough replicates for that"
        if enough is None
        else f"--replicates {min(round_up(enough), limit_replicates(len(plan.designs)))} would do"
    )
    return (
        f"With {plan.replicates} replicates{most} {reached}; {100 * plan.power:.0f}% were asked "
        f"for: {way}."
    )


def print_cells(console: Console, experiment: "Experiment", objective: str) -> None:
    """Print each cell's mean over the replicates, by context and choice, for each level."""
    measure = make_study_measure(objective)
    console.print(
        f"Mean {measure.label} of {experiment.replicates} trainings, by {experiment.context} and "
        f"{experiment.choice}:",
        highlight=False,
        soft_wrap=True,
    )
    for index, level in enumerate(experiment.levels):
        console.print()
        if level is not None:
            console.print(f"{experiment.by} {format_setting(level)}:", highlight=False)
        console.print(_make_cell_table(experiment, index, objective))


def _make_cell_table(experiment: "Experiment", level: int, objective: str) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column(experiment.context, justify="right")
    for choice in experiment.choices:
        table.add_column(format_setting(choice), justify="right")
    diverged = experiment.diverged[level].sum(axis=-1)
    for row, context in enumerate(experiment.contexts):
        cells = [
            format_objective(float(mean), objective) + (f"\n{count} diverged" if count else "")
            for mean, count in zip(experiment.means[level, row], diverged[row], strict=True)
        ]
        table.add_row(format_setting(context), *cells)
    return table


def experiment_to_json(experiment: "Experiment") -> dict[str, object]:
    """Return the cells as plain values: means `[L, D, M]`, and how many diverged in each."""
    return {
        "levels": list(experiment.levels),
        "contexts": list(experiment.contexts),
        "choices": list(experiment.choices),
        "replicates": experiment.replicates,
        "means": experiment.means.tolist(),
        "diverged": experiment.diverged.sum(axis=3).tolist(),
    }
