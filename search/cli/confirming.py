"""The command `confirm`: plans an experiment from a study, trains it, and shows what came of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from archloss.search.analysis import FEWEST_REPLICATES
from archloss.search.cli.failures import INTERRUPTED, say
from archloss.search.cli.launching import was_interrupted
from archloss.search.cli.live import make_goal, make_observer
from archloss.search.cli.options import (
    AsJson,
    Device,
    ExecutorName,
    Folder,
    PackSize,
    Processes,
    RayAddress,
    Storage,
    StudyName,
    choose_ray,
    takes,
)
from archloss.search.cli.shown import describe_counts, describe_experiment
from archloss.search.cli.studies import open_study
from archloss.search.cli.talking import Talk, ask, is_terminal
from archloss.search.confirm import name_experiment
from archloss.search.grid import LARGEST_GRID
from archloss.search.report import REPORT_FOLDER
from archloss.search.report.summary import Summary, summary_to_json

if TYPE_CHECKING:
    from archloss.search.analysis.experiment import Experiment
    from archloss.search.report.answer.findings import Findings
    from archloss.search.spec import Spec

_QUESTION = "What is asked"
_DESIGN = "How large it is"
_WORKERS = "Where it runs"


@dataclass(frozen=True, kw_only=True)
class ConfirmOptions:
    """What `archloss confirm` takes; an option that is not given leaves the stored plan's."""

    study: StudyName
    context: Annotated[
        str | None,
        typer.Option(
            help="What the best choice may depend on. Without it: depth.",
            rich_help_panel=_QUESTION,
        ),
    ] = None
    choice: Annotated[
        str | None,
        typer.Option(
            help="Whose best value is asked for. Without it: ce_weight.",
            rich_help_panel=_QUESTION,
        ),
    ] = None
    by: Annotated[
        str | None,
        typer.Option(
            help="Ask apart for each of its values. Without it: residual, if it was searched.",
            rich_help_panel=_QUESTION,
        ),
    ] = None
    bound: Annotated[
        float | None,
        typer.Option(
            metavar="COST",
            help="Smallest cost that matters: accuracy points (0.5), or, where the objective is "
            "no error rate, the objective's own units (0.005).",
            rich_help_panel=_QUESTION,
        ),
    ] = None
    contexts: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=LARGEST_GRID,
            help="Contexts, evenly over those tried. Without it: 6.",
            rich_help_panel=_DESIGN,
        ),
    ] = None
    choices: Annotated[
        int | None,
        typer.Option(
            min=3,
            max=LARGEST_GRID,
            help="Choices: half of them evenly over those tried, half near the likely best. "
            "Without it: 7.",
            rich_help_panel=_DESIGN,
        ),
    ] = None
    replicates: Annotated[
        int | None,
        typer.Option(
            min=FEWEST_REPLICATES,
            help="How often each design is trained. Without it: as often as --power takes.",
            rich_help_panel=_DESIGN,
        ),
    ] = None
    power: Annotated[
        float | None,
        typer.Option(
            help="Wanted chance to find an interaction whose cost is twice the bound. Without "
            "it: 0.8.",
            rich_help_panel=_DESIGN,
        ),
    ] = None
    name: Annotated[
        str | None,
        typer.Option(help="Name of the experiment. Without it: STUDY-confirm."),
    ] = None
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Store the plan and show it, and train nothing.")
    ] = False
    show: Annotated[
        bool, typer.Option("--show", help="Show a stored experiment, and train nothing.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the training.")] = False
    executor: ExecutorName = None
    processes: Processes = None
    pack: PackSize = None
    ray_address: RayAddress = None
    device: Device = None
    minutes: Annotated[
        float | None,
        typer.Option(help="Longest this launch may take.", rich_help_panel=_WORKERS),
    ] = None
    storage: Storage = None
    folder: Folder = None
    as_json: AsJson = False


@takes(ConfirmOptions)
def confirm(options: ConfirmOptions) -> None:
    """Confirm a study's answer by an experiment: planned, stored, trained, then read once.

    The same command goes on with an experiment that was stopped, and shows one that is done.
    """
    from archloss.search.cli.experiments import print_plan
    from archloss.search.cli.planning import read_plan

    _check(options)
    talk = Talk(stderr=options.as_json)
    spec = read_plan(options, make_worker_values(options))
    if spec is None:
        spec = _plan(options, talk)
    elif options.plan_only:
        print_plan(talk, spec)
    paused = False
    if not (options.plan_only or options.show):
        paused = _train(options, spec)
    _show(options, spec.name)
    if paused:
        Console(stderr=True).print("paused: run the same command again to go on")
        raise typer.Exit(INTERRUPTED)


