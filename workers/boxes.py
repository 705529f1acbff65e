"""Held values where they need not travel: beside the caller, in Boxes."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from archloss.workers.executor import A, Box, Held, Holding, R

Call = tuple[Holding[A, R], A, Sequence[Any]]


def run_holding(call: Call[A, R]) -> tuple[R, Sequence[Any]]:
    """Run a function that takes and gives held values; this is what a worker runs."""
    function, argument, values = call
    return function(argument, values)


def fetch_all(held: Sequence[Held | None]) -> list[Any]:
    """Return the values themselves, None for None; raise HeldLostError if one is gone."""
    return [None if one is None else one.fetch() for one in held]


def box_values(
    running: Future[tuple[R, Sequence[Any]]], count: int
) -> Future[tuple[R, tuple[Held | None, ...]]]:
    """Return a Future of the same result, its values in Boxes; they must be `count`."""
    boxed: Future[tuple[R, tuple[Held | None, ...]]] = Future()

    def take_over(done: Future[tuple[R, Sequence[Any]]]) -> None:
        if done.cancelled():
            boxed.cancel()
        elif (error := done.exception()) is not None:
            boxed.set_exception(error)
        else:
            result, values = done.result()
            boxes = tuple(None if value is None else Box(value) for value in values)
            if len(boxes) == count:
                boxed.set_result((result, boxes))
            else:
                boxed.set_exception(ValueError(f"{count} values were due, but {len(boxes)} came"))

    running.add_done_callback(take_over)
    return boxed
