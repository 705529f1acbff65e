"""The `[space]` of a study file: what is searched."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from archloss.search.spec_dimension import (
    RULES,
    DimensionSpec,
    WhenSpec,
    check_dimension,
    to_dimension,
)
from archloss.spaces.catalogue import SPACES
from archloss.spaces.dimensions import Choice, Dimension, Value

DEFAULT_SPACE = "residual-mlp"


class SpaceSpec(BaseModel):
    """The dimensions that are searched; what is left out is as the space has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(default=DEFAULT_SPACE, description="The space; see `archloss spaces`.")
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
        name = value.get("name", DEFAULT_SPACE)
        if name not in SPACES:
            raise ValueError(f".name must be one of {sorted(SPACES)}, but got {name!r}")
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
            if when is not None:
                self._check_condition(name, when)
        return self

    def _check_condition(self, name: str, when: WhenSpec) -> None:
        if when.parent not in RULES or when.parent == name:
            raise ValueError(
                f".{name}.when.parent must be another dimension, but got {when.parent!r}: "
                f"choose from {', '.join(sorted(set(RULES) - {name}))}"
            )
        parent: DimensionSpec = getattr(self, when.parent)
        if parent.when is not None:
            raise ValueError(
                f".{name}.when.parent must not have a condition itself, but {when.parent!r} has: "
                "let both depend on the same dimension"
            )
        if parent.choices is None and RULES[when.parent].kind != "integer":
            raise ValueError(
                f".{name}.when.parent must have choices or whole numbers, but {when.parent!r} has "
                "neither: give it choices"
            )
        impossible = [value for value in when.values if not _is_possible(parent, value)]
        if impossible:
            raise ValueError(
                f".{name}.when.values must be values that {when.parent!r} can have, but got "
                f"{impossible}: leave them out, or let {when.parent!r} have them"
            )

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


def _is_possible(parent: DimensionSpec, value: Value) -> bool:
    if parent.choices is not None:
        return any(
            value == choice and isinstance(value, bool) == isinstance(choice, bool)
            for choice in parent.choices
        )
    assert parent.low is not None
    assert parent.high is not None
    return type(value) is int and parent.low <= value <= parent.high
