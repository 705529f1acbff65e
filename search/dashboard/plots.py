"""The answer's pictures as the Optuna dashboard draws them: plotly's figures, as plain JSON.

They are written by hand, and not by plotly.py: each figure is read again whenever any page of the
dashboard asks for news, so that it has to be small.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archloss.search.analysis.axes import Array, Numeric
from archloss.search.analysis.verdict import Interval
from archloss.search.report.answer.figures import HUES, label_axis
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.sentences import name_level
from archloss.search.report.answer.ticks import list_ticks
from archloss.search.report.scales import find_colour_range

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "triangle-up", "diamond")
_UNKNOWN = 0.9
_CHOICES = 21
_FONT = {"size": 13, "color": "#212529"}
_GRID = "#dee2e6"
_GAP = 0.04


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
    """Return the expected objective over context and choice, a panel for each level."""
    answer = findings.answer
    title = f"Expected {findings.measure.label}, everything else tuned; the line is the best"
    data: list[dict[str, Any]] = []
    layout = _make_layout(title) | {"annotations": [], "showlegend": False}
    width = (1 + _GAP) / len(answer.levels)
    for index, level in enumerate(answer.levels):
        number = "" if index == 0 else str(index + 1)
        start, end = index * width, (index + 1) * width - _GAP
        across = _make_axis(findings.context_axis, answer.contexts)
        up = _make_axis(findings.choice_axis, answer.choices)
        layout[f"xaxis{number}"] = {**across, "domain": [_round(start), _round(end)]}
        layout[f"yaxis{number}"] = {**up, "anchor": f"x{number}"}
        if index > 0:
            layout[f"yaxis{number}"] |= {"showticklabels": False, "title": {"text": ""}}
        layout["annotations"].append(_name_panel(name_level(answer.by, level.level), start, end))
        place = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        data += [{**trace, **place} for trace in _make_panel(findings, index)]
    return Plot(data=data, layout=layout)


def plot_nothing() -> Plot:
    """Return the figure that takes a plot's place where there is no answer any more."""
    return Plot(data=[], layout=_make_layout("No answer yet: the study's note says why"))


def _make_line(findings: Findings, index: int) -> dict[str, Any]:
    answer = findings.answer
    level = answer.levels[index]
    place = (len(answer.levels) - 1 - index) % len(HUES)
    intervals = [best.choice for best in level.bests]
    hue = HUES[place]
    whole = _UNKNOWN * (answer.choices[-1] - answer.choices[0])
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name_level(answer.by, level.level),
        "x": [_round(best.context) for best in level.bests],
        "y": [_round(interval.estimate) for interval in intervals],
        "error_y": {"type": "data", "symmetric": False, **_make_bars(intervals), "thickness": 1},
        "line": {"color": hue, "dash": _DASHES[place], "width": 2},
        "marker": {
            "color": ["#fff" if one.high - one.low > whole else hue for one in intervals],
            "line": {"color": hue, "width": 1.5},
            "size": 9,
            "symbol": _SYMBOLS[place],
        },
    }


def _make_bars(intervals: Sequence[Interval]) -> dict[str, list[float]]:
    return {
        "array": [_round(one.high - one.estimate) for one in intervals],
        "arrayminus": [_round(one.estimate - one.low) for one in intervals],
    }


def _make_panel(findings: Findings, index: int) -> list[dict[str, Any]]:
    answer, measure = findings.answer, findings.measure
    level = answer.levels[index]
    places = np.unique(np.linspace(0, len(answer.choices) - 1, _CHOICES).round().astype(int))
    profile = measure.factor * level.profile
    low, high = _find_range(findings)
    unit = "%" if measure.is_error_rate else ""
    contexts = [_round(best.context) for best in level.bests]
    return [
        {
            "type": "contour",
            "x": contexts,
            "y": [_round(answer.choices[place]) for place in places],
            "z": [
                [_round(profile[row, place]) for row in range(len(contexts))] for place in places
            ],
            "zmin": _round(low),
            "zmax": _round(high),
            "zauto": False,
            "autocontour": False,
            "contours": {
                "start": _round(low),
                "end": _round(high),
                "size": _round((high - low) / 12),
            },
            "colorscale": "Viridis",
            "line": {"width": 0.5, "color": "#fff"},
            "showscale": index == 0,
            "colorbar": {"ticksuffix": unit, "tickformat": ".3~g", "thickness": 14},
            "hovertemplate": f"{answer.context} %{{x}}<br>{answer.choice} %{{y}}<br>"
            f"%{{z}}{unit}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": contexts,
            "y": [_round(best.choice.estimate) for best in level.bests],
            "line": {"color": "#fff", "width": 3},
            "marker": {"color": "#fff", "line": {"color": "#000", "width": 1}, "size": 8},
        },
    ]


def _find_range(findings: Findings) -> tuple[float, float]:
    """Return the range of colours over all levels, which a few hopeless places do not stretch."""
    levels = findings.answer.levels
    values: Array = np.concatenate([level.profile.ravel() for level in levels])
    low, high = find_colour_range([float(value) for value in findings.measure.factor * values])
    return low, high


def _make_layout(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": 15}, "x": 0.02, "xanchor": "left"},
        "font": _FONT,
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "margin": {"l": 70, "r": 20, "t": 80, "b": 60},
        "hovermode": "closest",
    }


def _make_axis(axis: Numeric, values: Sequence[float]) -> dict[str, Any]:
    """Return an axis over values, with the ticks of the report; logarithmic where it can be."""
    log = axis.log and values[0] > 0
    ticks = list_ticks(axis, values[0], values[-1])
    low, high = (math.log10(value) if log else value for value in (values[0], values[-1]))
    room = 0.03 * (high - low)
    return {
        "type": "log" if log else "linear",
        "title": {"text": label_axis(axis)},
        "range": [_round(low - room), _round(high + room)],
        "tickvals": [_round(tick) for tick in ticks],
        "ticktext": [f"{tick:.3g}" if abs(tick) < 1000 else f"{tick:g}" for tick in ticks],
        "gridcolor": _GRID,
        "zeroline": False,
    }


def _name_panel(text: str, start: float, end: float) -> dict[str, Any]:
    return {
        "text": text,
        "x": _round((start + end) / 2),
        "y": 1.01,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "center",
        "yanchor": "bottom",
        "showarrow": False,
    }


def _round(value: float) -> float:
    """Return four digits: more than can be seen."""
    return float(f"{value:.4g}")
