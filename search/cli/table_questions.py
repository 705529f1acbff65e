"""Puts the question of `archloss report` to a table; apart from studies, which need no pandas."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from archloss.search.analysis.answer import answer
from archloss.search.analysis.columns import Columns
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.evidence import find_evidence
from archloss.search.analysis.example import (
    EXAMPLE_AXES,
    EXAMPLE_DATA,
    EXAMPLE_ERROR,
    EXAMPLE_FILE,
    EXAMPLE_LOG,
)
from archloss.search.analysis.table_files import drop_copies, read_table
from archloss.search.analysis.tables import make_table_trials
from archloss.search.analysis.trials import Kind
from archloss.search.cli.questions import check_bound, find_folder, make_command, make_question
from archloss.search.cli.table_notes import TableRead, list_notes
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
    folder = find_folder(options, Path(f"{path.stem}-{REPORT_FOLDER}"))
    whole = read_table(path)
    table = drop_copies(whole)
    columns = _choose_columns(options, table)
    trials = make_table_trials(table, columns, name=str(path))
    measure = _choose_measure(options, columns, trials)
    read = TableRead(
        table=table,
        copies=len(whole) - len(table),
        columns=columns,
        trials=trials,
        measure=measure,
    )
    if options.bound is None and not measure.is_error_rate:
        raise AnalysisError(
            f"--bound must say which difference of {measure.label!r} matters, because it is no "
            f"error rate, from {np.nanmin(trials.values):.4g} to {np.nanmax(trials.values):.4g}: "
            "give it in the column's own units, or say --unit percent or fraction"
        )
    check_bound(options.bound, measure)
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
            notes=() if options.example else list_notes(options, read),
        ),
    )
    return findings, folder


def _choose_columns(options: "ReportOptions", table: pd.DataFrame) -> Columns:
    question = make_question(options)
    if options.example:
        asked = (question.context, question.choice, question.by)
        tuned = tuple(axis for axis in EXAMPLE_AXES if axis not in asked)
        return Columns(question=question, error=EXAMPLE_ERROR, tuned=tuned, log=EXAMPLE_LOG)
    return Columns(
        question=question,
        error=options.accuracy or options.error or _ERROR,
        whole=None if options.accuracy is None else _find_whole(options, table),
        penalty=options.penalty,
        tuned=tuple(options.tuned) or None,
        state=options.state,
        diverged=tuple(options.diverged),
        log=tuple(options.log),
        linear=tuple(options.linear),
    )


def _find_whole(options: "ReportOptions", table: pd.DataFrame) -> float:
    """Return what an accuracy is of networks that make no error: 1 or 100."""
    if options.unit is not None:
        return 1.0 if options.unit == "fraction" else 100.0
    column = options.accuracy
    numbers = column in table and pd.to_numeric(table[column], errors="coerce").max() > 1
    return 100.0 if numbers else 1.0


def _choose_measure(options: "ReportOptions", columns: Columns, trials: "Trials") -> Measure:
    """Return how the table's objective is said; raise AnalysisError where it cannot be that."""
    column = columns.error
    values = trials.values[trials.values == trials.values]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    if columns.whole is not None:
        measure = Measure(
            label=f"error ({columns.whole:g} - {column})",
            unit="fraction" if columns.whole == 1 else "percent",
        )
    elif column in OBJECTIVE_LABELS and options.unit is None:
        measure = make_study_measure(column)
    else:
        fraction = options.unit is None and low >= 0 and high <= 1
        measure = Measure(
            label=OBJECTIVE_LABELS.get(column, column),
            unit=options.unit or ("fraction" if fraction else "number"),
        )
    whole = 100.0 / measure.factor
    if measure.is_error_rate and not 0 <= low <= high <= whole:
        given = (low, high) if columns.whole is None else (whole - high, whole - low)
        raise AnalysisError(
            f"column {column!r} must lie between 0 and {whole:g} where its unit is a "
            f"{measure.unit}, but reaches from {given[0]:.4g} to {given[1]:.4g}: name another "
            "column or --unit"
        )
    if measure.is_error_rate and trials.count(Kind.DIVERGED) and not 0 <= trials.penalty <= whole:
        source = "the table has" if options.penalty is None else "--penalty says"
        raise AnalysisError(
            f"a trial that diverged must count as a {column!r} between 0 and {whole:g} where its "
            f"unit is a {measure.unit}, but {source} {columns.turn(trials.penalty):.4g}: say with "
            "--penalty what it counts as, such as what guessing reaches, or name another --unit"
        )
    return measure
