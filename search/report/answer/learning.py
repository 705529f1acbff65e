"""How the objective falls over the epochs: the picture of the learning curves."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from archloss.search.analysis.bands import LearningCurves
from archloss.search.report.answer.figures import GRID, INK, choose_look, use_style
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.margins import wrap_upright
from archloss.search.report.answer.sentences import name_level

_SPREAD_FOR_LOG = 4.0


def draw_curves(
    findings: Findings, curves: LearningCurves, *, width: float, height: float
) -> Figure:
    """Return the picture of the bands and the best trial's curve; sizes in inches."""
    measure, levels = findings.measure, [level.level for level in findings.answer.levels]
    with use_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axis = figure.subplots()
        axis.grid(color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        for band in curves.bands:
            look = choose_look(findings, levels.index(band.level) if band.level in levels else 0)
            epochs = np.arange(1, len(band.median) + 1)
            axis.fill_between(epochs, band.low, band.high, color=look.hue, alpha=0.16, linewidth=0)
            axis.plot(
                epochs,
                band.median,
                color=look.hue,
                linestyle=look.line,
                linewidth=2.0,
                label=name_level(findings, band.level),
            )
        if len(curves.best):
            axis.plot(
                np.arange(1, len(curves.best) + 1),
                curves.best,
                color=INK,
                linewidth=1.2,
                label=f"best trial ({curves.best_number})",
            )
        lowest, highest = _find_ends(curves)
        if lowest > 0 and highest > _SPREAD_FOR_LOG * lowest:
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.yaxis.set_minor_formatter(NullFormatter())
        percent = "%" if measure.is_error_rate else ""
        axis.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{measure.factor * value:.3g}{percent}")
        )
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis.set_xlabel("epoch")
        axis.set_ylabel(wrap_upright(measure.label, height))
        figure.legend(loc="outside upper left", ncols=2, frameon=False)
        return figure


def describe_curves(findings: Findings, curves: LearningCurves) -> str:
    """Return in words what the picture shows."""
    measure = findings.measure
    told = [
        f"{name_level(findings, band.level)}: from "
        f"{measure.format_value(float(band.median[0]))} in epoch 1 to "
        f"{measure.format_value(float(band.median[-1]))} in epoch {len(band.median)}"
        for band in curves.bands
    ]
    return f"Median {measure.label} over the epochs. {', '.join(told)}"


def _find_ends(curves: LearningCurves) -> tuple[float, float]:
    values = np.concatenate([curves.best, *(np.r_[band.low, band.high] for band in curves.bands)])
    return float(values.min()), float(values.max())
