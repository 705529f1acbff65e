"""What `archloss report` took for granted about a table, in sentences."""

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from archloss.search.analysis.axes import Numeric
from archloss.search.analysis.columns import Columns, list_unused, settle
from archloss.search.analysis.spread import are_the_same, find_repeated
from archloss.search.analysis.table_budgets import list_budgets
from archloss.search.analysis.table_names import says_less
from archloss.search.analysis.table_states import (
    ENDING,
    FAILED,
    LEFT_OUT,
    count_states,
    read_kinds,
)
from archloss.search.analysis.table_words import choose_names
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.report.answer.measure import Measure
from archloss.search.report.wording import OBJECTIVE_LABELS

if TYPE_CHECKING:
    from archloss.search.cli.reporting import ReportOptions

_PERCENT = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class TableRead:
    """A table without its `copies`, what its columns were said to be, and the trials in it."""

    table: pd.DataFrame
    copies: int
    columns: Columns
    trials: Trials
    measure: Measure


def list_notes(options: "ReportOptions", read: TableRead) -> tuple[str, ...]:
    """Return what was taken for granted about a table."""
    return (
        *_doubt_error(read),
        *_say_unit(options, read),
        *_say_scales(read),
        *_say_copies(read),
        *_say_ends(read),
        *_say_budgets(read),
        *_say_unused(read),
    )


def _doubt_error(read: TableRead) -> list[str]:
    """Say that what is called an error looks like an accuracy, where its name says neither."""
    column, values = read.columns.error, read.trials.values[read.trials.find(Kind.COMPLETED)]
    if read.columns.whole is not None or says_less(column):
        return []
    whole = 1 if values.max() <= 1 else _PERCENT
    if values.min() < 0 or values.max() > whole or np.median(values) <= whole / 2:
        return []
    return [
        f"{column!r} is taken for an error, of which less is better, though more than half of the "
        f"trials that completed have more than {whole / 2:g}. If it is an accuracy, this answer is "
        f"wrong: say --accuracy {shlex.quote(column)}."
    ]


def _say_unit(options: "ReportOptions", read: TableRead) -> list[str]:
    column, values = read.columns.error, read.trials.values[read.trials.find(Kind.COMPLETED)]
    guessed = options.unit is None and options.accuracy is None
    if not guessed or column in OBJECTIVE_LABELS or values.min() < 0 or values.max() > 1:
        return []
    return [
        f"The column {column!r} lies between 0 and 1, and was taken for a share of errors; "
        "--unit number says that it is none, and --accuracy that more is better."
    ]


def _say_scales(read: TableRead) -> list[str]:
    """Say in which columns equal ratios count as equally far; nothing where all are of a grid."""
    numbers = [axis for axis in read.trials.axes if isinstance(axis, Numeric)]
    ranges = [axis for axis in numbers if not axis.steps]
    if not ranges:
        return []
    parts = {
        "Taken as logarithmic": [axis.name for axis in ranges if axis.log],
        "Taken as they are": [axis.name for axis in ranges if not axis.log],
    }
    said = [f"{how}: {', '.join(names)}." for how, names in parts.items() if names]
    if grids := [axis.name for axis in numbers if axis.steps]:
        said.append(f"Taken as a grid, each value as far from the next: {', '.join(grids)}.")
    return [f"{' '.join(said)} --log and --linear say otherwise of what is no grid."]


def _say_copies(read: TableRead) -> list[str]:
    """Say which rows are copies, and which may be."""
    notes = []
    if count := read.copies:
        rows, were = ("row agrees", "was") if count == 1 else ("rows agree", "were")
        notes.append(
            f"{count} {rows} with another in every column and {were} left out as copies, which "
            "joined exports have where they overlap. Should they be trainings of their own, a "
            "column of their seeds keeps them."
        )
    if repeated := find_repeated(read.trials):
        trainings = sum(len(one.values) for one in repeated)
        share = (
            "here all of a design reached the same, and say nothing of how far a seed moves it."
            if are_the_same(repeated)
            else "what else is true of it, such as what was not named with --tuned, they share."
        )
        notes.append(
            f"{trainings:,} rows are of {len(repeated):,} designs that were trained more than "
            f"once. A design counts once, as the mean of its trainings: {share}"
        )
    return notes


def _say_ends(read: TableRead) -> list[str]:
    """Say how many trials diverged, and of how many the end is not known."""
    notes = []
    table, columns = settle(read.table, read.columns)
    states = count_states(table, columns.state, diverged=columns.diverged)
    if read.columns.state is None and columns.state == ENDING:
        notes.append(
            f"How trials ended is read from {ENDING!r}, archloss's own column; --state names "
            "another."
        )
    if diverged := read.trials.count(Kind.DIVERGED):
        said = states.get("diverged", 0)
        reasons = [
            *([f"{read.columns.error!r} has no finite number"] if diverged > said else []),
            *(["the table says so"] if said else []),
        ]
        notes.append(
            f"{diverged} {'trial counts' if diverged == 1 else 'trials count'} as diverged: "
            f"{', or '.join(reasons)}. {_say_penalty(read)}"
        )
    elif read.columns.penalty is not None:
        notes.append("No trial diverged, so that --penalty changes nothing.")
    if left_out := [word for word in LEFT_OUT if word in states]:
        counts = ", ".join(f"{states[word]} {word}" for word in left_out)
        notes.append(f"Rows left out, whose trials did not come to an end: {counts}.")
    if failed := [word for word in FAILED if word in left_out]:
        notes.append(
            "Where networks that diverged are among those that failed, as Optuna calls a trial "
            "whose value was not a number, this answer is of what survived: say --diverged "
            f"{failed[0]}, and --penalty."
        )
    return notes


def _say_budgets(read: TableRead) -> list[str]:
    """Say where trials that count as complete were trained for different times."""
    table, columns = settle(read.table, read.columns)
    kinds, kept = read_kinds(table, columns.state, "", diverged=columns.diverged)
    completed = table[kept & (kinds == Kind.COMPLETED.value)]
    return [
        f"{column!r} goes from {spent.min():g} to {spent.max():g} among trials that count as "
        "complete. If some were stopped early, what they reached is not what they would have: "
        "leave them out, or call them pruned in a column that --state names."
        for column, spent in list_budgets(completed, columns)
    ]


def _say_penalty(read: TableRead) -> str:
    """Say what each trial that diverged counts as, and why."""
    columns, penalty = read.columns, read.trials.penalty
    told = f"Each counts as {read.measure.format_value(penalty)}"
    if columns.whole is not None or read.measure.factor != 1:
        told += f" ({columns.error!r} of {columns.turn(penalty):.4g})"
    if columns.penalty is not None:
        return f"{told}, as --penalty says."
    worst = penalty == read.trials.values[read.trials.find(Kind.COMPLETED)].max()
    known = "any trial reached" if worst else "the table has of one that diverged"
    return (
        f"{told}, the worst that {known}: --penalty says what it should be, such as what guessing "
        "reaches."
    )


def _say_unused(read: TableRead) -> list[str]:
    unused = list_unused(read.table, read.columns)
    return (
        [f"Not used: {choose_names(unused)}. What was searched besides is named with --tuned."]
        if unused
        else []
    )
