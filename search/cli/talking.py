"""Talks with a person: goes on when nobody reads any more, and asks before what takes long."""

import os
import sys

import typer
from rich.console import Console

from archloss.search.cli.failures import FAILED, INTERRUPTED, say


class Talk(Console):
    """A console for a command that does more than show.

    Rich's own ends the program when a pipe is closed, and with it what was asked for.
    """

    def on_broken_pipe(self) -> None:
        """Show no more."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def is_terminal() -> bool:
    """Say whether a person can be asked."""
    return sys.stdin.isatty()


def ask(question: str) -> None:
    """Ask whether to go on; raise Exit with 1 where the answer is no, with 130 at Ctrl-C."""
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:  # also at the end of the input
        typer.echo(err=True)
        say("stopped: nothing was changed")
        raise typer.Exit(INTERRUPTED) from None
    if not agreed:
        say("nothing was changed")
        raise typer.Exit(FAILED)
