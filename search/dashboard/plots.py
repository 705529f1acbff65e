"""The answer's pictures as the Optuna dashboard draws them: plotly's figures, as plain JSON.

They are written by hand, and not by plotly.py: each figure is read again whenever any page of the
dashboard asks for news, so that it has to be small.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archloss.search.analysis.axes import Array, Numeric
from archloss.search.analysis.verdict import Interval
from archloss.search.report.answer.colours import Colours, choose_colours, list_heights
from archloss.search.report.answer.figures import (
    DODGE,
    HUES,
    choose_places,
    format_ticks,
    label_axis,
)
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.sentences import name_level
from archloss.search.report.answer.ticks import list_ticks

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "triangle-up", "diamond")
_UNKNOWN = 0.9
_CHOICES = 15
_FONT = {"size": 13, "color": "#212529"}
_GRID = "#dee2e6"
_COLUMNS = 2
_GAP, _ROW_GAP = 0.04, 0.24
"""Parts of the whole between panels beside and below each other."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A plotly figure: its traces and its layout, of plain values alone."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]

    def to_json(self) -> str:
        """Return the figure as the dashboard keeps it: with no space, and no name for white."""
        return json.dumps({"data": self.data, "layout": self.layout}, separators=(",", ":"))


def plot_best(findings: Findings) -> Plot:
    """Return the best choice over the context, with its 95% interval, a line for each level."""
    answer = findings.answer
    choice = f"best {label_axis(findings.choice_axis)}"
    title = f"Best {answer.choice} over {answer.context}, with 95% intervals"
    return Plot(
        data=[_make_line(findings, index) for index in range(len(answer.levels))],
        layout={
            **_make_layout(title),
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": _make_axis(findings.context_axis, answer.contexts),
            "yaxis": _make_axis(findings.choice_axis, answer.choices) | {"title": {"text": choice}},
        },
    )


def plot_surface(findings: Findings) -> Plot:
    """Return the expected objective over context and choice, a panel for each level.

    Of an experiment it is the mean of each cell.
    """
    answer, tiled = findings.answer, findings.experiment is not None
    shown = f"{'Mean' if tiled else 'Expected'} {findings.measure.label}"
    data: list[dict[str, Any]] = []
    layout = _make_layout(f"{shown}, everything else tuned; the line is the best")
    layout |= {"annotations": [], "showlegend": False}
    across = _make_axis(findings.context_axis, answer.contexts)
    up = _make_axis(findings.choice_axis, answer.choices)
    if tiled:
        across = _make_tiled_axis(findings.context_axis)
        up = _make_tiled_axis(findings.choice_axis)
    colours, heights = choose_colours(findings), list_heights(findings)
    columns = min(len(answer.levels), _COLUMNS)
    width = (1 + _GAP) / columns
    height = (1 + _ROW_GAP) / math.ceil(len(answer.levels) / columns)
    for index, level in enumerate(answer.levels):
        number = "" if index == 0 else str(index + 1)
        row, column = divmod(index, columns)
        ends = [_round(column * width), _round((column + 1) * width - _GAP)]
        top = _round(1 - row * height)
        layout[f"xaxis{number}"] = {**across, "domain": ends, "anchor": f"y{number}"}
        layout[f"yaxis{number}"] = {
            **up,
            "domain": [max(_round(top - height + _ROW_GAP), 0), top],
            "anchor": f"x{number}",
        }
        if column > 0:
            layout[f"yaxis{number}"] |= {"showticklabels": False, "title": {"text": ""}}
        name = name_level(findings, level.level)
        layout["annotations"].append(_name_panel(name, sum(ends) / 2, top))
        place = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        panel = _make_panel(findings, index, heights[index], colours)
        data += [{**trace, **place} for trace in panel]
    return Plot(data=data, layout=layout)


def plot_nothing() -> Plot:
    """Return the figure that takes a plot's place where there is no answer any more."""
    return Plot(data=[], layout=_make_layout("No answer yet: the study's note says why"))


def _make_line(findings: Findings, index: int) -> dict[str, Any]:
    answer = findings.answer
    level = answer.levels[index]
    place, shape = choose_places(findings, index)
    intervals = [best.choice for best in level.bests]
    hue = HUES[place]
    whole = _UNKNOWN * (answer.choices[-1] - answer.choices[0])
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name_level(findings, level.level),
        "x": _move_aside(findings, index),
        "y": [_round(interval.estimate) for interval in intervals],
        "error_y": {"type": "data", "symmetric": False, **_make_bars(intervals), "thickness": 1},
        "customdata": [_round(best.context) for best in level.bests],
        "hovertemplate": f"{answer.context} %{{customdata}}<br>{answer.choice} %{{y}}",
        "line": {"color": hue, "dash": _DASHES[shape], "width": 2},
        "marker": {
            "color": ["#fff" if one.high - one.low > whole else hue for one in intervals],
            "line": {"color": hue, "width": 1.5},
            "size": 9,
            "symbol": _SYMBOLS[shape],
        },
    }


def _move_aside(findings: Findings, index: int) -> list[float]:
    """Return a level's contexts, a little apart from those of others, that all bars are seen."""
    contexts, levels = findings.answer.contexts, findings.answer.levels
    part = DODGE * (index - (len(levels) - 1) / 2)
    own = [best.context for best in levels[index].bests]
    if _is_logarithmic(findings.context_axis, contexts):
        return [_round(context * (contexts[-1] / contexts[0]) ** part) for context in own]
    return [_round(context + part * (contexts[-1] - contexts[0])) for context in own]


