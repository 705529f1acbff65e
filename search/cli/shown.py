"""The summary of a study as a person reads it on a terminal."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from archloss.search.confirm import make_command
from archloss.search.report.points import Ending, Point
from archloss.search.report.summary import CAVEAT, Cell, Summary
from archloss.search.report.wording import (
    OBJECTIVE_LABELS,
    format_objective,
    format_setting,
)

_COUNTED: tuple[Ending, ...] = (
    "completed",
    "pruned",
    "diverged",
    "failed",
    "lost",
    "infeasible",
    "running",
    "waiting",
)


def print_summary(console: Console, summary: Summary) -> None:
    """Print the counts, the best trial and the best `ce_weight` seen by depth."""
    console.print(describe_counts(summary), markup=False, highlight=False, soft_wrap=True)
    if summary.confirms is not None:
        console.print(describe_experiment(summary), markup=False, highlight=False, soft_wrap=True)
        return
    if summary.best is None:
        console.print(_explain_no_best(summary), highlight=False, soft_wrap=True)
    else:
        print_best(console, summary.best, summary.objective)
    if summary.cells:
        console.print()
        label = OBJECTIVE_LABELS[summary.objective]
        console.print(f"Best ce_weight seen by depth ({label}):", highlight=False)
        console.print(make_cell_table(summary.cells, summary.objective))
        console.print(CAVEAT, highlight=False, style="dim")
        console.print(f"What the trials say of that: archloss report {summary.study}")


def describe_counts(summary: Summary) -> str:
    """Return how many trials ended how, as one sentence."""
    budget = "" if summary.budget is None else f" of {summary.budget}"
    parts = [f"{summary.counts[name]} {name}" for name in _COUNTED if summary.counts.get(name)]
    told = f" ({', '.join(parts)})" if parts else ""
    return f"Study {summary.study!r} on {summary.dataset}: {summary.finished}{budget} trials{told}."


def describe_experiment(summary: Summary) -> str:
    """Return what an experiment is for, and the way to its results, which are not shown before."""
    assert summary.confirms is not None
    command = make_command(summary.confirms, summary.study)
    if summary.budget is not None and summary.finished >= summary.budget:
        return f"It confirms {summary.confirms!r}: `{command}` shows what came of it."
    return (
        f"It confirms {summary.confirms!r}. The analysis comes once, when all {summary.budget} "
        "trainings are done: a look at part of them would make its error rates false. "
        f"`{command}` goes on with it."
    )


def _explain_no_best(summary: Summary) -> str:
    if summary.counts.get("diverged"):
        return "No trial to show as the best: those that were trained to the end all diverged."
    return "No trial was trained to the end yet."


def print_best(console: Console, best: Point, objective: str) -> None:
    """Print the best trial: number, objective, and its whole design."""
    console.print(
        f"[bold]Best: trial {best.number}, {OBJECTIVE_LABELS[objective]} "
        f"{format_objective(best.value, objective)}[/bold]",
        highlight=False,
    )
    design = ", ".join(
        f"{key} {format_setting(value)}" for key, value in asdict(best.design).items()
    )
    console.print(f"  {design}", highlight=False)


def make_cell_table(cells: Sequence[Cell], objective: str) -> Table:
    """Return the table: a row per range of depths, a group of columns per kind of network.

    "5 of 9 (3 diverged)" is that 5 trials were trained to the end, and that 9 finished there:
    those that are neither completed nor diverged were pruned.
    """
    kinds = sorted({cell.residual for cell in cells})
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    table.add_column("\ndepth", justify="right")
    for residual in kinds:
        word = "residual" if residual else "plain"
        value = "error" if objective == "validation_error" else "value"
        for name in ("ce_weight", value, "completed"):
            table.add_column(f"{word}\n{name}", justify="right")
    by_place = {(cell.depths.low, cell.residual): cell for cell in cells}
    for low, depths in sorted({cell.depths.low: cell.depths for cell in cells}.items()):
        row = [str(depths)]
        for residual in kinds:
            row += _format_cell(by_place.get((low, residual)), objective)
        table.add_row(*row)
    return table


def _format_cell(cell: Cell | None, objective: str) -> tuple[str, str, str]:
    if cell is None:
        return "-", "-", "0"
    completed = cell.trials - cell.pruned - cell.diverged
    trials = str(completed) if completed == cell.trials else f"{completed} of {cell.trials}"
    if cell.diverged:
        trials += f" ({cell.diverged} diverged)"
    if cell.best is None:
        return "-", "-", trials
    return (
        f"{cell.best.design.ce_weight:.2f}",
        format_objective(cell.best.value, objective),
        trials,
    )
