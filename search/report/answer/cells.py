"""The cells of an experiment: what their trainings reached on average, as numbers and as tables.

L level of `by`, D context, M choice.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array
from archloss.search.analysis.trials import Kind
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.sentences import name_level


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Each cell's mean `[L, D, M]` over its trainings, and how many of these `diverged`."""

    means: Array
    diverged: npt.NDArray[np.int64]
    replicates: int


@dataclass(frozen=True, kw_only=True)
class CellRow:
    """A context and its cells, each a mean and a note on it, which may be empty."""

    context: str
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class CellTable:
    """The cells of a level of `by`: a column for each choice, all written out."""

    name: str
    choices: tuple[str, ...]
    rows: tuple[CellRow, ...]


def find_cells(findings: Findings) -> Cells | None:
    """Return the cells of an experiment, None of other trials.

    A network that diverged counts with what guessing reaches.
    """
    if findings.source.kind != "experiment":
        return None
    trials = findings.trials
    contexts, choices = findings.context_axis.steps, findings.choice_axis.steps
    # An experiment's trials are ordered by level, context and choice.
    shape = (len(findings.answer.levels), len(contexts), len(choices), -1)
    diverged = trials.find(Kind.DIVERGED)
    values = np.where(diverged, trials.penalty, trials.values).reshape(shape)
    return Cells(
        means=values.mean(axis=3),
        diverged=diverged.reshape(shape).sum(axis=3),
        replicates=values.shape[3],
    )


def make_cell_tables(findings: Findings) -> tuple[CellTable, ...]:
    """Return a table for each level of an experiment, and none of other trials."""
    cells = find_cells(findings)
    if cells is None:
        return ()
    return tuple(
        _make_table(findings, cells, index) for index in range(len(findings.answer.levels))
    )


def _make_table(findings: Findings, cells: Cells, index: int) -> CellTable:
    def write(row: int, column: int) -> tuple[str, str]:
        count = int(cells.diverged[index, row, column])
        mean = findings.measure.format_value(float(cells.means[index, row, column]))
        return mean, f"{count} diverged" if count else ""

    choices = findings.choice_axis.steps
    return CellTable(
        name=name_level(findings, findings.answer.levels[index].level),
        choices=tuple(findings.format_choice(choice) for choice in choices),
        rows=tuple(
            CellRow(
                context=findings.format_context(context),
                cells=tuple(write(row, column) for column in range(len(choices))),
            )
            for row, context in enumerate(findings.context_axis.steps)
        ),
    )
