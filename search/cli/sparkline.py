"""A curve in one line of text."""

import math
from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24


def make_sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """Return a bar per value from the lowest to the highest, thinned to `width` bars.

    A value that is not finite is a blank; a constant curve is all low bars.

    >>> make_sparkline([0, 1, 2, 3, math.inf, 7])
    '▁▂▃▄ █'
    """
    if len(values) > width:
        values = [values[round(i * (len(values) - 1) / (width - 1))] for i in range(width)]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return " " * len(values)
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    return "".join(
        _BARS[round((value - low) / span * (len(_BARS) - 1))] if math.isfinite(value) else " "
        for value in values
    )
