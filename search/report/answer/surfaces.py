"""The picture under the answer: the expected objective over context and choice, and the trials."""

import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from archloss.search.analysis.axes import Array, Numeric
from archloss.search.analysis.trials import Kind
from archloss.search.report.answer.colours import Colours, choose_colours, list_heights
from archloss.search.report.answer.figures import (
    INK,
    choose_look,
    label_axis,
    scale_choice,
    scale_context,
    use_style,
)
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.margins import wrap_upright
from archloss.search.report.answer.sentences import name_level
from archloss.search.report.answer.ticks import encode

_COLOURS = "viridis"
_COLUMNS = 2
_BAR_WIDTH = 1.2
"""Inches beside the panels: of the colours and what is written there."""
_BAR_ASPECT = 20
_LETTERS = 11
"""So many letters of a title are written in a line for each inch of a panel."""
_LEGEND_COLUMNS = 2
"""So many fit below one panel."""
_MOST_VECTOR_DOTS = 1500
_ROOM = 0.006
_KINDS = (
    (Kind.COMPLETED, "o", "trial"),
    (Kind.PRUNED, "d", "pruned"),
    (Kind.DIVERGED, "x", "diverged"),
)


def draw_surface(
    findings: Findings, levels: Sequence[int], *, width: float, height: float
) -> Figure:
    """Return the picture of the expected objective over context and choice, a panel per level.

    Panels stand two in a row. The colours are those of all levels, whichever are shown; sizes of a
    panel in inches.
    """
    columns = min(len(levels), _COLUMNS)
    rows = math.ceil(len(levels) / columns)
    with use_style():
        figure = Figure(figsize=(width * columns + _BAR_WIDTH, height * rows), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        panels = grid[: len(levels)]
        for unused in grid[len(levels) :]:
            unused.set_visible(False)
        colours, heights = choose_colours(findings), list_heights(findings)
        for axis, index in zip(panels, levels, strict=True):
            filled = _draw_panel(axis, findings, index, heights[index], colours)
            scale_context(axis, findings, room=_find_room(findings, findings.context_axis))
            name = name_level(findings, findings.answer.levels[index].level)
            axis.set_title(textwrap.fill(name, int(_LETTERS * width)))
        scale_choice(panels[0], findings, room=_find_room(findings, findings.choice_axis))
        for axis in panels[::columns]:
            axis.set_ylabel(wrap_upright(label_axis(findings.choice_axis), height))
        bar = figure.colorbar(
            filled, ax=list(panels), pad=0.02, aspect=_BAR_ASPECT * rows, extend=colours.extend
        )
        _scale_bar(bar, findings, colours)
        handles = {
            label: handle
            for axis in panels
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        legend = figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside lower left",
            ncols=_LEGEND_COLUMNS * columns,
            frameon=False,
        )
        for shown in legend.get_lines():
            if shown.get_markeredgecolor() == "white":  # as on the surface, and lost on paper
                shown.set_markeredgecolor(INK)
        return figure


def _draw_panel(
    axis: Axes, findings: Findings, index: int, heights: Array, colours: Colours
) -> ScalarMappable:
    answer = findings.answer
    level = answer.levels[index]
    contexts = [best.context for best in level.bests]
    across = [encode(findings.context_axis, context) for context in contexts]
    up = [encode(findings.choice_axis, choice) for choice in answer.choices]
    if findings.experiment is not None:
        filled = _draw_tiles(axis, across, up, heights, colours)
    else:
        filled = _draw_bands(axis, across, up, heights, colours)
    for kind, marker, label in _KINDS:
        if kind is Kind.DIVERGED or findings.experiment is None:  # of which all cells are full
            _draw_trials(axis, findings, index, kind, marker, label)
    bests = [encode(findings.choice_axis, best.choice.estimate) for best in level.bests]
    axis.plot(
        across,
        bests,
        color="white",
        linewidth=2.2,
        path_effects=[withStroke(linewidth=4.2, foreground="black")],
        zorder=4,
        label=f"best {findings.answer.choice}",
    )
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
    )
    return filled


def _draw_bands(
    axis: Axes, across: Sequence[float], up: Sequence[float], heights: Array, colours: Colours
) -> ScalarMappable:
    bands, norm = colours.bands, _make_norm(colours)
    filled = axis.contourf(
        across, up, heights.T, levels=bands, norm=norm, cmap=_COLOURS, extend=colours.extend
    )
    axis.contour(across, up, heights.T, levels=bands, colors="white", linewidths=0.4, alpha=0.5)
    return filled


def _draw_tiles(
    axis: Axes, across: Sequence[float], up: Sequence[float], heights: Array, colours: Colours
) -> ScalarMappable:
    """Draw each cell as a tile of one colour: nothing is known between them."""
    return axis.pcolormesh(
        across,
        up,
        heights.T,
        shading="nearest",
        norm=_make_norm(colours),
        cmap=_COLOURS,
        edgecolors="white",
        linewidth=0.6,
    )


def _make_norm(colours: Colours) -> Normalize:
    low, high = colours.bands[0], colours.bands[-1]
    return LogNorm(low, high) if colours.log else Normalize(low, high)


def _find_room(findings: Findings, axis: Numeric) -> float:
    """Return how much of an axis is shown beyond either end: half a tile of an experiment."""
    return _ROOM if findings.experiment is None else 0.5 / (len(axis.steps) - 1)


def _draw_trials(
    axis: Axes, findings: Findings, index: int, kind: Kind, marker: str, label: str
) -> None:
    contexts, choices = findings.list_places(kind, index)
    if not len(contexts):
        return  # a line without points would reach to the figure's corner, and leave no room
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


def _scale_bar(bar: Colorbar, findings: Findings, colours: Colours) -> None:
    measured = "expected" if findings.experiment is None else "mean"
    bar.set_label(f"{measured} {findings.measure.label}, tuned")
    bar.ax.yaxis.set_major_locator(FixedLocator([tick for tick, _ in colours.ticks]))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FixedFormatter([text for _, text in colours.ticks]))
