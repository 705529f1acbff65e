"""The contract between the driver and whatever runs its packs."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from archloss.spaces.errors import ArchlossError

A = TypeVar("A")
R = TypeVar("R")
Holding = Callable[[A, Sequence[Any]], tuple[R, Sequence[Any]]]
"""Takes an argument and held values; returns a result and the values to hold (None: nothing)."""


class WorkerLostError(ArchlossError):
    """The worker died before it answered: nothing is known of what it was doing.

    `blameless` says that what it ran cannot have been the cause: its machine went away, or was
    taken away.
    """

    def __init__(self, message: str, *, blameless: bool = False) -> None:
        super().__init__(message)
        self.blameless = blameless


class WorkerTimeoutError(WorkerLostError):
    """The worker took longer than it may, and was killed."""


class HeldLostError(ArchlossError):
    """A value that a worker held is gone, together with the machine that kept it."""


class Held(Protocol):
    """A value that stays where a worker made it, to be handed to the next worker."""

    def fetch(self) -> Any:
        """Return the value itself; raise HeldLostError if it is gone."""

    def back_up(self) -> None:
        """Begin to copy the value to this machine, so that it outlives the one that holds it."""


@dataclass(frozen=True, eq=False)
class Box:
    """A held value that is in this process: any executor takes it."""

    value: Any

    def fetch(self) -> Any:
        """Return the value."""
        return self.value

    def back_up(self) -> None:
        """Do nothing: what this process holds is lost with it alone."""


class Executor(Protocol):
    """Runs functions, and knows nothing of what they do.

    A function must be importable by its name in its module, for it may run in another process;
    arguments and results must pickle. What a function raises is the Future's exception; a worker
    that dies gives its Future a WorkerLostError, and is replaced.
    """

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many functions run at the same time on each kind of device, by the kind's name.

        It may change at any time, where machines come and go.
        """

    @property
    def slots(self) -> int:
        """How many functions run at the same time; more than that wait in a queue."""

    def submit(
        self, function: Callable[[A], R], argument: A, *, kind: str | None = None
    ) -> Future[R]:
        """Run `function(argument)` as soon as a slot is free, on any kind of device or on one."""

    def submit_holding(
        self,
        function: "Holding[A, R]",
        argument: A,
        held: Sequence[Held | None],
        *,
        count: int,
        kind: str | None = None,
    ) -> Future[tuple[R, tuple[Held | None, ...]]]:
        """Run `function(argument, values)`, whose values stay where they are made.

        `held` are what earlier calls gave back, or Boxes; the function gets the values
        themselves, which it must not change, and None for None. It returns its result and exactly
        `count` values, which the Future gives back as Helds, None for None. An input that is gone
        makes the Future raise HeldLostError.
        """

    def close(self, *, now: bool = False) -> None:
        """Wait for what was submitted, then stop; with `now`, stop it instead of waiting."""
