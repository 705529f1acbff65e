"""The cells of an experiment as tables: what their trainings reached on average."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.sentences import name_level
from archloss.spaces.dimensions import Value


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


def make_cell_tables(findings: Findings) -> tuple[CellTable, ...]:
    """Return a table for each level of an experiment, and none of other trials.

    A network that diverged counts with what guessing reaches.
    """
    experiment = findings.experiment
    if experiment is None:
        return ()
    counts = experiment.diverged.sum(axis=3)
    return tuple(
        _make_table(findings, level, means, diverged)
        for level, means, diverged in zip(experiment.levels, experiment.means, counts, strict=True)
    )


def _make_table(
    findings: Findings, level: Value | None, means: Array, diverged: npt.NDArray[np.int64]
) -> CellTable:
    def write(mean: float, count: int) -> tuple[str, str]:
        return findings.measure.format_value(mean), f"{count} diverged" if count else ""

    return CellTable(
        name=name_level(findings, level),
        choices=tuple(findings.format_choice(choice) for choice in findings.choice_axis.steps),
        rows=tuple(
            CellRow(
                context=findings.format_context(context),
                cells=tuple(map(write, here, counts)),
            )
            for context, here, counts in zip(
                findings.context_axis.steps, means.tolist(), diverged.tolist(), strict=True
            )
        ),
    )
