"""How an experiment is shown: its design before, its counts meanwhile, its cells afterwards."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from archloss.search.cli.blocks import MOST_BLOCKS, Column, count_blocks, print_blocks
from archloss.search.confirm import make_command
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
    tables = [
        _list_plan_columns(spec, plan.designs[index * size : (index + 1) * size])
        for index in range(len(levels))
    ]
    _print_tables(
        console,
        [_name_level(plan.by, level) for level in levels],
        tables,
        where=f"once the plan is stored, `{make_command(plan.confirms, spec.name)} --show --json` "
        "has them",
    )
    console.print()
    for line in describe_plan(spec):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_tables(
    console: Console, names: Sequence[str], tables: Sequence[list[Column]], *, where: str
) -> None:
    """Print a table for each level, under its name if it has one; or say where all cells are."""
    if any(count_blocks(console, columns[0], columns[1:]) > MOST_BLOCKS for columns in tables):
        count = sum((len(columns) - 1) * (len(columns[0]) - 1) for columns in tables)
        console.print(
            f"\nThe {count:,} cells are too many to be shown here: {where}.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return
    for name, columns in zip(names, tables, strict=True):
        console.print(f"\n{name}:" if name else "", markup=False, highlight=False)
        print_blocks(console, columns[0], columns[1:])


def _name_level(by: str | None, level: Value | None) -> str:
    return "" if level is None else f"{by} {format_setting(level)}"


def _list_plan_columns(spec: "Spec", designs: "Sequence[Mapping[str, Value]]") -> list[Column]:
    """Return a column for the contexts and one for each choice; a cell holds its tuned values."""
    plan = spec.plan
    assert plan is not None
    tuned = _list_tuned(spec)
    cells = ["\n".join(format_setting(design[name]) for name in tuned) for design in designs]
    return [
        [plan.context, *map(format_setting, plan.contexts)],
        *(
            [format_setting(choice), *cells[place :: len(plan.choices)]]
            for place, choice in enumerate(plan.choices)
        ),
    ]


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
    _print_tables(
        console,
        [_name_level(experiment.by, level) for level in experiment.levels],
        [
            _list_cell_columns(experiment, index, objective)
            for index in range(len(experiment.levels))
        ],
        where="report.html and report.md have them",
    )


def _list_cell_columns(experiment: "Experiment", level: int, objective: str) -> list[Column]:
    """Return a column for the contexts and one for each choice; a cell holds its mean."""
    diverged = experiment.diverged[level].sum(axis=-1)
    return [
        [experiment.context, *map(format_setting, experiment.contexts)],
        *(
            [
                format_setting(choice),
                *(
                    format_objective(float(mean), objective)
                    + (f"\n{count} diverged" if count else "")
                    for mean, count in zip(means, counts, strict=True)
                ),
            ]
            for choice, means, counts in zip(
                experiment.choices, experiment.means[level].T, diverged.T, strict=True
            )
        ),
    ]


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
