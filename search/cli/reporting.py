"""The command `report`: answers whether the best choice depends on the context, and shows it."""

import json
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from archloss.search.cli.options import AsJson, Folder, Storage, takes

if TYPE_CHECKING:
    from archloss.search.report.answer.findings import Findings

_QUESTION = "What is asked"
_TABLE = "Trials from a table"
_OF_TABLES = (
    "error",
    "accuracy",
    "unit",
    "penalty",
    "tuned",
    "state",
    "diverged",
    "log",
    "linear",
)
"""Options that are about a table of one's own."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What `archloss report` takes."""

    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="Name of the study.", show_default=False)
    ] = None
    context: Annotated[
        str, typer.Option(help="What the best choice may depend on.", rich_help_panel=_QUESTION)
    ] = "depth"
    choice: Annotated[
        str, typer.Option(help="Whose best value is asked for.", rich_help_panel=_QUESTION)
    ] = "ce_weight"
    by: Annotated[
        str | None,
        typer.Option(
            help="Answer apart for each of its values. Without it: residual, if it was searched.",
            rich_help_panel=_QUESTION,
            show_default=False,
        ),
    ] = None
    bound: Annotated[
        float | None,
        typer.Option(
            metavar="COST",
            help="Smallest cost that matters: accuracy points (0.5), or, where the objective is "
            "no error rate, the objective's own units (0.005).",
            rich_help_panel=_QUESTION,
            show_default=False,
        ),
    ] = None
    trials: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A CSV or Parquet file with a row for each trial, instead of a study.",
            rich_help_panel=_TABLE,
        ),
    ] = None
    example: Annotated[
        bool,
        typer.Option(
            "--example",
            help="Report on the table that comes with archloss: 8,424 trainings of digits.",
            rich_help_panel=_TABLE,
        ),
    ] = False
    error: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="What was minimised, no accuracy. Without it: value.",
            rich_help_panel=_TABLE,
            show_default=False,
        ),
    ] = None
    accuracy: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Instead of --error what was maximised, from 0 to 1 or to 100.",
            rich_help_panel=_TABLE,
            show_default=False,
        ),
    ] = None
    unit: Annotated[
        Literal["fraction", "percent", "number"] | None,
        typer.Option(
            help="What --error is: errors from 0 to 1, or from 0 to 100, or neither. Without it: "
            "fraction, if it lies between 0 and 1, else number.",
            rich_help_panel=_TABLE,
        ),
    ] = None
    penalty: Annotated[
        float | None,
        typer.Option(
            metavar="VALUE",
            help="What a trial that diverged counts as, in the column's own units, such as what "
            "guessing reaches. Without it: the worst that the table knows.",
            rich_help_panel=_TABLE,
            show_default=False,
        ),
    ] = None
    tuned: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN",
            help="Another hyperparameter that was searched. Repeatable. Without it: all columns "
            "params_...",
            rich_help_panel=_TABLE,
        ),
    ] = field(default_factory=list)
    state: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="How each trial ended: complete, diverged, pruned, fail or running, or as other "
            "tools say it. Without it: archloss's ending, or state, in any case of letters.",
            rich_help_panel=_TABLE,
            show_default=False,
        ),
    ] = None
    diverged: Annotated[
        list[str],
        typer.Option(
            metavar="WORD",
            help="A word in that column that stands for a network that diverged, such as Optuna's "
            "FAIL. Repeatable.",
            rich_help_panel=_TABLE,
        ),
    ] = field(default_factory=list)
    log: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN",
            help="A column in which equal ratios count as equally far, besides those that look so. "
            "Repeatable.",
            rich_help_panel=_TABLE,
        ),
    ] = field(default_factory=list)
    linear: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN",
            help="A column in which they do not, though it looks so. Repeatable.",
            rich_help_panel=_TABLE,
        ),
    ] = field(default_factory=list)
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder to write to; a report that is there is replaced. Without it: report in "
            "the study's folder, or FILE-report; of another question report-CHOICE-CONTEXT.",
            show_default=False,
        ),
    ] = None
    open_page: Annotated[bool, typer.Option("--open", help="Show the page in a web browser.")] = (
        False
    )
    storage: Storage = None
    folder: Folder = None
    as_json: AsJson = False


@takes(ReportOptions)
def report(options: ReportOptions) -> None:
    """Answer whether the best loss mix depends on depth, and write a report with the evidence.

    It comes with an interval, a verdict and its size. A study may be asked while it is running.
    """
    _check(options)
    from archloss.search.report.answer.document import make_document
    from archloss.search.report.answer.terminal import print_answer
    from archloss.search.report.answer.writing import write_report

    findings, folder = _ask(options)
    paths = write_report(findings, folder)
    if options.as_json:
        typer.echo(json.dumps(make_document(findings), indent=1, allow_nan=False))
    else:
        print_answer(Console(), findings, paths)
    if options.open_page and not webbrowser.open(paths[-1].resolve().as_uri()):
        typer.echo(f"no web browser was found here: open {paths[-1]} in one", err=True)


def _check(options: ReportOptions) -> None:
    sources = [
        *([f"the study {options.study!r}"] if options.study is not None else []),
        *([f"the table {str(options.trials)!r}"] if options.trials is not None else []),
        *(["the example"] if options.example else []),
    ]
    if not sources:
        raise typer.BadParameter(
            "say what to report on: the name of a study (`archloss list` shows them), "
            "--trials FILE, or --example"
        )
    if len(sources) > 1:
        raise typer.BadParameter(f"report on {' or on '.join(sources)}: leave the others out")
    given = [f"--{name}" for name in _OF_TABLES if getattr(options, name) not in (None, [])]
    if given and options.example:
        raise typer.BadParameter(
            f"{given[0]} is about a table of your own, and the example's columns are known: leave "
            "it out, or say --trials FILE"
        )
    if given and options.study is not None:
        raise typer.BadParameter(
            f"{given[0]} is about a table, and a study knows its own: leave it out, or say "
            "--trials FILE"
        )
    if options.accuracy is not None and (options.error is not None or options.unit == "number"):
        other = "--error" if options.error is not None else "--unit number"
        raise typer.BadParameter(
            f"--accuracy is turned into an error rate, and {other} says something else: leave one "
            "out"
        )
    if options.bound is not None and not 0 < options.bound < float("inf"):
        raise typer.BadParameter(f"--bound must be above 0, but got {options.bound:g}")


def _ask(options: ReportOptions) -> "tuple[Findings, Path]":
    """Return what the trials say, and the folder that the report belongs in."""
    if options.study:
        from archloss.search.cli.questions import ask_study

        return ask_study(options)
    from archloss.search.cli.table_questions import ask_table

    return ask_table(options)
