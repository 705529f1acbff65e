"""Axes and colours of the pictures: depth by powers of two, errors that outliers cannot flatten."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from archloss.search.report.wording import OBJECTIVE_LABELS

_COLOURS = "viridis"  # even to the eye, also to a colour-blind one, and in grey
_SPREAD_FOR_LOG = 5.0


def find_colour_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest value, and the upper fence of them or the highest, whichever is lower.

    The fence (the third quartile and one and a half interquartile ranges) keeps a few networks
    that learned nothing from turning all the others into one colour.
    """
    first, third = np.quantile(values, [0.25, 0.75])
    low = min(values)
    high = min(max(values), float(third + 1.5 * (third - first)))
    return low, high if high > low else low + max(0.1 * abs(low), 1e-3)


def make_colours(values: Sequence[float]) -> ScalarMappable:
    """Return the colours of an objective that took these values."""
    return ScalarMappable(norm=Normalize(*find_colour_range(values)), cmap=_COLOURS)


def find_colour(colours: ScalarMappable, value: float) -> str:
    """Return the colour of a value, as a web page writes it."""
    red, green, blue, _ = (float(part) for part in colours.to_rgba(np.array([value]))[0])
    return to_hex((red, green, blue))


def add_colour_bar(
    figure: Figure,
    axes: list[Axes],
    colours: ScalarMappable,
    *,
    values: Sequence[float],
    objective: str,
) -> None:
    """Put the colours' scale beside the axes, with an arrow if some values lie beyond it."""
    beyond = max(values) > colours.get_clim()[1]
    bar = figure.colorbar(colours, ax=axes, extend="max" if beyond else "neither", pad=0.02)
    bar.set_label(OBJECTIVE_LABELS[objective])
    bar.ax.yaxis.set_major_formatter(_make_formatter(objective))


def scale_depths(axis: Axes, depths: Sequence[int]) -> None:
    """Make x logarithmic in depth, or in depth + 1 if there is a depth 0; ticks double."""
    lowest, highest = min(depths), max(depths)
    shift = 1 if lowest == 0 else 0

    def to_position(depth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.log2(np.maximum(depth + shift, 0.1))

    def to_depth(position: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.exp2(position) - shift

    axis.set_xscale("function", functions=(to_position, to_depth))
    powers = [0, *(2**k for k in range(highest.bit_length()))]
    ticks = [tick for tick in powers if lowest <= tick <= highest]
    axis.xaxis.set_major_locator(FixedLocator(ticks if len(ticks) > 1 else [lowest, highest]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda depth, _: f"{depth:g}"))
    margin = 2.0**0.25
    axis.set_xlim((lowest + shift) / margin - shift, (highest + shift) * margin - shift)


def scale_values(axis: Axes, values: Sequence[float], objective: str) -> None:
    """Make y show the objective: logarithmic where the worst would press the good ones flat."""
    axis.set_ylabel(OBJECTIVE_LABELS[objective])
    if min(values) > 0 and max(values) > _SPREAD_FOR_LOG * min(values):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter(_make_formatter(objective))


def _make_formatter(objective: str) -> FuncFormatter:
    if objective == "validation_error":
        return FuncFormatter(lambda value, _: f"{100 * value:.3g}%")
    return FuncFormatter(lambda value, _: f"{value:.3g}")
