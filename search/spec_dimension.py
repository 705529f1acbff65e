"""A dimension of a study file: a range, a few choices or one value, and its rules."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)

from archloss.spaces import design as designs
from archloss.spaces.dimensions import Choice, Dimension, Float, Integer, Value, When

Kind = Literal["integer", "float", "choice"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What the values of a dimension must be. `below` bounds without including."""

    kind: Kind
    low: float | None = None
    high: float | None = None
    below: float | None = None
    above: float | None = None
    among: tuple[Value, ...] = ()

    def describe(self) -> str:
        """Return the rule for a sentence that begins with the dimension's name."""
        if self.among:
            return f"must be one of {', '.join(_write(value) for value in self.among)}"
        left = f"[{self.low:g}" if self.low is not None else f"({self.above:g}"
        right = f"{self.high:g}]" if self.high is not None else f"{self.below or math.inf:g})"
        return f"must lie in {left}, {right}"

    def holds(self, value: Value) -> bool:
        """Say whether a value of the right type keeps the rule."""
        if self.among:
            return value in self.among
        number = float(value)
        return (
            (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and (self.below is None or number < self.below)
            and (self.above is None or number > self.above)
            and math.isfinite(number)
        )


RULES: Mapping[str, Rule] = {
    "depth": Rule(kind="integer", low=0, high=1024),
    "residual": Rule(kind="choice", among=(False, True)),
    "ce_weight": Rule(kind="float", low=0, high=1),
    "mse_on": Rule(kind="choice", among=get_args(designs.MseOn)),
    "width": Rule(kind="integer", low=1, high=65_536),
    "normalisation": Rule(kind="choice", among=get_args(designs.Normalisation)),
    "activation": Rule(kind="choice", among=get_args(designs.Activation)),
    "optimizer": Rule(kind="choice", among=get_args(designs.Optimizer)),
    "learning_rate": Rule(kind="float", above=0),
    "weight_decay": Rule(kind="float", low=0),
    "momentum": Rule(kind="float", low=0, below=1),
    "schedule": Rule(kind="choice", among=get_args(designs.Schedule)),
    "dropout": Rule(kind="float", low=0, below=1),
}


Strictly = (
    Annotated[bool, Strict()]
    | Annotated[int, Strict()]
    | Annotated[float, Strict()]
    | Annotated[str, Strict()]
)
Number = Annotated[int, Strict()] | Annotated[float, Strict()]


class WhenSpec(BaseModel):
    """A dimension matters only where another one has one of these values."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    parent: str = Field(description="The dimension that decides.")
    values: tuple[Strictly, ...] = Field(
        min_length=1, description="Its values with which this dimension matters."
    )


class DimensionSpec(BaseModel):
    """A range (`low`, `high`, perhaps `log`) or `choices`; one choice fixes the dimension."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    low: Number | None = Field(default=None, description="Smallest value of a range.")
    high: Number | None = Field(default=None, description="Largest value of a range.")
    log: Annotated[bool, Strict()] = Field(
        default=False, description="Whether a range is uniform in the logarithm."
    )
    choices: tuple[Strictly, ...] | None = Field(
        default=None, min_length=1, description="A few values, instead of a range."
    )
    when: WhenSpec | None = Field(
        default=None, description="Where the dimension matters; without it, everywhere."
    )
    otherwise: Strictly | None = Field(default=None, description="Its value where it does not.")

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return {"choices": value}
        if isinstance(value, bool | int | float | str):
            return {"choices": (value,)}
        if isinstance(value, Mapping) and value.get("low") == value.get("high") is not None:
            rest = {key: value[key] for key in value if key not in ("low", "high", "log")}
            return {"choices": (value["low"],), **rest}
        return value

    @model_validator(mode="after")
    def _check_form(self) -> "DimensionSpec":
        if (self.low is None) != (self.high is None):
            raise ValueError(" must have both low and high, but got one of them: give the other")
        if (self.low is None) == (self.choices is None):
            raise ValueError(" must have either low and high, or choices: give one of the two")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(
                f": low <= high must hold, but got low = {self.low} and high = {self.high}: "
                "exchange them"
            )
        if self.choices is not None:
            if len({(type(choice), choice) for choice in self.choices}) < len(self.choices):
                raise ValueError(f".choices must differ, but got {list(self.choices)}")
            if self.log:
                raise ValueError(".log is for a range, but got choices: leave it out")
        if (self.when is None) != (self.otherwise is None):
            raise ValueError(".when and otherwise must be given together: give both or none")
        return self


def check_dimension(name: str, value: DimensionSpec) -> DimensionSpec:
    """Return the dimension with its values in the right type; raise ValueError if one is wrong."""
    rule = RULES[name]
    if rule.kind == "choice" and value.choices is None:
        raise ValueError(f" has no order, so it takes choices, each of which {rule.describe()}")
    changes: dict[str, Any] = {}
    if value.choices is not None:
        changes["choices"] = tuple(_convert("", choice, rule) for choice in value.choices)
    for part in ("low", "high", "otherwise"):
        given = getattr(value, part)
        if given is not None:
            changes[part] = _convert(f".{part}", given, rule)
    if value.log and value.low == 0 and name != "depth":
        raise ValueError(".low must be above 0 where log = true, but got 0: raise it")
    return value.model_copy(update=changes)


def _convert(where: str, value: Value, rule: Rule) -> Value:
    if rule.kind != "choice":
        if isinstance(value, bool | str):
            raise ValueError(f"{where} must be a number, but got {value!r}")
        if rule.kind == "integer" and not (math.isfinite(value) and float(value).is_integer()):
            raise ValueError(f"{where} must be a whole number, but got {value!r}")
        value = int(value) if rule.kind == "integer" else float(value)
    elif isinstance(rule.among[0], bool) != isinstance(value, bool):
        raise ValueError(f"{where} {rule.describe()}, but got {value!r}")
    if not rule.holds(value):
        raise ValueError(f"{where} {rule.describe()}, but got {value!r}")
    return value


def _write(value: Value) -> str:
    """Return the value as TOML has it."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def to_dimension(name: str, value: DimensionSpec) -> Dimension:
    """Return what the sampler is asked for."""
    when = None
    if value.when is not None and value.otherwise is not None:
        when = When(parent=value.when.parent, values=value.when.values, otherwise=value.otherwise)
    if value.choices is not None:
        return Choice(values=value.choices, when=when)
    assert value.low is not None
    assert value.high is not None
    if RULES[name].kind == "integer":
        return Integer(low=int(value.low), high=int(value.high), log=value.log, when=when)
    return Float(low=float(value.low), high=float(value.high), log=value.log, when=when)
