"""The commands that look at one thing: `status` of a study, `show` of a trial."""

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from archloss.search.cli.options import AsJson, Folder, Storage, StudyName
from archloss.search.cli.shown import print_summary
from archloss.search.cli.sparkline import make_sparkline
from archloss.search.cli.studies import NoStudiesError, Opened, open_database, open_study
from archloss.search.cli.watching import describe_drivers, watch
from archloss.search.confirm import REPLICATE, make_command
from archloss.search.report.points import find_ending
from archloss.search.report.summary import Summary, summary_to_json
from archloss.search.report.wording import OBJECTIVE_LABELS, format_objective, format_setting
from archloss.spaces.errors import ArchlossError

if TYPE_CHECKING:
    from archloss.storage.records import Curve, DriverRecord, TrialRecord


class TrialNotFoundError(ArchlossError):
    """The study has no trial of that number."""


def status(
    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="Name; without it, the latest study.")
    ] = None,
    storage: Storage = None,
    folder: Folder = None,
    as_json: AsJson = False,
    follow: Annotated[
        bool, typer.Option("--watch", help="Show it anew until it is at its budget or Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", help="How often it is shown anew.", min=0.5)
    ] = 5.0,
) -> None:
    """Show how far a study is, who works on it, and the best it has seen."""
    if follow and as_json:
        raise typer.BadParameter("--watch shows a study to a person: leave out --json, or --watch")
    name = study or find_latest(storage, folder)
    with open_study(name, storage=storage, folder=folder) as opened:
        if follow:
            with contextlib.suppress(KeyboardInterrupt):
                watch(Console(), opened, every_s=every)
            return
        summary = opened.summarise()
        drivers = opened.database.list_drivers(opened.record.study_id)
    if as_json:
        document = {**summary_to_json(summary), "drivers": [_to_json(one) for one in drivers]}
        typer.echo(json.dumps(document, indent=2))
        return
    console = Console()
    print_summary(console, summary)
    if drivers:
        console.print(describe_drivers(drivers), highlight=False, markup=False)
    elif advice := _advise(summary):
        console.print(advice, highlight=False)


def _to_json(driver: "DriverRecord") -> dict[str, object]:
    return {"host": driver.host, "pid": driver.pid, "running": driver.running}


def find_latest(storage: str | None, folder: Path | None) -> str:
    """Return the name of the study of ours that was created last."""
    with open_database(storage, folder) as (database, _):
        created = [
            (study.created_at, study.name)
            for study in database.list_studies()
            if study.ours and study.created_at is not None
        ]
    if not created:
        raise NoStudiesError(
            "the database holds no study yet: `archloss launch --dataset digits` makes a first one"
        )
    return max(created)[1]


def _advise(summary: Summary) -> str | None:
    running = summary.counts.get("running", 0)
    if running:
        return (
            f"Nobody works on it: the next launch takes up the {running} trials that were running."
        )
    if summary.confirms is not None:
        return None  # the summary has said so
    if summary.budget is not None and summary.finished < summary.budget:
        return "Not at its budget yet: launch it again to go on."
    return None


def show(
    study: StudyName,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The trial's number.", min=0)],
    storage: Storage = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Show one trial: its design, its curves and how it ended."""
    with open_study(study, storage=storage, folder=folder) as opened:
        trial = find_trial(opened, number)
        curves = opened.database.read_curves(opened.record.study_id, number)
    if as_json:
        typer.echo(json.dumps(_trial_to_json(opened, trial, curves), indent=2))
        return
    console = Console()
    _print_trial(console, opened, trial)
    if curves:
        console.print()
        console.print(make_curve_table(curves))


def find_trial(opened: Opened, number: int) -> "TrialRecord":
    """Return the trial of that number, or raise TrialNotFoundError."""
    trials = opened.read_trials()
    for trial in trials:
        if trial.number == number:
            return trial
    name, plan = opened.spec.name, opened.spec.plan
    if trials:
        known = f"has trials 0 to {trials[-1].number}, but not {number}"
    elif plan is None:
        known = "has no trials yet: launch it to make some"
    else:
        known = f"has no trials yet: `{make_command(plan.confirms, name)}` trains what is planned"
    raise TrialNotFoundError(f"study {name!r} {known}")


def _print_trial(console: Console, opened: Opened, trial: "TrialRecord") -> None:
    objective = opened.spec.objective
    value = format_objective(trial.value, objective)
    console.print(
        f"[bold]Trial {trial.number} of {opened.spec.name!r}: {find_ending(trial)}[/bold]"
        + ("" if trial.value is None else f", {OBJECTIVE_LABELS[objective]} {value}"),
        highlight=False,
    )
    if trial.outcome is not None:
        console.print(f"{trial.outcome.value}.", highlight=False)
    if trial.message:
        console.print(trial.message, markup=False, highlight=False, style="red")
    for epoch, reached in sorted(trial.intermediate.items()):
        console.print(
            f"  at epoch {epoch}: {format_objective(reached, objective)}", highlight=False
        )
    console.print()
    table = Table(box=None, padding=(0, 2), pad_edge=False, show_header=False)
    if REPLICATE in trial.params:
        table.add_row(REPLICATE, str(trial.params[REPLICATE]))
    for key, setting in asdict(opened.make_design(trial.params)).items():
        table.add_row(key, format_setting(setting))
    console.print(table)
    if trial.seconds is not None:
        console.print(f"\n{trial.seconds:.2f} s of training", highlight=False)


def join_curves(curves: Iterable["Curve"]) -> dict[tuple[str, int], tuple[float, ...]]:
    """Return whole curves by metric and replicate: the pieces of all rungs, in order."""

    def place(curve: "Curve") -> tuple[str, int]:
        return curve.metric, curve.replicate

    ordered = sorted(curves, key=lambda curve: (*place(curve), curve.first_epoch))
    return {
        key: tuple(value for piece in pieces for value in piece.values)
        for key, pieces in groupby(ordered, key=place)
    }


def make_curve_table(curves: Sequence["Curve"]) -> Table:
    """Return a table with a row per metric and replicate: first, last, and a picture in text."""
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for name in ("metric", "replicate", "epochs", "first", "last", "curve"):
        table.add_column(name, justify="left" if name in ("metric", "curve") else "right")
    for (metric, replicate), values in join_curves(curves).items():
        table.add_row(
            metric,
            str(replicate),
            str(len(values)),
            f"{values[0]:.4f}",
            f"{values[-1]:.4f}",
            make_sparkline(values),
        )
    return table


def _trial_to_json(
    opened: Opened, trial: "TrialRecord", curves: Sequence["Curve"]
) -> dict[str, object]:
    return {
        "study": opened.spec.name,
        "number": trial.number,
        "state": trial.state,
        "ending": find_ending(trial),
        "outcome": None if trial.outcome is None else trial.outcome.value,
        "message": trial.message,
        "objective": opened.spec.objective,
        "value": trial.value,
        "design": asdict(opened.make_design(trial.params)),
        "replicate": trial.params.get(REPLICATE),
        "intermediate": {str(epoch): value for epoch, value in trial.intermediate.items()},
        "curves": [
            {"metric": metric, "replicate": replicate, "values": values}
            for (metric, replicate), values in join_curves(curves).items()
        ],
        "seconds": trial.seconds,
        "started_at": None if trial.started_at is None else trial.started_at.isoformat(),
        "finished_at": None if trial.finished_at is None else trial.finished_at.isoformat(),
    }
