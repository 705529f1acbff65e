"""Puts the question of `archloss report` to a study."""

import re
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.study import DEFAULT_BY, Question
from archloss.search.cli.studies import Opened, open_study
from archloss.search.confirm import make_command as confirm_command
from archloss.search.report import REPORT_FOLDER
from archloss.search.report.answer.asking import Asked, ask
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.measure import DEFAULT_POINTS, Measure, make_study_measure

if TYPE_CHECKING:
    from archloss.search.cli.reporting import ReportOptions

_ALL_POINTS = 100
_NO_FILE_NAME = re.compile(r"[^\w.-]+")
_MOST_LETTERS = 40
"""Of a column in the name of a folder, which file systems limit."""


def ask_study(options: "ReportOptions") -> tuple[Findings, Path]:
    """Return what a study's trials say, and where its report belongs."""
    assert options.study is not None
    asked = Asked(
        question=make_question(options),
        bound=options.bound,
        command=make_command(options),
        evidence=True,
    )
    with open_study(options.study, storage=options.storage, folder=options.folder) as opened:
        _refuse_experiment(opened)
        check_bound(options.bound, make_study_measure(opened.spec.objective))
        folder = find_folder(options, opened.folder / REPORT_FOLDER)
        findings = ask(opened.database, opened.record, asked)
    return findings, folder


def check_bound(bound: float | None, measure: Measure) -> None:
    """Raise AnalysisError where a bound in accuracy points is more than there are."""
    if bound is not None and measure.is_error_rate and bound >= _ALL_POINTS:
        raise AnalysisError(
            f"--bound must be below {_ALL_POINTS} accuracy points, which no difference of error "
            f"rates reaches, but got {bound:g}: without it {DEFAULT_POINTS:g} is taken"
        )


def find_folder(options: "ReportOptions", usual: Path) -> Path:
    """Return the folder that the report belongs in; raise AnalysisError if it cannot be written to.

    That is --output, or the usual one, whose name says so where the question is not the usual one.
    Nothing is left there: what is asked is asked before the analysis, which takes a while.
    """
    folder = options.output or usual.with_name(usual.name + name_question(make_question(options)))
    try:
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryDirectory(dir=nearest):
            return folder
    except OSError as error:
        raise AnalysisError(
            f"--output must be a folder that can be written to, but {str(folder)!r} cannot: "
            f"{error.strerror}. Choose another"
        ) from None


def name_question(question: Question) -> str:
    """Return what the name of a report's folder ends with; nothing for the usual question.

    >>> name_question(Question()), name_question(Question(choice="lr/2", by="optimizer"))
    ('', '-lr-2-depth-optimizer')
    """
    usual = Question()
    by = None if question.by == DEFAULT_BY else question.by
    if (question.context, question.choice, by) == (usual.context, usual.choice, usual.by):
        return ""
    names = [question.choice, question.context, *([] if by is None else [by])]
    return "".join(f"-{_NO_FILE_NAME.sub('-', name)[:_MOST_LETTERS]}" for name in names)


def make_command(options: "ReportOptions") -> str:
    """Return the command that makes the same report, without places, which may hold a password."""
    words = ["archloss", "report"]
    if options.study is not None:
        words += [options.study]
    else:
        words += ["--example"] if options.example else ["--trials", str(options.trials)]
    given: list[tuple[str, object]] = [
        ("context", None if options.context == "depth" else options.context),
        ("choice", None if options.choice == "ce_weight" else options.choice),
        ("by", options.by),
        ("bound", None if options.bound is None else f"{options.bound:g}"),
        ("error", options.error),
        ("accuracy", options.accuracy),
        ("unit", options.unit),
        ("penalty", None if options.penalty is None else f"{options.penalty:.15g}"),
        *(("tuned", name) for name in options.tuned),
        ("state", options.state),
        *(("diverged", word) for word in options.diverged),
        *(("log", name) for name in options.log),
        *(("linear", name) for name in options.linear),
    ]
    for name, value in given:
        words += [] if value is None else [f"--{name}", str(value)]
    return shlex.join(words)


def _refuse_experiment(opened: Opened) -> None:
    plan = opened.spec.plan
    if plan is not None:
        raise AnalysisError(
            f"study {opened.spec.name!r} is an experiment that confirms {plan.confirms!r}, with an "
            f"analysis of its own: `{confirm_command(plan.confirms, opened.spec.name)}` shows it"
        )


def make_question(options: "ReportOptions") -> Question:
    """Return the question that the options put."""
    return Question(context=options.context, choice=options.choice, by=options.by)
