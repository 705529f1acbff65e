"""How the expected objective moves along each axis: a small picture of each."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from archloss.search.analysis.axes import Numeric
from archloss.search.analysis.dependence import Dependence
from archloss.search.report.answer.figures import GRID, HUES, format_ticks, use_style
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.margins import fit_margins, wrap_name
from archloss.search.report.answer.measure import Measure
from archloss.search.report.answer.ticks import encode, list_ticks
from archloss.search.report.wording import format_setting

_COLUMNS = 3
_MOST_TICKS = 6
_MOST_LETTERS, _LONGEST = 24, 20
"""Of ticks or of the names of levels all together, before these are turned, and of each."""
_ROOM = 0.06


def draw_dependence(
    findings: Findings, shown: Sequence[Dependence], *, width: float, height: float
) -> Figure:
    """Return a panel for each axis, on one scale; sizes of what is in one, in inches."""
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    with use_style():
        figure = Figure()
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        panels = grid.ravel()
        for panel in panels[len(shown) :]:
            panel.set_visible(False)
        for panel, one in zip(panels, shown, strict=False):
            _draw_panel(panel, one)
            panel.set_xlabel(wrap_name(one.axis.name, width))
        scale_objective(panels[0], findings.measure)
        low, high = _find_range(findings.evidence.dependence)
        panels[0].set_ylim(low, high)
        label = f"mean {findings.measure.label}"
        fit_margins(figure, list(grid), size=(width, height), label=label)
        return figure


def scale_objective(axis: Axes, measure: Measure) -> None:
    """Make y show the objective in the units that people are shown."""
    percent = "%" if measure.is_error_rate else ""
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{measure.factor * value:.3g}{percent}")
    )


def describe_dependence(findings: Findings, one: Dependence) -> str:
    """Return in words what a panel shows."""
    measure, best = findings.measure, int(np.argmin(one.mean))
    ends = ", ".join(
        f"{measure.format_value(float(one.mean[place]))} at {format_setting(one.values[place])}"
        for place in dict.fromkeys((0, best, len(one.values) - 1))
    )
    return f"Mean {measure.label} over {one.axis.name}: {ends}"


def _find_range(shown: Sequence[Dependence]) -> tuple[float, float]:
    """Return the ends of y, with some room; a band that is far wider than the means may leave."""
    means = np.concatenate([one.mean for one in shown])
    reach = max(float(np.ptp(means)), 1e-12)
    low = max(min(float(one.low.min()) for one in shown), float(means.min()) - reach)
    high = min(max(float(one.high.max()) for one in shown), float(means.max()) + reach)
    room = _ROOM * (high - low)
    return low - room, high + room


def _draw_panel(panel: Axes, one: Dependence) -> None:
    panel.grid(color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(axis="x", labelsize=8.5)
    if isinstance(one.axis, Numeric):
        _draw_numbers(panel, one.axis, one)
    else:
        _draw_levels(panel, one)


def _draw_numbers(panel: Axes, axis: Numeric, one: Dependence) -> None:
    across = [encode(axis, float(value)) for value in one.values]
    panel.fill_between(across, one.low, one.high, color=HUES[0], alpha=0.2, linewidth=0)
    marker = "o" if axis.steps else ""
    panel.plot(across, one.mean, color=HUES[0], linewidth=2.0, marker=marker, markersize=4)
    ticks = list(axis.steps) or list_ticks(axis, axis.low, axis.high)
    ticks = ticks[:: math.ceil(len(ticks) / _MOST_TICKS)]
    while len(ticks) > 1 and sum(map(len, format_ticks(ticks))) > _MOST_LETTERS:
        ticks = ticks[::2]
    panel.set_xticks([encode(axis, tick) for tick in ticks], format_ticks(ticks))
    panel.set_xlim(-0.03, 1.03)


def _draw_levels(panel: Axes, one: Dependence) -> None:
    across = range(len(one.values))
    names = [format_setting(value) for value in one.values]
    panel.vlines(across, one.low, one.high, color=HUES[0], linewidth=2.0)
    panel.plot(across, one.mean, linestyle="none", marker="o", color=HUES[0], markersize=6)
    names = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names]
    crowded = sum(map(len, names)) > _MOST_LETTERS
    turned: dict[str, Any] = (
        {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    )
    panel.set_xticks(list(across), names, **turned)
    panel.set_xlim(-0.6, len(names) - 0.4)
