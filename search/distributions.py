"""From the dimensions of a space to Optuna's distributions, and from parameters to a design.

Every dimension that has more than one value is a parameter of every trial, whatever the others
are: a sampler's joint model then never loses one. Where a condition fails, the design takes the
dimension's `otherwise`.
"""

from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from archloss.spaces.catalogue import SpaceInfo
from archloss.spaces.design import Design
from archloss.spaces.dimensions import (
    Choice,
    Dimension,
    Integer,
    Value,
    is_fixed,
    resolve_conditions,
)

_SHIFT = "_plus_1"


def to_distributions(dimensions: Mapping[str, Dimension]) -> dict[str, BaseDistribution]:
    """Return the distribution of each parameter; a dimension with a single value is none.

    Optuna's logarithms start at 1: whole numbers from 0 become the parameter `NAME_plus_1`.
    """
    return {
        name_parameter(name, dimension): _to_distribution(dimension)
        for name, dimension in dimensions.items()
        if not is_fixed(dimension)
    }


def name_parameter(name: str, dimension: Dimension) -> str:
    """Return the name of a dimension's parameter."""
    return name + _SHIFT if _is_shifted(dimension) else name


def to_design(
    space: SpaceInfo, dimensions: Mapping[str, Dimension], params: Mapping[str, Value]
) -> Design:
    """Return the design that a trial's parameters stand for."""
    return space.make_design(resolve_conditions(dimensions, to_asked(dimensions, params)))


def to_asked(dimensions: Mapping[str, Dimension], params: Mapping[str, Value]) -> dict[str, Value]:
    """Return what a trial's parameters ask for, whether it matters or not; to_params' inverse."""
    asked: dict[str, Value] = {}
    for name, dimension in dimensions.items():
        if is_fixed(dimension):
            fixed = dimension.values[0] if isinstance(dimension, Choice) else dimension.low
            asked[name] = fixed
        elif _is_shifted(dimension):
            asked[name] = int(params[name + _SHIFT]) - 1
        else:
            asked[name] = params[name]
    return asked


def to_params(dimensions: Mapping[str, Dimension], asked: Mapping[str, Value]) -> dict[str, Value]:
    """Return the parameters of a trial that asks for these values."""
    return {
        name_parameter(name, dimension): int(asked[name]) + 1
        if _is_shifted(dimension)
        else asked[name]
        for name, dimension in dimensions.items()
        if not is_fixed(dimension)
    }


def _is_shifted(dimension: Dimension) -> bool:
    return isinstance(dimension, Integer) and dimension.log and dimension.low < 1


def _to_distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if isinstance(dimension, Integer):
        shift = 1 if _is_shifted(dimension) else 0
        return IntDistribution(dimension.low + shift, dimension.high + shift, log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
