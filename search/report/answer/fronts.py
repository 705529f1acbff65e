"""Small networks that do well: the picture and the table of the Pareto fronts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from archloss.search.analysis.evidence import Front, SizedTrial
from archloss.search.report.answer.figures import GRID, HUES, MUTED, PAPER, use_style
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.margins import wrap_upright
from archloss.search.report.answer.measure import Measure
from archloss.search.report.scales import find_colour_range

Cost = Literal["parameters", "flops"]
COSTS: tuple[Cost, ...] = ("parameters", "flops")
_LABELS: dict[Cost, str] = {"parameters": "parameters", "flops": "FLOPs per example"}
_SPREAD_FOR_LOG = 4.0
_MOST_VECTOR_DOTS = 1500
_ROOM = 1.15
_STEPS = (1.0, 2.0, 5.0)
_TICKS = {30.0: _STEPS, 1000.0: (1.0, 3.0), np.inf: (1.0,)}
"""Ticks of a decade, by the ratio below which the largest is to the smallest."""


@dataclass(frozen=True, kw_only=True)
class FrontRow:
    """A trial on a front, each of its columns written out."""

    number: str
    parameters: str
    flops: str
    value: str
    depth: str
    width: str
    residual: str


def list_front(findings: Findings, front: Front) -> list[FrontRow]:
    """Return the trials on either front, the smallest first."""
    return [
        FrontRow(
            number=str(trial.number),
            parameters=f"{trial.size.parameters:,}",
            flops=f"{trial.size.flops:,}",
            value=findings.measure.format_value(trial.value),
            depth=str(trial.depth),
            width=str(trial.width),
            residual="yes" if trial.residual else "no",
        )
        for trial in front.list_best()
    ]


def draw_front(
    findings: Findings, front: Front, costs: Sequence[Cost], *, width: float, height: float
) -> Figure:
    """Return the picture of the objective over sizes, a panel for each cost; sizes in inches."""
    with use_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
        for panel, cost in zip(panels, costs, strict=True):
            _draw_panel(panel, front, cost)
        panels[0].set_ylabel(wrap_upright(findings.measure.label, height))
        _scale_values(panels[0], findings.measure, front)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False)
        return figure


def describe_front(findings: Findings, front: Front, cost: Cost) -> str:
    """Return in words what a panel shows."""
    best = ", ".join(
        f"{findings.measure.format_value(trial.value)} with {_get_cost(trial, cost):,}"
        for trial in front.list_best()
        if _is_on(trial, cost)
    )
    return f"Lowest {findings.measure.label} over {_LABELS[cost]}: {best}"


def _get_cost(trial: SizedTrial, cost: Cost) -> int:
    return trial.size.parameters if cost == "parameters" else trial.size.flops


def _is_on(trial: SizedTrial, cost: Cost) -> bool:
    return trial.on_parameters if cost == "parameters" else trial.on_flops


def _draw_panel(panel: Axes, front: Front, cost: Cost) -> None:
    panel.grid(color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    costs = [_get_cost(trial, cost) for trial in front.trials]
    panel.plot(
        costs,
        [trial.value for trial in front.trials],
        linestyle="none",
        marker="o",
        markersize=3.2,
        markerfacecolor=PAPER,
        markeredgecolor=MUTED,
        markeredgewidth=0.6,
        alpha=0.55,
        label="trial",
        rasterized=len(costs) > _MOST_VECTOR_DOTS,
    )
    best = [trial for trial in front.list_best() if _is_on(trial, cost)]
    best.sort(key=lambda trial: _get_cost(trial, cost))
    across = [_get_cost(trial, cost) for trial in best]
    values = [trial.value for trial in best]
    panel.step(
        [*across, max(costs)], [*values, values[-1]], where="post", color=HUES[0], linewidth=1.6
    )
    panel.plot(
        across,
        values,
        linestyle="none",
        marker="o",
        markersize=6,
        color=HUES[0],
        label="no smaller network did as well",
        zorder=3,
    )
    _scale_costs(panel, min(costs), max(costs))
    panel.set_xlabel(_LABELS[cost])


def _scale_costs(panel: Axes, low: int, high: int) -> None:
    """Make x logarithmic, with a few round ticks."""
    panel.set_xscale("log")
    panel.set_xlim(low / _ROOM, high * _ROOM)
    steps = next(steps for ratio, steps in _TICKS.items() if high / low < ratio)
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = [float(step * decade) for decade in decades for step in steps]
    inside = [tick for tick in ticks if low / _ROOM <= tick <= high * _ROOM]
    panel.xaxis.set_major_locator(FixedLocator(inside if len(inside) > 1 else [low, high]))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda size, _: format_size(size)))


def format_size(size: float) -> str:
    """Return a number of parameters or FLOPs for a tick.

    >>> [format_size(size) for size in (500, 2000, 15000, 3e6)]
    ['500', '2k', '15k', '3M']
    """
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{size / unit:.3g}{name}"
    return f"{size:.3g}"


def _scale_values(panel: Axes, measure: Measure, front: Front) -> None:
    """Make y show the objective: logarithmic where it spreads far, else without far outliers."""
    values = [trial.value for trial in front.trials]
    low, high = min(values), max(values)
    percent = "%" if measure.is_error_rate else ""
    if low > 0 and high > _SPREAD_FOR_LOG * low:
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=_STEPS))
        panel.yaxis.set_minor_formatter(NullFormatter())
    else:
        low, high = find_colour_range(values)
        panel.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    panel.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{measure.factor * value:.3g}{percent}")
    )
