"""Errors become one line on the terminal and an exit code."""

import contextlib
from typing import TYPE_CHECKING, Any, cast

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from archloss.spaces.errors import ArchlossError

if TYPE_CHECKING:
    from pydantic import ValidationError

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130
# Classes by name: their modules load what most commands never need.
_WHILE_RUNNING = {"ClusterError", "StorageError", "StudyStoppedError", "WorkerLostError"}


class FailureGroup(TyperGroup):
    """Runs a command, and says in one line what went wrong; `--debug` lets errors through."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that `ctx` names."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            say("; ".join(["stopped at once", *getattr(stop, "__notes__", [])]))
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if ctx.params["debug"] or isinstance(error, BrokenPipeError):
                raise
            if _is_typers(error):
                _reword(error)
                raise
            say(f"error: {describe(error)}")
            raise typer.Exit(choose_exit_code(error)) from None


def _is_typers(error: Exception) -> bool:
    """Say whether Typer raised it, and will show it: an exit, a usage error, an answer of no."""
    return type(error).__module__.partition(".")[0] in ("typer", "click")


def _reword(error: Exception) -> None:
    """Say of an option's value that breaks a rule which rule, and what it is, in our own words."""
    broken = error.__cause__
    if not isinstance(error, typer.BadParameter) or type(broken).__name__ != "ValidationError":
        return
    from archloss.search.spec_errors import describe_rule

    details = cast("ValidationError", broken).errors()[0]
    error.message = (
        str(details["ctx"]["error"])
        if details["type"] == "value_error"
        else f"must be {describe_rule(details)}, but got {details['input']!r}"
    )


def say(message: str) -> None:
    """Print to standard error, in red where it can be."""
    with contextlib.suppress(OSError):  # nobody listens
        Console(stderr=True).print(Text(message, style="red"), soft_wrap=True)


def describe(error: Exception) -> str:
    """Return what the error says, and which file it is about if the system raised it.

    What archloss did not raise on purpose is a defect: it is named as one, with the way to its
    traceback.
    """
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    notes = getattr(error, "__notes__", [])
    if isinstance(error, (ArchlossError, OSError)):
        return "\n".join([str(error), *notes])
    return "\n".join(
        [
            f"{type(error).__name__}: {error}",
            *notes,
            "This should not happen: `archloss --debug ...` shows where it comes from",
        ]
    )


def choose_exit_code(error: Exception) -> int:
    """Return 1 for what went wrong while running, 2 for what the user asked for."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    asked_for = isinstance(error, ArchlossError) and not kinds & _WHILE_RUNNING
    return BAD_INPUT if asked_for else FAILED
