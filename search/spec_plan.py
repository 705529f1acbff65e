"""The `[plan]` of a study file: designs that are all trained, and the question they answer."""

import itertools
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from archloss.search.grid import LARGEST_GRID
from archloss.search.spec_dimension import Strictly
from archloss.search.spec_tables import Number, Table, Whole
from archloss.spaces.dimensions import Choice, Dimension, Integer, Value

MOST_REPLICATES = 1000


def limit_replicates(designs: int) -> int:
    """Return how often so many designs may be trained at most."""
    return min(MOST_REPLICATES, LARGEST_GRID // designs)


class PlanSpec(Table):
    """A balanced experiment: a design for each level, context and choice, each trained anew."""

    confirms: str = Field(min_length=1, description="The study whose answer it confirms.")
    confirms_digest: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="That study's digest when the plan was made."
    )
    context: str = Field(description="What the best choice may depend on.")
    choice: str = Field(description="Whose best value is asked for.")
    by: str | None = Field(default=None, description="The question is put for each value of it.")
    contexts: tuple[Number, ...] = Field(min_length=2, description="Values of the context.")
    choices: tuple[Number, ...] = Field(min_length=2, description="Values of the choice.")
    levels: tuple[Strictly, ...] = Field(default=(), description="Values of `by`, if there is one.")
    bound: Number = Field(
        gt=0, description="The smallest cost that matters, in the objective's own units."
    )
    replicates: Whole = Field(
        ge=2, le=MOST_REPLICATES, description="How often each design is trained, on other splits."
    )
    power: Number | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="The chance to find an interaction of cost `effect` that `replicates` were "
        "chosen for; without it, they were given.",
    )
    effect: Number | None = Field(
        default=None, gt=0, description="The cost at which that chance was computed."
    )
    deviations: tuple[Annotated[Number, Field(ge=0)], ...] = Field(
        default=(),
        description="The standard deviations of a replicate's cost for each of `levels`, as the "
        "search suggests them.",
    )
    asked: tuple[Whole, Whole] | None = Field(
        default=None,
        description="How many contexts and choices were asked for: where they are close together "
        "there are fewer.",
    )
    designs: tuple[dict[str, Strictly], ...] = Field(
        min_length=4, description="The designs, each with a value for every dimension."
    )

    @model_validator(mode="after")
    def _check_roles(self) -> "PlanSpec":
        named = [self.context, self.choice, *([] if self.by is None else [self.by])]
        if len(set(named)) < len(named):
            raise ValueError(f": context, choice and by must be different, but got {named}")
        if (self.by is None) != (self.levels == ()):
            raise ValueError(
                f".levels must be given with by, and without it left out, but got by = {self.by!r} "
                f"and levels = {list(self.levels)}"
            )
        if self.deviations and len(self.deviations) != self.shape[0]:
            raise ValueError(
                f".deviations must be {self.shape[0]} numbers, one for each of levels, but got "
                f"{list(self.deviations)}: leave it out where it is not known"
            )
        for key in ("contexts", "choices"):
            values = getattr(self, key)
            if list(values) != sorted(set(values)):
                raise ValueError(f".{key} must increase, but got {list(values)}")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_absent(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `asked` out where it is not known: the digest of such plans is without it."""
        document: dict[str, Any] = serialise(self)
        if self.asked is None:
            document.pop("asked", None)
        return document

    @property
    def trials(self) -> int:
        """Return how many trainings it takes."""
        return len(self.designs) * self.replicates

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return how many levels (1 without `by`), contexts and choices there are."""
        return max(1, len(self.levels)), len(self.contexts), len(self.choices)


def check_plan(plan: PlanSpec, dimensions: Mapping[str, Dimension]) -> None:
    """Raise ValueError where the designs are none of the space, or not one for each cell."""
    for number, design in enumerate(plan.designs):
        _check_names(f"plan.designs[{number}]", design, dimensions)
        for name, dimension in dimensions.items():
            if not _is_possible(dimension, design[name]):
                raise ValueError(
                    f"plan.designs[{number}].{name} must be a value that space.{name} has, but got "
                    f"{design[name]!r}"
                )
    for role in ("context", "choice", "by"):
        asked = getattr(plan, role)
        if asked is not None and (asked not in dimensions or dimensions[asked].when is not None):
            raise ValueError(
                f"plan.{role} must be a dimension of the space without a condition, but got "
                f"{asked!r}"
            )
    levels: tuple[Value | None, ...] = plan.levels or (None,)
    wanted = list(itertools.product(levels, plan.contexts, plan.choices))
    found = [
        (None if plan.by is None else design[plan.by], design[plan.context], design[plan.choice])
        for design in plan.designs
    ]
    if found != wanted:
        raise ValueError(
            f"plan.designs must be one for each of the {len(wanted)} combinations of levels, "
            f"contexts and choices, in their order, but got {len(found)} that are not: let "
            "`archloss confirm` write them"
        )


def _check_names(
    key: str, design: Mapping[str, Value], dimensions: Mapping[str, Dimension]
) -> None:
    if design.keys() != dimensions.keys():
        missing = sorted(dimensions.keys() - design.keys())
        unknown = sorted(design.keys() - dimensions.keys())
        raise ValueError(
            f"{key} must have every dimension of the space and no other key, but lacks {missing} "
            f"and has {unknown} besides"
        )


def _is_possible(dimension: Dimension, value: Value) -> bool:
    if isinstance(dimension, Choice):
        return any(value == one and type(value) is type(one) for one in dimension.values)
    if isinstance(value, bool | str):
        return False
    whole = type(value) is int or not isinstance(dimension, Integer)
    return whole and dimension.low <= value <= dimension.high
