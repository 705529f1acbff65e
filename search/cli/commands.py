"""All commands, in the order in which `archloss --help` shows them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archloss.search.cli.confirming import confirm
from archloss.search.cli.dashboard import dashboard
from archloss.search.cli.deleting import delete
from archloss.search.cli.doctor import doctor
from archloss.search.cli.exporting import export
from archloss.search.cli.launching import launch
from archloss.search.cli.listing import list_studies, trials
from archloss.search.cli.looking import show, status
from archloss.search.cli.reporting import report
from archloss.search.cli.stopping import stop
from archloss.search.cli.telling import datasets, spaces, version


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command as Typer registers it; `examples` end its help, and each was run."""

    name: str
    function: Callable[..., Any]
    examples: tuple[str, ...]


COMMANDS = (
    Command(
        name="launch",
        function=launch,
        examples=(
            "archloss launch --dataset digits --trials 200",
            "archloss launch study.toml --set space.depth.high=64",
        ),
    ),
    Command(
        name="status",
        function=status,
        examples=("archloss status digits", "archloss status digits --watch"),
    ),
    Command(name="stop", function=stop, examples=("archloss stop digits",)),
    Command(name="list", function=list_studies, examples=("archloss list --json",)),
    Command(
        name="trials",
        function=trials,
        examples=(
            "archloss trials digits --sort value --limit 10",
            "archloss trials digits --output trials.parquet",
        ),
    ),
    Command(name="show", function=show, examples=("archloss show digits 0",)),
    Command(
        name="report",
        function=report,
        examples=(
            "archloss report digits",
            "archloss report --trials runs.csv --accuracy val_accuracy",
        ),
    ),
    Command(
        name="confirm",
        function=confirm,
        examples=(
            "archloss confirm digits --plan-only",
            "archloss confirm digits --replicates 8 --yes",
        ),
    ),
    Command(
        name="dashboard",
        function=dashboard,
        examples=("archloss dashboard digits", "archloss dashboard digits --port 8081 --open"),
    ),
    Command(
        name="export",
        function=export,
        examples=("archloss export digits --trial best --output best-network",),
    ),
    Command(name="spaces", function=spaces, examples=("archloss spaces residual-mlp",)),
    Command(name="datasets", function=datasets, examples=("archloss datasets",)),
    Command(name="delete", function=delete, examples=("archloss delete digits --yes",)),
    Command(
        name="doctor",
        function=doctor,
        examples=("archloss doctor", "archloss doctor --ray-address auto"),
    ),
    Command(name="version", function=version, examples=("archloss version --json",)),
)
