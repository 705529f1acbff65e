"""The picture of the answer: the best choice over the context.

It is drawn in places of the axes, from 0 to 1, so that ratios are equally far where they count.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from archloss.search.analysis.axes import Numeric
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.margins import wrap_upright
from archloss.search.report.answer.sentences import name_level
from archloss.search.report.answer.ticks import encode, list_ticks
from archloss.search.report.wording import format_number

INK, MUTED, GRID, PAPER = "#212529", "#5c636a", "#dee2e6", "#fefefe"
HUES = ("#0b5fa5", "#c2410c", "#0f766e", "#9d2b7a")
"""Of the levels, in their order from the last; apart also to the colour-blind, and in grey."""
_LINES = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (5, 2, 1, 2)))
_MARKERS = ("o", "s", "^", "D")
_NOTES = {"ce_weight": "0: MSE, 1: cross-entropy", "depth": "hidden blocks"}
_UNKNOWN = 0.9
"""A best choice is drawn hollow where its interval is so much of all choices."""
DODGE = 0.012
"""How far levels stand apart from each other, so that their intervals do not hide each other."""


_LEGEND_COLUMNS, _LEGEND_ROW = 2, 0.2
"""A row's height in inches."""


def use_style() -> AbstractContextManager[None]:
    """Return the context in which figures are drawn: quiet axes, and no mathematics in names."""
    return rc_context(
        {
            "text.parse_math": False,  # a column may be called $x$
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": MUTED,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "font.size": 9.5,
            "axes.titlesize": 10.5,
            "axes.labelsize": 9.5,
            "legend.fontsize": 9.5,
        }
    )


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a level is drawn: its colour, line and marker."""

    hue: str
    line: str | tuple[float, tuple[float, ...]]
    marker: str


def choose_look(findings: Findings, index: int) -> Look:
    """Return how a level is drawn; the last, such as residual networks, gets the first look."""
    hue, shape = choose_places(findings, index)
    return Look(hue=HUES[hue], line=_LINES[shape], marker=_MARKERS[shape])


def choose_places(findings: Findings, index: int) -> tuple[int, int]:
    """Return the places of a level's hue, and of its line and marker, among those that there are.

    When all hues are used up they come again with other lines.
    """
    turn, hue = divmod(len(findings.answer.levels) - 1 - index, len(HUES))
    return hue, (hue + turn) % len(_LINES)


def draw_best(findings: Findings, *, width: float, height: float) -> Figure:
    """Return the picture of the best choice over the context, with its band; sizes in inches.

    It is higher by further rows of its legend.
    """
    count = len(findings.answer.levels)
    further = max(math.ceil(count / _LEGEND_COLUMNS) - 1, 0)
    with use_style():
        figure = Figure(figsize=(width, height + _LEGEND_ROW * further), layout="constrained")
        FigureCanvasAgg(figure)
        axis = figure.subplots()
        axis.grid(color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        for index in range(count):
            _draw_level(axis, findings, index)
        scale_context(axis, findings, room=0.03 + DODGE * max(count - 2, 0) / 2)
        scale_choice(axis, findings, room=0.03)
        axis.set_ylabel(wrap_upright(f"best {label_axis(findings.choice_axis)}", height))
        axis.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside upper left", ncols=_LEGEND_COLUMNS, frameon=False)
        return figure


def _draw_level(axis: Axes, findings: Findings, index: int) -> None:
    answer, look = findings.answer, choose_look(findings, index)
    level = answer.levels[index]
    aside = DODGE * (index - (len(answer.levels) - 1) / 2)
    across = [encode(findings.context_axis, best.context) + aside for best in level.bests]
    lows, middles, highs = (
        [encode(findings.choice_axis, getattr(best.choice, end)) for best in level.bests]
        for end in ("low", "estimate", "high")
    )
    axis.fill_between(across, lows, highs, color=look.hue, alpha=0.10, linewidth=0)
    axis.vlines(across, lows, highs, color=look.hue, linewidth=1.3, alpha=0.75)
    axis.plot(
        across,
        middles,
        color=look.hue,
        linestyle=look.line,
        linewidth=2.0,
        marker=look.marker,
        markersize=6,
        label=name_level(findings, level.level),
        zorder=3,
    )
    whole = encode(findings.choice_axis, answer.choices[-1]) - encode(
        findings.choice_axis, answer.choices[0]
    )
    hollow = [
        (x, y)
        for x, y, low, high in zip(across, middles, lows, highs, strict=True)
        if high - low > _UNKNOWN * whole
    ]
    if hollow:
        axis.plot(
            *zip(*hollow, strict=True),
            linestyle="none",
            marker=look.marker,
            markersize=6,
            markerfacecolor=PAPER,
            markeredgecolor=look.hue,
            markeredgewidth=1.4,
            zorder=4,
        )


def scale_context(axis: Axes, findings: Findings, *, room: float) -> None:
    """Make x show the context, with some room beyond either end, as a part of the whole."""
    contexts, numeric = findings.answer.contexts, findings.context_axis
    ticks = list_ticks(numeric, contexts[0], contexts[-1])
    axis.set_xticks([encode(numeric, tick) for tick in ticks], format_ticks(ticks))
    low, high = encode(numeric, contexts[0]), encode(numeric, contexts[-1])
    axis.set_xlim(low - room * (high - low), high + room * (high - low))
    axis.set_xlabel(label_axis(numeric))


def scale_choice(axis: Axes, findings: Findings, *, room: float) -> None:
    """Make y show the choice, with some room beyond either end, as a part of the whole."""
    choices, numeric = findings.answer.choices, findings.choice_axis
    ticks = list_ticks(numeric, choices[0], choices[-1])
    axis.set_yticks([encode(numeric, tick) for tick in ticks], format_ticks(ticks))
    low, high = encode(numeric, choices[0]), encode(numeric, choices[-1])
    axis.set_ylim(low - room * (high - low), high + room * (high - low))


def format_ticks(ticks: Sequence[float]) -> list[str]:
    """Return ticks as they are written."""
    return [format_number(tick) for tick in ticks]


def label_axis(axis: Numeric) -> str:
    """Return an axis's name, and what it counts if that is known."""
    note = _NOTES.get(axis.name)
    return axis.name if note is None else f"{axis.name} ({note})"