def _plan(options: ConfirmOptions, talk: Talk) -> "Spec":
    """Plan the experiment, store it and show it; where a person is asked, show it first."""
    from archloss.search.cli.experiments import print_plan
    from archloss.search.cli.planning import propose_plan, store_plan

    planned = propose_plan(options, make_worker_values(options))
    asks = not (options.plan_only or options.yes) and is_terminal()
    if not asks:
        store_plan(options, planned)
    print_plan(talk, planned.spec)
    remarks = list(planned.remarks)
    if options.plan_only:
        remarks += [
            f"The plan is stored: `archloss delete {planned.spec.name}` takes it away again."
        ]
    for remark in remarks:
        talk.print(remark, markup=False, highlight=False, soft_wrap=True)
    if asks:
        ask("Store this plan, and train it?")
        store_plan(options, planned)
    return planned.spec


def _check(options: ConfirmOptions) -> None:
    if options.plan_only and options.show:
        raise typer.BadParameter("--plan-only stores a plan, --show looks: leave out one of them")
    if options.replicates is not None and options.power is not None:
        raise typer.BadParameter("--replicates and --power both say how often: leave out one")
    if options.power is not None and not 0 < options.power < 1:
        raise typer.BadParameter(f"--power must lie in (0, 1), but got {options.power:g}")
    if options.bound is not None and not 0 < options.bound < float("inf"):
        raise typer.BadParameter(f"--bound must be above 0, but got {options.bound:g}")


def make_worker_values(options: ConfirmOptions) -> dict[str, Any]:
    """Return the options that may change from launch to launch, by key of the study file."""
    names = ("executor", "processes", "pack", "device")
    values: dict[str, Any] = {
        f"workers.{name}": getattr(options, name)
        for name in names
        if getattr(options, name) is not None
    }
    choose_ray(values, options.ray_address)
    if options.minutes is not None:
        values["minutes"] = options.minutes
    return values


def _train(options: ConfirmOptions, spec: "Spec") -> bool:
    """Train what the plan still lacks; say if it was stopped before the end."""
    if _read_summary(options, spec.name).finished >= (spec.trials or 0):
        return False
    from archloss.search.launch import launch

    with make_observer(Talk(stderr=True), make_goal(spec)) as observer:
        launch(
            spec,
            storage=options.storage,
            folder=options.folder,
            ray_address=options.ray_address,
            observer=observer,
        ).database.close()
    summary = _read_summary(options, spec.name)
    return was_interrupted(summary, observer.last, spec.minutes)


def _read_summary(options: ConfirmOptions, name: str) -> Summary:
    with open_study(name, storage=options.storage, folder=options.folder) as opened:
        return opened.summarise()


def _show(options: ConfirmOptions, name: str) -> None:
    """Show the counts; once everything is trained, what it says, of which a report is written."""
    from archloss.search.cli.experiments import experiment_to_json, print_cells
    from archloss.search.confirm.findings import make_findings
    from archloss.search.confirm.results import read_experiment
    from archloss.search.report.answer.document import make_document
    from archloss.search.report.answer.terminal import print_answer

    with open_study(name, storage=options.storage, folder=options.folder) as opened:
        summary = opened.summarise()
        experiment: Experiment | None = None
        if summary.budget is not None and summary.finished >= summary.budget:
            experiment = read_experiment(opened.spec, opened.read_trials())
    assert opened.spec.plan is not None
    findings: Findings | None = None
    paths: tuple[Path, ...] = ()
    if experiment is not None:
        findings = make_findings(opened.spec, experiment)
        paths = _write_report(options, findings, opened.folder / REPORT_FOLDER)
    if options.as_json:
        of_searches = ("best_seen_by_depth", "caveat")
        document = {
            **{key: one for key, one in summary_to_json(summary).items() if key not in of_searches},
            "plan": opened.spec.plan.model_dump(mode="json"),
            "cells": None if experiment is None else experiment_to_json(experiment),
            "report": None if findings is None else make_document(findings),
        }
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
        return
    console = Console()
    console.print(describe_counts(summary), markup=False, highlight=False, soft_wrap=True)
    if experiment is None or findings is None:
        console.print(describe_experiment(summary), markup=False, highlight=False, soft_wrap=True)
        return
    console.print()
    print_cells(console, experiment, opened.spec.objective)
    console.print()
    print_answer(console, findings, paths)


def _write_report(
    options: ConfirmOptions, findings: "Findings", folder: Path
) -> "tuple[Path, ...]":
    """Write the report and return its files: none where it is only shown and cannot be written."""
    from archloss.search.report.answer.writing import ReportError, write_report

    try:
        return write_report(findings, folder)
    except ReportError as error:
        if not options.show:
            raise
        say(f"the report was not written: {error}")
        return ()


def find_name(options: ConfirmOptions) -> str:
    """Return the experiment's name."""
    return name_experiment(options.study) if options.name is None else options.name
