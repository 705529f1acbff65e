"""The margins of a figure of panels: as wide as what stands in them, which is measured.

A layout engine would draw everything for that, several times over.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_LETTERS = 12
"""So many letters take about an inch."""
_MOST_LINES = 3
_WORD = re.compile(r".+?(?:[\s_/.-]+|$)")
_PANEL = 0.7
"""The share of a picture's height that its panel has, next to a legend and a name along x."""
_EDGE, _BETWEEN, _TOP = 0.08, 0.15, 0.1
"""Inches at the edges of the figure, between what stands in two panels, and above each."""


@dataclass(frozen=True, kw_only=True)
class _Overhang:
    """How many inches the ticks and the name of a panel reach to its sides and below it."""

    left: float
    right: float
    below: float


def wrap_name(name: str, inches: float) -> str:
    r"""Return a name in lines that are about so long, broken after words; cut after a few lines.

    >>> wrap_name("mean validation error", 1.0)
    'mean\nvalidation\nerror'
    >>> wrap_name("best_of_the_run", 0.7), wrap_name(20 * "x", 0.5)
    ('best_of_\nthe_run', 'xxxxxx\nxxxxxx\nxxxxx…')
    """
    letters = max(int(_LETTERS * inches), 2)
    lines = [""]
    for word in _WORD.findall(name):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > letters:
            lines.append("")
        lines[-1] += word
        while len(lines[-1].rstrip()) > letters:
            lines[-1:] = [lines[-1][:letters], lines[-1][letters:]]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], f"{lines[_MOST_LINES - 1][: letters - 1].rstrip()}…"]
    return "\n".join(line.strip() for line in lines)


def wrap_upright(name: str, inches: float) -> str:
    """Return what stands along y of a picture that is so high with all that is above and below."""
    return wrap_name(name, _PANEL * inches)


def fit_margins(
    figure: Figure, rows: Sequence[Sequence[Axes]], *, size: tuple[float, float], label: str
) -> None:
    """Give all panels `rows` this width and height, in inches, and the figure the room it takes.

    `label` is what all have along y: it stands once, to the left of them.
    """
    columns = range(len(rows[0]))
    _place(
        figure, rows, size=size, before=[1.0 for _ in columns], after=1.0, below=[1.0] * len(rows)
    )
    reach = [[_measure(panel) for panel in row] for row in rows]
    below = [max(one.below for one in row) + _EDGE for row in reach]
    left, right = (
        [max(getattr(row[column], side) for row in reach) for column in columns]
        for side in ("left", "right")
    )
    text = figure.text(
        0,
        0.5,
        wrap_name(label, sum(below) + len(rows) * (size[1] + _TOP)),
        rotation="vertical",
        verticalalignment="center",
        multialignment="center",
        fontsize=rows[0][0].yaxis.label.get_fontsize(),
    )
    first = _EDGE + text.get_window_extent().width / figure.dpi + _EDGE + left[0]
    before = [first, *(right[at] + _BETWEEN + left[at + 1] for at in columns[:-1])]
    _place(figure, rows, size=size, before=before, after=right[-1] + _EDGE, below=below)
    text.set_x(_EDGE / figure.get_figwidth())


def _place(
    figure: Figure,
    rows: Sequence[Sequence[Axes]],
    *,
    size: tuple[float, float],
    before: Sequence[float],
    after: float,
    below: Sequence[float],
) -> None:
    """Place the panels, with so many inches before each column, after all, and below each row."""
    width, height = size
    across = sum(before) + len(before) * width + after
    down = sum(below) + len(below) * (height + _TOP)
    figure.set_size_inches(across, down)
    for place, row in enumerate(rows):
        low = down - sum(below[:place]) - (place + 1) * (height + _TOP)
        for column, panel in enumerate(row):
            start = sum(before[: column + 1]) + column * width
            panel.set_position((start / across, low / down, width / across, height / down))


def _measure(panel: Axes) -> _Overhang:
    inner, outer = panel.get_window_extent(), panel.get_tightbbox()
    if outer is None:  # it is not shown
        return _Overhang(left=0.0, right=0.0, below=0.0)
    dots = panel.figure.dpi
    return _Overhang(
        left=max(inner.x0 - outer.x0, 0.0) / dots,
        right=max(outer.x1 - inner.x1, 0.0) / dots,
        below=max(inner.y0 - outer.y0, 0.0) / dots,
    )
