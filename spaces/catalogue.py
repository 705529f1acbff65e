"""The spaces that a study can search, by name, with their default dimensions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from archloss.spaces.design import Design
from archloss.spaces.dimensions import Choice, Dimension, Float, Integer, Value
from archloss.spaces.errors import SpaceError
from archloss.spaces.shape import DataWidths, Shape, Size

_KNOWN = frozenset(field.name for field in fields(Design))


@dataclass(frozen=True, kw_only=True)
class SpaceInfo:
    """A space: its dimensions as they stand when a study file says nothing, and its designs.

    `find_size` says how large a design's network is on data of these widths.
    """

    name: str
    description: str
    dimensions: Mapping[str, Dimension]
    make_design: Callable[[Mapping[str, Value]], Design]
    find_size: Callable[[Design, DataWidths], Size]


def make_residual_mlp_design(values: Mapping[str, Value]) -> Design:
    """Make a design of one value per dimension; raise SpaceError for a name that is unknown."""
    unknown = sorted(values.keys() - _KNOWN)
    if unknown:
        raise SpaceError(f"a residual-mlp design has no {unknown[0]!r}; it has {sorted(_KNOWN)}")
    return Design(**values)  # type: ignore[arg-type]  # the spec has checked every value's type


def find_residual_mlp_size(design: Design, widths: DataWidths) -> Size:
    """Return how large a residual MLP is; residual connections cost nothing."""
    shape = Shape(features=widths.features, classes=widths.classes, width=design.width)
    return Size(parameters=shape.count(design.depth), flops=shape.count_flops(design.depth))


RESIDUAL_MLP = SpaceInfo(
    name="residual-mlp",
    description=(
        "Fully connected networks of any depth, with or without residual connections, trained "
        "on a mix of cross-entropy and mean squared error."
    ),
    dimensions=MappingProxyType(
        {
            "depth": Integer(low=1, high=32, log=True),
            "residual": Choice(values=(False, True)),
            "ce_weight": Float(low=0.0, high=1.0),
            "mse_on": Choice(values=("probabilities",)),
            "width": Choice(values=(32,)),
            "normalisation": Choice(values=("layer",)),
            "activation": Choice(values=("relu",)),
            "optimizer": Choice(values=("adamw",)),
            "learning_rate": Float(low=3e-4, high=3e-2, log=True),
            "weight_decay": Float(low=1e-5, high=1e-1, log=True),
            "momentum": Choice(values=(0.9,)),
            "schedule": Choice(values=("cosine",)),
            "dropout": Choice(values=(0.0,)),
        }
    ),
    make_design=make_residual_mlp_design,
    find_size=find_residual_mlp_size,
)

SPACES: Mapping[str, SpaceInfo] = MappingProxyType({RESIDUAL_MLP.name: RESIDUAL_MLP})
