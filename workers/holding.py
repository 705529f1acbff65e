"""What executors share: values that a function holds on to, and names that must be known."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archloss.workers.executor import A, Holding, R

LOCAL_KIND = "local"
"""The one kind of device of an executor that stays on this machine."""


@dataclass(frozen=True)
class HoldingCall:
    """A call whose values stay where they are made, as it travels to another process."""

    function: "Holding[Any, Any]"
    argument: Any
    count: int

    def __call__(self, values: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
        """Call the function; raise ValueError if it does not give as many values as promised."""
        return call_holding(self.function, self.argument, values, count=self.count)


def call_holding(
    function: "Holding[A, R]", argument: A, values: Sequence[Any], *, count: int
) -> tuple[R, tuple[Any, ...]]:
    """Call the function; raise ValueError if it does not give `count` values to hold."""
    result, made = function(argument, values)
    if len(made) != count:
        raise ValueError(
            f"{describe(function)} must give {count} values to hold, but gave {len(made)}"
        )
    return result, tuple(made)


def pickle_call(function: Callable[..., Any], call: object) -> bytes:
    """Pickle `call`, which holds `function`; raise at once what keeps it from being sent."""
    if getattr(function, "__module__", None) == "__main__":
        raise ValueError(
            f"{describe(function)} lives in __main__, which a worker process cannot import: "
            "move it to a module, or use the inline executor"
        )
    return pickle.dumps(call, protocol=pickle.HIGHEST_PROTOCOL)


def check_kind(kind: str | None, known: Mapping[str, int]) -> None:
    """Raise ValueError if `kind` is no kind of device that the executor has."""
    if kind is not None and kind not in known:
        raise ValueError(f"`kind` must be None or one of {sorted(known)}, but got {kind!r}")


def describe(function: Callable[..., Any]) -> str:
    """Return the function's name, for a message."""
    return getattr(function, "__qualname__", repr(function))
