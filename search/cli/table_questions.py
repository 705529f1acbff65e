"""Puts the question of `archloss report` to a table; apart from studies, which need no pandas."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from archloss.search.analysis.answer import AnalysisError, answer
from archloss.search.analysis.evidence import find_evidence
from archloss.search.analysis.example import (
    EXAMPLE_AXES,
    EXAMPLE_DATA,
    EXAMPLE_ERROR,
    EXAMPLE_FILE,
    EXAMPLE_LOG,
)
from archloss.search.analysis.tables import Columns, read_table
from archloss.search.cli.questions import make_command, make_question
from archloss.search.report import REPORT_FOLDER
from archloss.search.report.answer.asking import say_now
from archloss.search.report.answer.findings import Findings, Source
from archloss.search.report.answer.measure import DEFAULT_POINTS, Measure, make_study_measure
from archloss.search.report.wording import OBJECTIVE_LABELS

if TYPE_CHECKING:
    from archloss.search.analysis.trials import Trials
    from archloss.search.cli.reporting import ReportOptions

_ERROR = "value"
_EXAMPLE = "the example"


def ask_table(options: "ReportOptions") -> tuple[Findings, Path]:
    """Return what a table's trials say, and where its report belongs."""
    path = EXAMPLE_FILE if options.example else options.trials
    assert path is not None
    columns = _choose_columns(options)
    trials = read_table(path, columns)
    measure, notes = _choose_measure(options, columns.error, trials)
    if options.bound is None and not measure.is_error_rate:
        raise AnalysisError(
            f"--bound must say which difference of {measure.label!r} matters, because it is no "
            "error rate: give it in the column's own units, or say --unit percent or fraction"
        )
    found = answer(trials, bound=(options.bound or DEFAULT_POINTS) / measure.factor)
    findings = Findings(
        answer=found,
        evidence=find_evidence(found.fitted),
        trials=trials,
        measure=measure,
        source=Source(
            kind="table",
            name=_EXAMPLE if options.example else path.name,
            data=EXAMPLE_DATA if options.example else str(path),
            digest=hashlib.sha256(path.read_bytes()).hexdigest(),
            command=make_command(options),
            made_at=say_now(),
            notes=notes,
        ),
    )
    return findings, Path(f"{path.stem}-{REPORT_FOLDER}")


def _choose_columns(options: "ReportOptions") -> Columns:
    question = make_question(options)
    if options.example:
        asked = (question.context, question.choice, question.by)
        tuned = tuple(axis for axis in EXAMPLE_AXES if axis not in asked)
        return Columns(question=question, error=EXAMPLE_ERROR, tuned=tuned, log=EXAMPLE_LOG)
    return Columns(
        question=question,
        error=options.error or _ERROR,
        tuned=tuple(options.tuned) or None,
        state=options.state or "state",
        log=tuple(options.log),
    )


def _choose_measure(
    options: "ReportOptions", column: str, trials: "Trials"
) -> tuple[Measure, tuple[str, ...]]:
    """Return how the table's objective is said, and a note where that was a guess."""
    if column in OBJECTIVE_LABELS and options.unit is None:
        return make_study_measure(column), ()
    label = OBJECTIVE_LABELS.get(column, column)
    if options.unit is not None:
        return Measure(label=label, unit=options.unit), ()
    values = trials.values[trials.values == trials.values]
    if len(values) and (values.min() < 0 or values.max() > 1):
        return Measure(label=label, unit="number"), ()
    return Measure(label=label, unit="fraction"), (
        f"The column {column!r} lies between 0 and 1, and was taken for a share of errors; "
        "--unit number says that it is none.",
    )
