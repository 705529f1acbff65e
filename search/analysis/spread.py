"""How far the same design's objective moves from one training to the next.

Where designs were trained several times, it is the standard deviation between replicates, pooled
over designs, with the interval that chi-square gives for equal variances and normal noise. Where
none was, it is the surface's noise: what it leaves unexplained, be that the seed or its own lack.

N trial, S stratum, T draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

from archloss.search.analysis.answer import Fitted
from archloss.search.analysis.axes import Array, Category, Numeric
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.analysis.verdict import LEVEL, Interval
from archloss.spaces.dimensions import Value

_FEWEST_FREE = 10
"""Degrees of freedom below which a standard deviation between replicates says too little."""


@dataclass(frozen=True, kw_only=True)
class StratumSpread:
    """A part of the search: contexts from `low` to `high`, at one level of `by` (or None)."""

    low: float
    high: float
    level: Value | None
    deviation: Interval


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """Standard deviations of the objective, over all trials and by part of the search.

    `kind` says what of: "replicates" of one design, of which there are `designs`, or "surface",
    what is left of trials beside it. `better` is between the replicates of the better half of
    designs, None for a surface: what hardly trains moves most, and matters least.
    """

    kind: Literal["replicates", "surface"]
    designs: int
    whole: Interval
    better: Interval | None
    strata: tuple[StratumSpread, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Replicates:
    """Objectives `values` of one design that was trained more than once, at `point` `[D]`."""

    point: Array
    values: Array


def find_spread(fitted: Fitted, replicates: Sequence[Replicates]) -> SeedSpread | None:
    """Return the spread between replicates, or the surface's noise where they say too little.

    They do where they are too few, or do not differ at all. None where the surface knows none.
    """
    replicates = [one for one in replicates if len(one.values) > 1]
    too_few = sum(len(one.values) - 1 for one in replicates) < _FEWEST_FREE
    if too_few or are_the_same(replicates):
        return None if fitted.surface.strata.silent else _read_noise(fitted)
    strata = fitted.surface.strata
    labels = strata.number(np.stack([one.point for one in replicates]))
    parts = []
    for stratum in np.unique(labels):
        inside = [one for one, label in zip(replicates, labels, strict=True) if label == stratum]
        if sum(len(one.values) - 1 for one in inside) >= _FEWEST_FREE:
            parts.append(_describe(fitted, int(stratum), pool(inside)))
    ordered = sorted(replicates, key=lambda one: float(one.values.mean()))
    return SeedSpread(
        kind="replicates",
        designs=len(replicates),
        whole=pool(replicates),
        better=pool(ordered[: (len(ordered) + 1) // 2]),
        strata=tuple(parts),
    )


def pool(replicates: Sequence[Replicates]) -> Interval:
    """Return the standard deviation between the replicates of a design, pooled over designs."""
    free = sum(len(one.values) - 1 for one in replicates)
    squares = sum(float(((one.values - one.values.mean()) ** 2).sum()) for one in replicates)
    tail = (1 - LEVEL) / 2
    low, high = np.sqrt(squares / chdtri(free, np.array([tail, 1 - tail])))
    return Interval(estimate=float(np.sqrt(squares / free)), low=float(low), high=float(high))


def are_the_same(replicates: Sequence[Replicates]) -> bool:
    """Say whether all replicates of each design have one value, as copies have, or one seed's."""
    return all(np.ptp(one.values) == 0 for one in replicates)


def find_repeated(trials: Trials) -> list[Replicates]:
    """Return the designs that were trained more than once, with what their trainings reached."""
    return [
        Replicates(point=point, values=values)
        for point, values in zip(trials.points, trials.trainings or (), strict=False)
        if len(values) > 1
    ]


def _read_noise(fitted: Fitted) -> SeedSpread:
    trials, surface = fitted.trials, fitted.surface
    completed = trials.find(Kind.COMPLETED)
    labels = surface.strata.number(trials.points[completed])
    values = trials.values[completed]
    known = np.unique(labels)
    draws = np.stack(
        [_scale_noise(fitted, int(one), values[labels == one]) for one in known], axis=1
    )
    weights = np.array([(labels == one).mean() for one in known])
    return SeedSpread(
        kind="surface",
        designs=len(values),
        whole=Interval.of(np.sqrt(draws**2 @ weights)),
        better=None,
        strata=tuple(
            _describe(fitted, int(one), Interval.of(draws[:, column]))
            for column, one in enumerate(known)
        ),
    )


def _scale_noise(fitted: Fitted, stratum: int, values: Array) -> Array:
    """Return draws of a stratum's noise `[T]` in the objective's units, at its median trial.

    On a logarithmic scale noise is lognormal, and grows with the objective. It is no larger than
    what the stratum's trials vary by in all.
    """
    noise, offset = fitted.surface.noise[:, stratum], fitted.surface.scale.offset
    if offset is None:
        return noise
    middle = float(np.median(values)) + offset
    deviations = middle * np.exp(noise**2 / 2) * np.sqrt(np.expm1(noise**2))
    return np.asarray(np.minimum(deviations, fitted.surface.spread[stratum]))


def _describe(fitted: Fitted, stratum: int, deviation: Interval) -> StratumSpread:
    trials, strata = fitted.trials, fitted.surface.strata
    completed = trials.points[trials.find(Kind.COMPLETED)]
    inside: npt.NDArray[np.bool_] = strata.number(completed) == stratum
    context = trials.axes[trials.roles.context]
    assert isinstance(context, Numeric)
    values = context.decode(completed[inside, trials.roles.context])
    level = None
    if strata.roles.by is not None:
        by = trials.axes[strata.roles.by]
        assert isinstance(by, Category)
        level = by.levels[int(completed[inside][0, strata.roles.by])]
    return StratumSpread(
        low=float(values.min()), high=float(values.max()), level=level, deviation=deviation
    )
