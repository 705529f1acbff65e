"""The contract between the driver and whatever runs its packs."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from archloss.spaces.errors import ArchlossError

A = TypeVar("A")
R = TypeVar("R")


class WorkerLostError(ArchlossError):
    """The worker died before it answered: nothing is known of what it was doing."""


class Executor(Protocol):
    """Runs functions of one argument, and knows nothing of what they do.

    `function` must be importable by its name in its module, for it may run in another process;
    the argument and the result must pickle. What `function` raises is the Future's exception; a
    worker that dies gives its Future a WorkerLostError, and is replaced.
    """

    @property
    def slots(self) -> int:
        """How many functions run at the same time; more than that wait in a queue."""

    def submit(self, function: Callable[[A], R], argument: A) -> Future[R]:
        """Run `function(argument)` as soon as a slot is free."""

    def close(self, *, now: bool = False) -> None:
        """Wait for what was submitted, then stop; with `now`, stop it instead of waiting."""
