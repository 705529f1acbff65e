"""What lives in each slot of a cluster: a process that runs one function at a time."""

import os
import pickle
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archloss.workers.executor import HeldLostError
from archloss.workers.holding import HoldingCall
from archloss.workers.machine import describe_device
from archloss.workers.serve import Pickled, pickle_exception, run_holding

FETCH_TIMEOUT_S = 120.0
"""The longest wait for a held value: a dead node is found out in less."""


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """Where a worker lives, and what device it has."""

    node_id: str
    host: str
    pid: int
    kind: str


class Worker:
    """The actor. Its answers are pickled pairs, like those of a local worker process."""

    def describe(self) -> Whereabouts:
        """Say where this is; the first call, which also says that the process has started."""
        import ray

        return Whereabouts(
            node_id=ray.get_runtime_context().get_node_id(),
            host=platform.node(),
            pid=os.getpid(),
            kind=describe_device(),
        )

    def begin(self) -> None:
        """Answer, before each call: a worker that does not has died of something else."""

    def run(self, payload: bytes) -> bytes:
        """Run a pickled (function, argument)."""

        def call() -> Any:
            function, argument = pickle.loads(payload)
            return function(argument)

        return _answer(call)

    def run_holding(self, payload: bytes, held: Sequence[Any], count: int) -> Any:
        """Run a pickled HoldingCall; return the answer and each value, as objects of their own.

        Without any values there is the answer alone.

        `held` are references to pickled values, or such values themselves, or None. The answer
        says of each value whether there is one.
        """
        made: tuple[Pickled | None, ...] = (None,) * count

        def call() -> Any:
            nonlocal made
            values = _fetch(held)
            work: HoldingCall = pickle.loads(payload)
            result, made = run_holding((work, values))
            return result, [value is not None for value in made]

        answer = _answer(call)
        if not count:
            return answer
        return answer, *(None if value is None else value.data for value in made)


def fetch_data(reference: Any) -> bytes:
    """Return the pickled value behind a reference; raise HeldLostError if it is gone."""
    import ray

    try:
        data: bytes = ray.get(reference, timeout=FETCH_TIMEOUT_S)
    except ray.exceptions.RayError as error:  # lost, freed, not to be reached in time, ...
        reason = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise HeldLostError(f"a held value is gone: {type(error).__name__}: {reason}") from None
    return data


def _fetch(held: Sequence[Any]) -> list[Pickled | None]:
    found: list[Pickled | None] = []
    for one in held:
        if one is None:
            found.append(None)
        else:
            found.append(Pickled(one if isinstance(one, bytes) else fetch_data(one)))
    return found


def _answer(call: Callable[[], Any]) -> bytes:
    try:
        return pickle.dumps((True, call()), protocol=pickle.HIGHEST_PROTOCOL)
    except BaseException as error:
        return pickle_exception(error)
