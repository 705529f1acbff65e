"""The `[space]` of a study file: a range, a few choices or one value for each dimension."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from archloss.spaces import design as designs
from archloss.spaces.catalogue import SPACES
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
            return f"must be among {', '.join(repr(value) for value in self.among)}"
        left = f"[{self.low:g}" if self.low is not None else f"({self.above:g}"
        right = f"{self.high:g}]" if self.high is not None else f"{self.below or float('inf'):g})"
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
            and abs(number) != float("inf")
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


class WhenSpec(BaseModel):
    """A dimension matters only where another one has one of these values."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    parent: str = Field(description="The dimension that decides.")
    values: tuple[Value, ...] = Field(
        min_length=1, description="Its values with which this dimension matters."
    )


class DimensionSpec(BaseModel):
    """A range (`low`, `high`, perhaps `log`) or `choices`; one choice fixes the dimension."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    low: int | float | None = Field(default=None, description="Smallest value of a range.")
    high: int | float | None = Field(default=None, description="Largest value of a range.")
    log: bool = Field(default=False, description="Uniform in the logarithm.")
    choices: tuple[Value, ...] | None = Field(
        default=None, description="A few values, instead of a range."
    )
    when: WhenSpec | None = Field(default=None, description="Where this dimension matters.")
    otherwise: Value | None = Field(default=None, description="Its value where it does not.")

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return {"choices": tuple(value)}
        if isinstance(value, bool | int | float | str):
            return {"choices": (value,)}
        return value

    @model_validator(mode="after")
    def _check_form(self) -> "DimensionSpec":
        ranged = self.low is not None or self.high is not None
        if ranged == (self.choices is not None):
            raise ValueError("must have either low and high, or choices")
        if ranged and (self.low is None or self.high is None):
            raise ValueError("a range must have both low and high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low <= high must hold, but got low={self.low}, high={self.high}")
        if self.choices is not None:
            if not self.choices:
                raise ValueError("must have at least one choice")
            if len({(type(choice), choice) for choice in self.choices}) < len(self.choices):
                raise ValueError(f"choices must differ, but got {list(self.choices)}")
            if self.log:
                raise ValueError("log is for a range, and choices have none: leave it out")
        if (self.when is None) != (self.otherwise is None):
            raise ValueError("when and otherwise must be given together")
        return self


class SpaceSpec(BaseModel):
    """The dimensions that are searched; what is left out is as the space has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(default="residual-mlp", description="The space; see `archloss spaces`.")
    depth: DimensionSpec = Field(description="Hidden blocks after the input layer.")
    residual: DimensionSpec = Field(description="Whether a block adds its input.")
    ce_weight: DimensionSpec = Field(description="The share of cross-entropy in the loss.")
    mse_on: DimensionSpec = Field(description='"probabilities" or "logits".')
    width: DimensionSpec = Field(description="Units of every hidden layer.")
    normalisation: DimensionSpec = Field(description='"layer", "rms" or "none".')
    activation: DimensionSpec = Field(description='"relu", "gelu", "silu" or "tanh".')
    optimizer: DimensionSpec = Field(description='"adamw" or "sgd".')
    learning_rate: DimensionSpec = Field(description="The learning rate at the first step.")
    weight_decay: DimensionSpec = Field(description="Decoupled for AdamW, added for SGD.")
    momentum: DimensionSpec = Field(description="SGD's momentum.")
    schedule: DimensionSpec = Field(description='"cosine", "linear" or "constant".')
    dropout: DimensionSpec = Field(description="The dropout rate of each block.")

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        name = value.get("name", "residual-mlp")
        if name not in SPACES:
            raise ValueError(f"name must be one of {sorted(SPACES)}, but got {name!r}")
        return {**default_tables(name), **value}

    @field_validator(*RULES)
    @classmethod
    def _keep_rules(cls, value: DimensionSpec, info: ValidationInfo) -> DimensionSpec:
        assert info.field_name is not None
        return check_dimension(info.field_name, value)

    @model_validator(mode="after")
    def _check_conditions(self) -> "SpaceSpec":
        for name in RULES:
            when = getattr(self, name).when
            if when is None:
                continue
            if when.parent not in RULES or when.parent == name:
                raise ValueError(
                    f"{name}.when.parent must be another dimension, but got {when.parent!r}: "
                    f"choose from {sorted(set(RULES) - {name})}"
                )
            parent: DimensionSpec = getattr(self, when.parent)
            if parent.when is not None:
                raise ValueError(
                    f"{name}.when.parent must not be conditional itself, but {when.parent!r} is"
                )
            if parent.choices is None or not set(when.values) <= set(parent.choices):
                raise ValueError(
                    f"{name}.when.values must be among the choices of {when.parent}, but got "
                    f"{list(when.values)} of {list(parent.choices or ())}"
                )
        return self

    def dimensions(self) -> dict[str, Dimension]:
        """Return every dimension, by name."""
        return {name: to_dimension(name, getattr(self, name)) for name in RULES}


def default_tables(space: str) -> dict[str, dict[str, Any]]:
    """Return a space's default dimensions as tables of a study file."""
    return {name: to_table(value) for name, value in SPACES[space].dimensions.items()}


def to_table(dimension: Dimension) -> dict[str, Any]:
    """Return a dimension as a table of a study file."""
    if isinstance(dimension, Choice):
        return {"choices": dimension.values}
    return {"low": dimension.low, "high": dimension.high, "log": dimension.log}


def check_dimension(name: str, value: DimensionSpec) -> DimensionSpec:
    """Return the dimension with its values in the right type; raise ValueError if it breaks one."""
    rule = RULES[name]
    if rule.kind == "choice" and value.choices is None:
        raise ValueError(f"{name} has no order, so it takes choices and no range")
    changes: dict[str, Any] = {}
    if value.choices is not None:
        changes["choices"] = tuple(_convert(name, choice, rule) for choice in value.choices)
    for bound in ("low", "high"):
        number = getattr(value, bound)
        if number is not None:
            changes[bound] = _convert(f"{name}.{bound}", number, rule)
    if value.otherwise is not None:
        changes["otherwise"] = _convert(f"{name}.otherwise", value.otherwise, rule)
    if value.log and value.low == 0 and rule.kind != "integer":
        raise ValueError(f"{name}.low must be above 0 for log = true, but got {value.low}")
    return value.model_copy(update=changes)


def _convert(where: str, value: Value, rule: Rule) -> Value:
    if rule.kind != "choice":
        if isinstance(value, bool | str):
            raise ValueError(f"{where} must be a number, but got {value!r}")
        if rule.kind == "integer" and not float(value).is_integer():
            raise ValueError(f"{where} must be a whole number, but got {value!r}")
        value = int(value) if rule.kind == "integer" else float(value)
    elif isinstance(rule.among[0], bool) != isinstance(value, bool):
        raise ValueError(f"{where} {rule.describe()}, but got {value!r}")
    if not rule.holds(value):
        raise ValueError(f"{where} {rule.describe()}, but got {value!r}")
    return value


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
