"""What the objective depends on: the picture and the table of its variance's shares."""

from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from archloss.search.analysis.importance import Importance, Share
from archloss.search.analysis.verdict import Interval
from archloss.search.report.answer.figures import GRID, HUES, INK, use_style
from archloss.search.report.answer.findings import Findings

_MOST = 9
_SMALLEST = 0.005
"""A term whose interval ends below that is shown only where it is asked about."""
_ORDERS = {
    order: (hue, label)
    for order, hue, label in zip(
        (1, 2, 3, 4), HUES, ("one axis", "two axes", "three axes", "four axes"), strict=True
    )
}
_ROW, _LINE, _BAR, _AROUND = 0.28, 0.14, 0.18, 0.9
"""Inches: of a term, of each further line of its name, of its bar, and above and below all."""
_LETTERS = 5
"""So many letters of a term are written in a line for each inch of the picture."""
_TIMES = " \N{MULTIPLICATION SIGN} "


@dataclass(frozen=True, kw_only=True)
class ShareRow:
    """A term, its share of the variance, and that share's interval, each written out."""

    name: str
    share: str
    share_range: str


def name_term(share: Share) -> str:
    """Return a term as its axes are multiplied."""
    return _TIMES.join(share.axes)


def choose_terms(findings: Findings, importance: Importance) -> list[int]:
    """Return the places of the largest terms, and of the question's own interaction, in order."""
    answer = findings.answer
    asked = {answer.context, answer.choice}
    return [
        place
        for place, share in enumerate(importance.terms)
        if (place < _MOST and share.share.high >= _SMALLEST)
        or asked <= set(share.axes) <= asked | {answer.by}
    ]


def list_shares(findings: Findings, importance: Importance) -> list[ShareRow]:
    """Return the rows of the table: the terms that are shown, and what the others sum to."""
    shown = choose_terms(findings, importance)
    others = [place for place in range(len(importance.terms)) if place not in shown]
    rows = [
        _make_row(name_term(importance.terms[place]), importance.terms[place].share)
        for place in shown
    ]
    if others:
        name = f"{len(others)} others together" if len(others) > 1 else "one other"
        rows.append(_make_row(name, importance.add(others)))
    return rows


def _make_row(name: str, share: Interval) -> ShareRow:
    return ShareRow(
        name=name,
        share=f"{100 * share.estimate:.1f}%",
        share_range=f"{100 * share.low:.1f} to {100 * share.high:.1f}",
    )


def draw_importance(findings: Findings, importance: Importance, *, width: float) -> Figure:
    """Return the picture of the largest shares, with their intervals; `width` in inches."""
    shown = [importance.terms[place] for place in choose_terms(findings, importance)][::-1]
    with use_style():
        names = [_wrap(share, int(_LETTERS * width)) for share in shown]
        heights = [_ROW + _LINE * (len(lines) - 1) for lines in names]
        places = np.cumsum(heights) - np.array(heights) / 2
        figure = Figure(figsize=(width, _AROUND + sum(heights)), layout="constrained")
        FigureCanvasAgg(figure)
        axis = figure.subplots()
        axis.grid(axis="x", color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        told = set()
        for place, share in zip(places.tolist(), shown, strict=True):
            order = len(share.axes)
            hue, label = _ORDERS[order]
            axis.barh(
                place,
                share.share.estimate,
                height=_BAR,
                color=hue,
                alpha=0.6,
                label=None if order in told else label,
            )
            told.add(order)
            axis.hlines(place, share.share.low, share.share.high, color=INK, linewidth=1.4)
            axis.plot(share.share.estimate, place, "o", color=INK, markersize=2.6, clip_on=False)
        # A tick for each line: lines of one label part from each other in a page's own font.
        lines = [
            (place + _LINE * ((len(name) - 1) / 2 - number), line)
            for place, name in zip(places.tolist(), names, strict=True)
            for number, line in enumerate(name)
        ]
        axis.set_yticks([place for place, _ in lines], [line for _, line in lines])
        axis.set_ylim(0, sum(heights))
        axis.tick_params(axis="y", length=0)
        axis.set_xlim(left=0)
        axis.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
        axis.set_xlabel("share of variance")
        axis.spines[["top", "right", "left"]].set_visible(False)
        handles, labels = axis.get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside upper left", ncols=3, frameon=False)
        return figure


def _wrap(share: Share, letters: int) -> list[str]:
    """Return a term as the lines that it takes, each but the last ended by its sign.

    >>> share = Share(axes=("depth", "ce_weight"), share=Interval(estimate=0.1, low=0.0, high=0.2))
    >>> _wrap(share, 12) == ["depth \N{MULTIPLICATION SIGN}", "ce_weight"]
    True
    """
    lines = [share.axes[0]]
    for name in share.axes[1:]:
        longer = f"{lines[-1]}{_TIMES}{name}"
        if len(longer) > letters:
            lines[-1] += _TIMES.rstrip()
            lines.append(name)
        else:
            lines[-1] = longer
    return lines


def describe_importance(findings: Findings, importance: Importance) -> str:
    """Return in words what the picture shows."""
    rows = list_shares(findings, importance)
    return "Shares of the surface's variance. " + ", ".join(f"{r.name}: {r.share}" for r in rows)
