"""The picture under the answer: the expected objective over context and choice, and the trials."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm, Normalize
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from archloss.search.analysis.axes import Numeric
from archloss.search.analysis.trials import Kind
from archloss.search.report.answer.figures import (
    INK,
    choose_look,
    label_axis,
    scale_choice,
    scale_context,
    use_style,
)
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.sentences import name_level
from archloss.search.report.answer.ticks import encode, list_ticks
from archloss.search.report.scales import find_colour_range

_COLOURS = "viridis"
_BANDS = 12
_LEGEND_COLUMNS = 2
"""So many fit below one panel."""
_SPREAD_FOR_LOG = 4.0
_MOST_VECTOR_DOTS = 1500
_ROOM = 1e-6
"""The lowest band begins so much below the lowest value, which rounding might put outside."""


def draw_surface(
    findings: Findings, levels: Sequence[int], *, width: float, height: float
) -> Figure:
    """Return the picture of the expected objective over context and choice, a panel per level.

    The colours are those of all levels, whichever are shown; sizes in inches.
    """
    with use_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(levels), sharey=True, squeeze=False)[0]
        norm, bands = _choose_colours(findings)
        for axis, index in zip(panels, levels, strict=True):
            filled = _draw_panel(axis, findings, index, norm, bands)
            scale_context(axis, findings, room=0.006)
            axis.set_title(name_level(findings.answer.by, findings.answer.levels[index].level))
        scale_choice(panels[0], findings, room=0.006)
        panels[0].set_ylabel(label_axis(findings.choice_axis))
        _scale_bar(figure.colorbar(filled, ax=list(panels), pad=0.02), findings, norm, bands)
        handles, labels = panels[0].get_legend_handles_labels()
        columns = _LEGEND_COLUMNS * len(levels)
        legend = figure.legend(
            handles, labels, loc="outside lower left", ncols=columns, frameon=False
        )
        for shown in legend.get_lines():
            if shown.get_markeredgecolor() == "white":  # as on the surface, and lost on paper
                shown.set_markeredgecolor(INK)
        return figure


def _choose_colours(findings: Findings) -> tuple[Normalize, list[float]]:
    """Return the colours of the objective, and the values at which they change."""
    values = np.concatenate([level.profile.ravel() for level in findings.answer.levels])
    if values.min() > 0 and values.max() > _SPREAD_FOR_LOG * values.min():
        low, high = np.exp(find_colour_range(list(np.log(values))))
        bands = np.geomspace(low * (1 - _ROOM), high, _BANDS)
        return LogNorm(bands[0], high), list(bands)
    low, high = find_colour_range(list(values))
    bands = np.linspace(low - _ROOM * abs(low), high, _BANDS)
    return Normalize(bands[0], high), list(bands)


def _draw_panel(
    axis: Axes, findings: Findings, index: int, norm: Normalize, bands: Sequence[float]
) -> ContourSet:
    answer = findings.answer
    level = answer.levels[index]
    contexts = [best.context for best in level.bests]
    across = [encode(findings.context_axis, context) for context in contexts]
    up = [encode(findings.choice_axis, choice) for choice in answer.choices]
    heights = level.profile.T
    filled = axis.contourf(
        across, up, heights, levels=bands, norm=norm, cmap=_COLOURS, extend="max"
    )
    axis.contour(across, up, heights, levels=bands, colors="white", linewidths=0.4, alpha=0.5)
    for kind, marker, label in (
        (Kind.COMPLETED, "o", "trial"),
        (Kind.PRUNED, "d", "pruned"),
        (Kind.DIVERGED, "x", "diverged"),
    ):
        _draw_trials(axis, findings, index, kind, marker, label)
    bests = [encode(findings.choice_axis, best.choice.estimate) for best in level.bests]
    for colour, thick in (("black", 4.2), ("white", 2.2)):
        axis.plot(across, bests, color=colour, linewidth=thick, zorder=4)
    axis.plot(
        across,
        bests,
        linestyle="none",
        marker=choose_look(findings, index).marker,
        markerfacecolor="white",
        markeredgecolor="black",
        markersize=6,
        zorder=5,
        clip_on=False,
        label=f"best {findings.answer.choice}",
    )
    return filled


def _draw_trials(
    axis: Axes, findings: Findings, index: int, kind: Kind, marker: str, label: str
) -> None:
    contexts, choices = findings.list_places(kind, index)
    if not findings.trials.count(kind):
        return
    axis.plot(
        findings.context_axis.encode(contexts),
        findings.choice_axis.encode(choices),
        linestyle="none",
        marker=marker,
        markersize=3.0 if kind is Kind.COMPLETED else 4.0,
        markerfacecolor="white" if kind is Kind.COMPLETED else "none",
        markeredgecolor="#495057" if kind is Kind.COMPLETED else "white",
        markeredgewidth=0.5 if kind is Kind.COMPLETED else 0.9,
        label=label,
        clip_on=False,
        rasterized=len(contexts) > _MOST_VECTOR_DOTS,
    )


def _scale_bar(bar: Colorbar, findings: Findings, norm: Normalize, bands: Sequence[float]) -> None:
    bar.set_label(f"expected {findings.measure.label}, tuned")
    low, high = bands[0], bands[-1]
    scale = Numeric(name="value", low=low, high=high, log=isinstance(norm, LogNorm))
    factor = findings.measure.factor
    ticks = [tick / factor for tick in list_ticks(scale, factor * low, factor * high)]
    bar.ax.yaxis.set_major_locator(FixedLocator(ticks))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    percent = "%" if findings.measure.is_error_rate else ""
    bar.ax.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{factor * value:.3g}{percent}")
    )
