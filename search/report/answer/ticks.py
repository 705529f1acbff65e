"""Where an axis has its ticks: round numbers, in doubles or decades where ratios count."""

import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from archloss.search.analysis.axes import Numeric

_MOST = 8
_ROOM = 0.01
"""How far beyond the ends a tick may lie, so that 0 is shown where 0.0004 was the least."""
_STEPS = {2: (1, 2, 3, 5, 7), 3: (1, 2, 5), 4: (1, 3)}
"""Ticks of a decade, by how many decades are at least touched."""


def list_ticks(axis: Numeric, low: float, high: float) -> list[float]:
    """Return round values of an axis from `low` to `high`.

    >>> list_ticks(Numeric(name="depth", low=0, high=32, log=True, whole=True), 0.0, 32.0)
    [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    >>> list_ticks(Numeric(name="depth", low=1, high=24, steps=(1.0, 2.0, 6.0, 24.0)), 1.0, 24.0)
    [1.0, 2.0, 6.0, 24.0]
    """
    if axis.steps:
        ticks = list(axis.steps)
    elif not axis.log:
        found = MaxNLocator(5, integer=axis.whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        ticks = [float(tick) for tick in found]
    elif axis.whole:
        ticks = [0.0, *(2.0**power for power in range(int(high).bit_length()))]
    else:
        lowest = low or high / 1000
        decades = range(math.floor(math.log10(lowest)), math.ceil(math.log10(high)) + 1)
        steps = _STEPS.get(len(decades), (1,))
        ticks = [step * 10.0**decade for decade in decades for step in steps]
    first, last = encode(axis, low), encode(axis, high)
    room = _ROOM * (last - first)
    inside = [tick for tick in ticks if _lies(axis, tick, first - room, last + room)]
    return inside[:: math.ceil(len(inside) / _MOST)] if len(inside) > 1 else [low, high]


def encode(axis: Numeric, value: float) -> float:
    """Return where a value lies, 0 at the axis's low end and 1 at its high end."""
    return float(axis.encode(np.array([value]))[0])


def _lies(axis: Numeric, tick: float, first: float, last: float) -> bool:
    if axis.log and tick + (axis.low == 0) <= 0:
        return False
    return first <= encode(axis, tick) <= last
