"""The first picture: what every trial reached, over depth and mix."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from archloss.search.report.points import Ending, Point
from archloss.search.report.scales import (
    add_colour_bar,
    find_colour,
    make_colours,
    scale_depths,
    scale_values,
)
from archloss.search.report.summary import FINISHED, Summary

_LABELS = {
    "depth": "depth (hidden blocks)",
    "ce_weight": "ce_weight  (0: MSE alone, 1: cross-entropy alone)",
    "learning_rate": "learning rate",
}
_MARKER_AREA = 34.0
_BLUE, _ORANGE, _RED = "#364fc7", "#ff922b", "#c2255c"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What is drawn against what.

    `y` is "ce_weight", and colour shows the objective, if both depth and mix vary; where one of
    them is fixed `y` is "value", the objective itself, over the other one, or over the learning
    rate if both are fixed.
    """

    x: str
    y: str
    objective: str
    colours: ScalarMappable
    best: Point | None


def choose_axes(points: Sequence[Point]) -> tuple[str, str]:
    """Return what to draw over what, (x, y) as in Picture, by what varies over the points."""
    varying = [
        name
        for name in ("depth", "ce_weight")
        if len({getattr(point.design, name) for point in points}) > 1
    ]
    if len(varying) == 2:
        return "depth", "ce_weight"
    return (varying[0] if varying else "learning_rate"), "value"


def draw_landscape(points: Sequence[Point], summary: Summary, path: Path) -> bool:
    """Write the picture of a study's finished trials to `path`; return False if there are none.

    One panel for plain networks and one for residual ones, or one alone if only one was tried.
    """
    shown = [point for point in points if point.ending in FINISHED and point.value is not None]
    if not shown:
        return False
    x, y = choose_axes(shown)
    colours = make_colours(_values([p for p in shown if p.ending == "completed"] or shown))
    picture = Picture(x=x, y=y, objective=summary.objective, colours=colours, best=summary.best)
    kinds = sorted({point.design.residual for point in shown})
    figure = Figure(figsize=(10.4 if len(kinds) > 1 else 6.6, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(kinds), sharex=True, sharey=True, squeeze=False)[0]
    for axis, residual in zip(axes, kinds, strict=True):
        panel = [point for point in shown if point.design.residual is residual]
        _draw_panel(axis, panel, picture)
        axis.set_title(f"{'residual' if residual else 'plain'}, {len(panel)} trials", fontsize=12)
        axis.set_xlabel(_LABELS[picture.x])
    _scale_axes(axes[0], shown, picture)
    coloured = _values([point for point in shown if point.ending != "diverged"])
    if y == "ce_weight" and coloured:
        add_colour_bar(figure, list(axes), colours, values=coloured, objective=summary.objective)
    figure.suptitle(_make_title(summary), fontsize=12)
    figure.legend(handles=_make_legend(shown, picture), loc="outside lower center", ncols=4)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return True


def _draw_panel(axis: Axes, panel: Sequence[Point], picture: Picture) -> None:
    axis.grid(color="#e9ecef", linewidth=0.8)
    axis.set_axisbelow(True)
    for ending in ("diverged", "pruned", "completed"):
        # The worst first, so that no good trial is hidden under a bad one.
        points = sorted(
            (point for point in panel if point.ending == ending),
            key=lambda point: point.value or 0.0,
            reverse=True,
        )
        if points:
            _draw_points(axis, points, picture)
    if picture.best in panel:
        xs, ys = _place([point for point in panel if point == picture.best], picture)
        axis.scatter(
            xs, ys, s=8 * _MARKER_AREA, marker="*", c=_ORANGE, edgecolors="black", zorder=5
        )


def _draw_points(axis: Axes, points: Sequence[Point], picture: Picture) -> None:
    """Draw trials that ended alike."""
    xs, ys = _place(points, picture)
    paint = [
        find_colour(picture.colours, value) if picture.y == "ce_weight" else _BLUE
        for value in _values(points)
    ]
    if points[0].ending == "diverged":
        axis.scatter(xs, ys, s=_MARKER_AREA, marker="x", c=_RED, linewidths=1.1)
    elif points[0].ending == "pruned":
        axis.scatter(
            xs, ys, s=0.7 * _MARKER_AREA, facecolors="none", edgecolors=paint, linewidths=1.2
        )
    else:
        axis.scatter(xs, ys, s=_MARKER_AREA, c=paint, edgecolors="white", linewidths=0.4)


def _place(points: Sequence[Point], picture: Picture) -> tuple[list[float], list[float]]:
    xs = [float(getattr(point.design, picture.x)) for point in points]
    if picture.y == "ce_weight":
        return xs, [point.design.ce_weight for point in points]
    return xs, _values(points)


def _values(points: Sequence[Point]) -> list[float]:
    return [point.value for point in points if point.value is not None]


def _scale_axes(axis: Axes, shown: Sequence[Point], picture: Picture) -> None:
    if picture.x == "depth":
        scale_depths(axis, [point.design.depth for point in shown])
    elif picture.x == "learning_rate":
        axis.set_xscale("log")
    if picture.y == "ce_weight":
        axis.set_ylabel(_LABELS["ce_weight"])
        axis.set_ylim(-0.04, 1.04)
    else:
        scale_values(axis, _values(shown), picture.objective)


def _make_title(summary: Summary) -> str:
    endings: tuple[Ending, ...] = ("completed", "pruned", "diverged")
    parts = [f"{summary.counts[name]} {name}" for name in endings if summary.counts.get(name)]
    dataset = Path(summary.dataset).name
    name = summary.study if dataset == summary.study else f"{summary.study}: {dataset}"
    return f"{name}\n{summary.finished} trials ({', '.join(parts)})"


def _make_legend(shown: Sequence[Point], picture: Picture) -> list[Line2D]:
    endings = {point.ending for point in shown}
    handles = []
    if "completed" in endings:
        handles += [
            _make_handle("o", "completed", face=_BLUE, edge=_BLUE),
            _make_handle("*", "best seen", face=_ORANGE, edge="black"),
        ]
    if "pruned" in endings:
        handles.append(_make_handle("o", "pruned, as it was then", face="none", edge=_BLUE))
    if "diverged" in endings:
        label = "diverged" if picture.y == "ce_weight" else "diverged, scored as guessing"
        handles.append(_make_handle("x", label, face=_RED, edge=_RED))
    return handles


def _make_handle(marker: str, label: str, *, face: str, edge: str) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        markersize=13 if marker == "*" else 6,
        markerfacecolor=face,
        markeredgecolor=edge,
        label=label,
    )
