"""The command line: `archloss launch`, `status`, `trials` and the others."""

import sys


def main() -> None:
    """Run the command line on the program's own arguments, and exit with its code.

    Nothing but the standard library, typer and rich is loaded before a command runs.
    """
    from archloss.search.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal in ASCII
    app(prog_name="archloss")
