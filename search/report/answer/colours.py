"""Which colours stand for which expected objectives: the same in every picture of a surface."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from archloss.search.analysis.axes import Array, Numeric
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.ticks import encode, list_ticks
from archloss.search.report.scales import find_colour_range

_BANDS = 12
_SPREAD_FOR_LOG = 4.0
_ROOM = 1e-6
"""Bands begin so much below the lowest value, which rounding might put outside, and so end."""
_APART = 0.08
"""A tick so much nearer to that of the last colour would be written over it."""
_OR_MORE = "\N{GREATER-THAN OR EQUAL TO}"


@dataclass(frozen=True, kw_only=True)
class Colours:
    """The values at which colours change, in even steps or, if `log`, in equal ratios.

    All above the last have one colour; if it is `capped` there are some, and the last tick says so.
    `ticks` are values with what is written at them.
    """

    bands: tuple[float, ...]
    log: bool
    capped: bool
    ticks: tuple[tuple[float, str], ...]

    @property
    def extend(self) -> Literal["max", "neither"]:
        """Return whether the bar of colours ends in an arrow, as matplotlib calls it."""
        return "max" if self.capped else "neither"


def list_heights(findings: Findings) -> list[Array]:
    """Return, for each level, what is coloured `[U, M]`: an experiment's means, else the profile.

    A row is a context of that level, and a column a choice.
    """
    if findings.experiment is not None:
        return list(findings.experiment.means)
    return [level.profile for level in findings.answer.levels]


def choose_colours(findings: Findings) -> Colours:
    """Return the colours of all levels together, which a few hopeless places do not stretch."""
    values = np.concatenate([heights.ravel() for heights in list_heights(findings)])
    log = bool(values.min() > 0 and values.max() > _SPREAD_FOR_LOG * values.min())
    if log:
        low, high = (float(end) for end in np.exp(find_colour_range(list(np.log(values)))))
    else:
        low, high = find_colour_range(list(values))
    capped = bool(values.max() > high + _ROOM * abs(high))
    low -= _ROOM * abs(low)
    high += 0.0 if capped else _ROOM * abs(high)
    bands = np.geomspace(low, high, _BANDS) if log else np.linspace(low, high, _BANDS)
    return Colours(
        bands=tuple(bands.tolist()),
        log=log,
        capped=capped,
        ticks=_make_ticks(findings, low, high, log=log, capped=capped),
    )


def _make_ticks(
    findings: Findings, low: float, high: float, *, log: bool, capped: bool
) -> tuple[tuple[float, str], ...]:
    factor = findings.measure.factor
    percent = "%" if findings.measure.is_error_rate else ""
    scale = Numeric(name="value", low=factor * low, high=factor * high, log=log)
    last = 1 - _APART if capped else np.inf
    ticks = [
        (tick / factor, f"{tick:.3g}{percent}")
        for tick in list_ticks(scale, scale.low, scale.high)
        if encode(scale, tick) < last
    ]
    end = [(high, f"{_OR_MORE} {factor * high:.3g}{percent}")] if capped else []
    return (*ticks, *end)
