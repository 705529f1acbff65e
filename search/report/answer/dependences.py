"""How the expected objective moves along each axis: a small picture of each."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from archloss.search.analysis.axes import Numeric
from archloss.search.analysis.dependence import Dependence
from archloss.search.report.answer.figures import GRID, HUES, format_ticks, use_style
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.measure import Measure
from archloss.search.report.answer.ticks import encode, list_ticks
from archloss.search.report.wording import format_setting

_COLUMNS = 3
_MOST_TICKS = 6
_MOST_LETTERS = 24
_ROOM = 0.06
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN = 0.72, 0.2, 0.1, 0.56, 0.3
"""Inches around and between panels."""


def draw_dependence(
    findings: Findings, shown: Sequence[Dependence], *, width: float, height: float
) -> Figure:
    """Return a panel for each axis, on one scale; sizes of one in inches."""
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    with use_style():
        whole_width, whole_height = _LEFT + width * columns, height * rows
        figure = Figure(figsize=(whole_width, whole_height))
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        # Margins that are known make a layout needless, which takes as long as all the drawing.
        figure.subplots_adjust(
            left=_LEFT / whole_width,
            right=1 - _RIGHT / whole_width,
            top=1 - _TOP / whole_height,
            bottom=_BOTTOM / whole_height,
            wspace=_BETWEEN / (width - _BETWEEN),
            hspace=(_BOTTOM + _TOP) / (height - _BOTTOM - _TOP),
        )
        for panel in panels[len(shown) :]:
            panel.set_visible(False)
        for place, (panel, one) in enumerate(zip(panels, shown, strict=False)):
            _draw_panel(panel, one)
            if place % columns == 0:
                panel.set_ylabel(f"mean {findings.measure.label}")
        scale_objective(panels[0], findings.measure)
        low, high = _find_range(findings.evidence.dependence)
        panels[0].set_ylim(low, high)
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
    panel.set_xlabel(one.axis.name)
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
    panel.set_xticks([encode(axis, tick) for tick in ticks], format_ticks(ticks))
    panel.set_xlim(-0.03, 1.03)


def _draw_levels(panel: Axes, one: Dependence) -> None:
    across = range(len(one.values))
    names = [format_setting(value) for value in one.values]
    panel.vlines(across, one.low, one.high, color=HUES[0], linewidth=2.0)
    panel.plot(across, one.mean, linestyle="none", marker="o", color=HUES[0], markersize=6)
    crowded = sum(map(len, names)) > _MOST_LETTERS
    panel.set_xticks(list(across), names, rotation=30 if crowded else 0)
    panel.set_xlim(-0.6, len(names) - 0.4)
