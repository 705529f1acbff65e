"""The dimensions of a search: ranges and choices, with the rules they must keep."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

Value = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class When:
    """A dimension matters only where another has one of these values.

    The sampler is always asked for every dimension, so that its joint model never loses one;
    where the condition does not hold, the design takes `otherwise` instead of what was asked.
    """

    parent: str
    values: tuple[Value, ...]
    otherwise: Value


@dataclass(frozen=True, kw_only=True)
class Float:
    """Real numbers from `low` to `high`, both included; uniform in the logarithm if `log`."""

    low: float
    high: float
    log: bool = False
    when: When | None = None


@dataclass(frozen=True, kw_only=True)
class Integer:
    """Whole numbers from `low` to `high`, both included.

    With `log`, uniform in the logarithm of `value + 1` when `low` is 0 (depth 0 is a linear
    classifier, and has no logarithm), of `value` otherwise.
    """

    low: int
    high: int
    log: bool = False
    when: When | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of a few values without an order. A single value fixes the dimension."""

    values: tuple[Value, ...]
    when: When | None = None


Dimension = Float | Integer | Choice


def resolve_conditions(
    dimensions: Mapping[str, Dimension], asked: Mapping[str, Value]
) -> dict[str, Value]:
    """Return what was asked with every dimension whose condition fails set to its `otherwise`."""
    resolved = dict(asked)
    for name, dimension in dimensions.items():
        when = dimension.when
        if when is not None and asked[when.parent] not in when.values:
            resolved[name] = when.otherwise
    return resolved


def is_fixed(dimension: Dimension) -> bool:
    """Say whether the dimension has a single value, so that nothing is searched in it."""
    if isinstance(dimension, Choice):
        return len(dimension.values) == 1
    return math.isclose(dimension.low, dimension.high, rel_tol=0.0, abs_tol=0.0)
