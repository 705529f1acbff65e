"""The program: its commands, and how its errors reach a person."""

from typing import Annotated

import typer

from archloss.search.cli.commands import COMMANDS
from archloss.search.cli.failures import FailureGroup

_EPILOG = """Exit codes: 0 done; 1 it failed while running (database, disk, training), or you said \
no; 2 bad input or usage; 130 stopped by Ctrl-C: a study that was at work is paused.

Example: archloss launch --dataset digits --trials 200
"""

app = typer.Typer(
    name="archloss",
    cls=FailureGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=_EPILOG,
)


@app.callback()
def _root(
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="ARCHLOSS_DEBUG", help="Show the traceback of an error."),
    ] = False,
) -> None:
    """Search neural architectures and their loss jointly, on your own data."""


for command in COMMANDS:
    app.command(command.name, epilog="\n\n".join(f"Example: {line}" for line in command.examples))(
        command.function
    )
