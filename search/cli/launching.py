"""The command `launch`: runs a study, shows how far it is, and sums it up."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from archloss.search.cli.failures import INTERRUPTED
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
    choose_ray,
    takes,
)
from archloss.search.cli.shown import print_summary
from archloss.search.cli.studies import Opened
from archloss.search.cli.talking import Talk
from archloss.search.report import LANDSCAPE_FILE
from archloss.search.report.summary import Summary, summary_to_json

if TYPE_CHECKING:
    from archloss.search.launch import Study
    from archloss.search.progress import Progress
    from archloss.search.report.points import Point
    from archloss.search.spec import Spec

_STUDY = "What to search"


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """What `archloss launch` takes; an option that is not given leaves the study file's key."""

    study_file: Annotated[
        Path | None, typer.Argument(metavar="STUDY.toml", help="The study file.")
    ] = None
    dataset: Annotated[
        str | None,
        typer.Option(
            help="A bundled set, a CSV, Parquet or npz file, openml:NAME, or module:function.",
            rich_help_panel=_STUDY,
        ),
    ] = None
    target: Annotated[
        str | None, typer.Option(help="Target column of a table.", rich_help_panel=_STUDY)
    ] = None
    name: Annotated[
        str | None,
        typer.Option(help="Name of the study. Without it: the data set's.", rich_help_panel=_STUDY),
    ] = None
    objective: Annotated[
        Literal["validation_error", "validation_nll", "validation_brier"] | None,
        typer.Option(help="What is minimised.", rich_help_panel=_STUDY),
    ] = None
    trials: Annotated[
        int | None,
        typer.Option(help="Finished trials to reach, in all launches.", rich_help_panel=_STUDY),
    ] = None
    minutes: Annotated[
        float | None, typer.Option(help="Longest this launch may take.", rich_help_panel=_STUDY)
    ] = None
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of a trial.", rich_help_panel=_STUDY)
    ] = None
    sampler: Annotated[
        str | None,
        typer.Option(
            help="tpe, profile (for the question of `archloss report`), gp, cma-es, qmc, random or "
            "grid.",
            rich_help_panel=_STUDY,
        ),
    ] = None
    pruner: Annotated[
        str | None,
        typer.Option(help="none, successive-halving, hyperband or median.", rich_help_panel=_STUDY),
    ] = None
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any key of the study file, as in space.depth.high=64. Repeatable.",
            rich_help_panel=_STUDY,
        ),
    ] = field(default_factory=list)
    executor: ExecutorName = None
    processes: Processes = None
    pack: PackSize = None
    ray_address: RayAddress = None
    device: Device = None
    storage: Storage = None
    folder: Folder = None
    as_json: AsJson = False


_KEYS = {
    "dataset": "dataset",
    "target": "target",
    "name": "name",
    "objective": "objective",
    "trials": "trials",
    "minutes": "minutes",
    "epochs": "recipe.epochs",
    "sampler": "search.sampler",
    "pruner": "search.pruner",
    "executor": "workers.executor",
    "processes": "workers.processes",
    "pack": "workers.pack",
    "device": "workers.device",
}


@takes(LaunchOptions)
def launch(options: LaunchOptions) -> None:
    """Run a study to its budget, or go on with it: Ctrl-C pauses it, launching again resumes it.

    Ctrl-C once finishes the running rungs and saves; twice stops at once.
    """
    from archloss.search.launch import launch as launch_study

    spec = _read_spec(options)
    console = Talk(stderr=True)
    with make_observer(console, make_goal(spec)) as observer:
        study = launch_study(
            spec,
            storage=options.storage,
            folder=options.folder,
            ray_address=options.ray_address,
            observer=observer,
        )
    opened = _open(study, spec)
    points = opened.read_points()
    summary = opened.summarise_points(points)
    picture = None if spec.plan else _draw(points, summary, opened.folder)
    opened.database.close()
    _print(summary, picture, as_json=options.as_json)
    if was_interrupted(summary, observer.last, spec.minutes):
        console.print("paused: launch it again to go on")
        raise typer.Exit(INTERRUPTED)


def _read_spec(options: LaunchOptions) -> "Spec":
    from archloss.search.spec import read_spec

    if options.study_file is None and options.dataset is None:
        raise typer.BadParameter("say what to search: a study file, or --dataset NAME")
    values = {
        key: getattr(options, option)
        for option, key in _KEYS.items()
        if getattr(options, option) is not None
    }
    choose_ray(values, options.ray_address)
    if options.study_file is None:
        values.setdefault("name", make_study_name(values["dataset"]))
    return read_spec(options.study_file, options.settings, values)


def make_study_name(dataset: str) -> str:
    """Return the name of a study that was given none.

    >>> [make_study_name(name) for name in ("digits", "data/wine.csv", "openml:credit-g@1")]
    ['digits', 'wine', 'credit-g-1']
    """
    path = Path(dataset)
    if path.suffix.lower() in (".csv", ".tsv", ".parquet", ".npz"):
        text = path.stem
    else:
        text = dataset.removeprefix("openml:")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "study"


def _open(study: "Study", spec: "Spec") -> Opened:
    record = study.database.get_study(study.name)
    return Opened(database=study.database, record=record, spec=spec, folder=study.folder)


def _draw(points: "tuple[Point, ...]", summary: Summary, folder: Path) -> Path | None:
    from archloss.search.report.landscape import draw_landscape

    path = folder / LANDSCAPE_FILE
    return path if draw_landscape(points, summary, path) else None


def _print(summary: Summary, picture: Path | None, *, as_json: bool) -> None:
    if as_json:
        document = {**summary_to_json(summary), "picture": picture and str(picture)}
        typer.echo(json.dumps(document, indent=2))
        return
    console = Console()
    print_summary(console, summary)
    if picture is None and summary.confirms is None:
        console.print("No picture: no trial has finished.")
    elif picture is not None:
        console.print(f"Picture: {picture}", highlight=False, markup=False, soft_wrap=True)


def was_interrupted(summary: Summary, last: "Progress | None", minutes: float | None) -> bool:
    """Say whether a launch ended before its budget and before its time was up.

    Trials that another driver is running count as if they were done.
    """
    if last is None or (minutes is not None and last.elapsed_s >= 60.0 * minutes):
        return False
    busy = summary.finished + summary.counts.get("running", 0)
    return summary.budget is None or busy < summary.budget
