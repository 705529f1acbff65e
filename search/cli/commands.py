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
        examples=("archloss status digits-depth-mix", "archloss status digits-depth-mix --watch"),
    ),
    Command(name="stop", function=stop, examples=("archloss stop digits-depth-mix",)),
    Command(name="list", function=list_studies, examples=("archloss list --json",)),
    Command(
        name="trials",
        function=trials,
        examples=(
            "archloss trials digits-depth-mix --sort value --limit 10",
            "archloss trials digits-depth-mix --output trials.parquet",
        ),
    ),
    Command(name="show", function=show, examples=("archloss show digits-depth-mix 0",)),
    Command(
        name="report",
        function=report,
        examples=(
            "archloss report digits-depth-mix",
            "archloss report --trials runs.csv --accuracy val_accuracy",
        ),
    ),
    Command(
        name="confirm",
        function=confirm,
        examples=(
            "archloss confirm digits-depth-mix --plan-only",
            "archloss confirm digits-depth-mix --replicates 8 --yes",
        ),
    ),
    Command(
        name="dashboard",
        function=dashboard,
        examples=(
            "archloss dashboard digits-depth-mix",
            "archloss dashboard digits-depth-mix --port 8081 --open",
        ),
    ),
    Command(
        name="export",
        function=export,
        examples=("archloss export digits-depth-mix --trial best --output best-network",),
    ),
    Command(name="spaces", function=spaces, examples=("archloss spaces residual-mlp",)),
    Command(name="datasets", function=datasets, examples=("archloss datasets",)),
    Command(name="delete", function=delete, examples=("archloss delete digits-depth-mix --yes",)),
    Command(
        name="doctor",
        function=doctor,
        examples=("archloss doctor", "archloss doctor --ray-address auto"),
    ),
    Command(name="version", function=version, examples=("archloss version --json",)),
)
