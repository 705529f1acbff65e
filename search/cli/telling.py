"""The commands that tell what archloss has to offer: `spaces`, `datasets`, `version`."""

import json
import platform
from dataclasses import asdict
from importlib import metadata
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import archloss
from archloss.search.cli.options import AsJson
from archloss.search.report.wording import format_setting
from archloss.spaces.catalogue import SPACES
from archloss.spaces.dimensions import Choice, Dimension
from archloss.spaces.errors import SpaceError

_PACKAGES = ("torch", "optuna", "numpy", "scikit-learn", "sqlalchemy")


def spaces(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One space: show its dimensions.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the spaces that a study can search, or the dimensions of one."""
    if name is not None and name not in SPACES:
        raise SpaceError(f"there is no space {name!r}; there are: {', '.join(SPACES)}")
    shown = list(SPACES.values()) if name is None else [SPACES[name]]
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "name": space.name,
                        "description": space.description,
                        "dimensions": {
                            key: _dimension_to_json(value)
                            for key, value in space.dimensions.items()
                        },
                    }
                    for space in shown
                ],
                indent=2,
            )
        )
        return
    console = Console()
    for space in shown:
        console.print(f"[bold]{space.name}[/bold]  {space.description}")
        if name is not None or len(shown) == 1:
            table = Table("dimension", "by default", box=None, padding=(0, 2), pad_edge=False)
            for key, dimension in space.dimensions.items():
                table.add_row(key, describe_dimension(dimension))
            console.print(table)


def describe_dimension(dimension: Dimension) -> str:
    """Say in words what a dimension ranges over, and when it matters."""
    if isinstance(dimension, Choice):
        values = [format_setting(value) for value in dimension.values]
        text = f"{values[0]} (fixed)" if len(values) == 1 else f"one of {', '.join(values)}"
    else:
        scale = ", logarithmic" if dimension.log else ""
        text = f"{format_setting(dimension.low)} to {format_setting(dimension.high)}{scale}"
    if dimension.when is not None:
        values = [format_setting(value) for value in dimension.when.values]
        text += f", where {dimension.when.parent} is {' or '.join(values)}"
    return text


def _dimension_to_json(dimension: Dimension) -> dict[str, object]:
    return {"kind": type(dimension).__name__.lower(), **asdict(dimension)}


def datasets(as_json: AsJson = False) -> None:
    """Show the data sets that come with archloss. Your own: docs/datasets.md."""
    from archloss.spaces.data import list_datasets

    infos = list_datasets()
    if as_json:
        typer.echo(json.dumps([asdict(info) for info in infos], indent=2))
        return
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    table.add_column("name", no_wrap=True)
    for column in ("examples", "features", "classes"):
        table.add_column(column, justify="right")
    table.add_column("what it is")
    for info in infos:
        table.add_row(
            info.name, str(info.examples), str(info.features), str(info.classes), info.description
        )
    console = Console()
    console.print(table)
    console.print(
        "\nYour own: a CSV or Parquet file with --target COLUMN, an .npz file with X and y, "
        "openml:NAME, or module:function.",
        highlight=False,
    )


def version(as_json: AsJson = False) -> None:
    """Show the version of archloss, and of what its results may depend on."""
    versions = {
        "archloss": archloss.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }
    if as_json:
        typer.echo(json.dumps(versions, indent=2))
    else:
        for name, number in versions.items():
            typer.echo(f"{name} {number}")