def _make_bars(intervals: Sequence[Interval]) -> dict[str, list[float]]:
    return {
        "array": [_round(one.high - one.estimate) for one in intervals],
        "arrayminus": [_round(one.estimate - one.low) for one in intervals],
    }


def _make_panel(
    findings: Findings, index: int, heights: Array, colours: Colours
) -> list[dict[str, Any]]:
    """Return a level's surface, or its cells as tiles, and the line of its best choices."""
    answer, factor = findings.answer, findings.measure.factor
    unit = "%" if findings.measure.is_error_rate else ""
    tiled = findings.experiment is not None
    across: Callable[[float], float | str] = findings.format_context if tiled else _round
    up: Callable[[float], float | str] = findings.format_choice if tiled else _round
    most = len(answer.choices) if tiled else _CHOICES
    places = np.unique(np.linspace(0, len(answer.choices) - 1, most).round().astype(int))
    shown = factor * heights.T[places]
    bests = answer.levels[index].bests
    contexts = [across(best.context) for best in bests]
    return [
        {
            "x": contexts,
            "y": [up(answer.choices[place]) for place in places],
            "z": _list(np.log10(shown) if colours.log else shown),
            **({"text": _list(shown)} if colours.log else {}),
            **_paint(colours, factor=factor, tiled=tiled),
            **(_make_bar(colours, factor) if index == 0 else {"showscale": False}),
            "hovertemplate": f"{answer.context} %{{x}}<br>{answer.choice} %{{y}}<br>"
            f"%{{{'text' if colours.log else 'z'}}}{unit}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"best {answer.choice}",
            "x": contexts,
            "y": [up(best.choice.estimate) for best in bests],
            "line": {"color": "#fff", "width": 3},
            "marker": {"color": "#fff", "line": {"color": "#000", "width": 1}, "size": 8},
        },
    ]


def _paint(colours: Colours, *, factor: float, tiled: bool) -> dict[str, Any]:
    """Return a surface's colours: where they change as in the report, or continuous on tiles."""
    low, high = (_place(colours, factor * end) for end in (colours.bands[0], colours.bands[-1]))
    kind: dict[str, Any] = {"type": "heatmap", "xgap": 1, "ygap": 1}
    if not tiled:
        step = (high - low) / (len(colours.bands) - 1)
        kind = {
            "type": "contour",
            "autocontour": False,
            "contours": {"start": low, "end": high, "size": _round(step)},
            "line": {"width": 0.5, "color": "#fff"},
        }
    return {
        **kind,
        "zmin": low,
        "zmax": high,
        "zauto": False,
        "colorscale": "Viridis",
    }


def _make_bar(colours: Colours, factor: float) -> dict[str, Any]:
    """Return the bar beside the panels, with the ticks of the report."""
    bar = {
        "thickness": 14,
        "tickvals": [_place(colours, factor * tick) for tick, _ in colours.ticks],
        "ticktext": [text for _, text in colours.ticks],
    }
    return {"colorbar": bar}


def _place(colours: Colours, shown: float) -> float:
    """Return where a value, as it is shown, lies among the colours."""
    return _round(math.log10(shown) if colours.log else shown)


def _make_layout(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": 15}, "x": 0.02, "xanchor": "left"},
        "font": _FONT,
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "margin": {"l": 70, "r": 20, "t": 80, "b": 60},
        "hovermode": "closest",
    }


def _is_logarithmic(axis: Numeric, values: Sequence[float]) -> bool:
    return axis.log and values[0] > 0


def _make_tiled_axis(axis: Numeric) -> dict[str, Any]:
    """Return an axis on which an experiment's values are equally far apart."""
    return {
        "type": "category",
        "title": {"text": label_axis(axis), "standoff": 12},
        "automargin": True,
    }


def _make_axis(axis: Numeric, values: Sequence[float]) -> dict[str, Any]:
    """Return an axis over values, with the ticks of the report; logarithmic where it can be."""
    log = _is_logarithmic(axis, values)
    ticks = list_ticks(axis, values[0], values[-1])
    low, high = (math.log10(value) if log else value for value in (values[0], values[-1]))
    room = 0.03 * (high - low)
    return {
        "type": "log" if log else "linear",
        "title": {"text": label_axis(axis)},
        "range": [_round(low - room), _round(high + room)],
        "tickvals": [_round(tick) for tick in ticks],
        "ticktext": format_ticks(ticks),
        "gridcolor": _GRID,
        "zeroline": False,
    }


def _name_panel(text: str, middle: float, top: float) -> dict[str, Any]:
    return {
        "text": text,
        "x": _round(middle),
        "y": _round(top + 0.01),
        "xref": "paper",
        "yref": "paper",
        "xanchor": "center",
        "yanchor": "bottom",
        "showarrow": False,
    }


def _list(values: Array) -> list[list[float]]:
    """Return three digits of each: more than a colour shows."""
    return [[float(f"{value:.3g}") for value in row] for row in values]


def _round(value: float) -> float:
    """Return four digits: more than can be seen."""
    return float(f"{value:.4g}")
