"""Evidence made by hand, for the tests of how it is said and shown."""

import numpy as np

from archloss.search.analysis.bands import LearningCurves, make_band
from archloss.search.analysis.dependence import Dependence
from archloss.search.analysis.evidence import Evidence, Front, SizedTrial
from archloss.search.analysis.importance import Importance, Share
from archloss.search.analysis.selection import Selection
from archloss.search.analysis.spread import SeedSpread, StratumSpread
from archloss.search.analysis.verdict import Interval
from archloss.spaces.shape import DataWidths, Size

EPOCHS = 6


def make_share(*axes, share):
    return Share(axes=axes, share=Interval(estimate=share, low=0.9 * share, high=1.2 * share))


def make_importance(axes, *, explained=0.9, known=0.8):
    """Make shares that halve from term to term; the question's interaction has the least."""
    names = [axis.name for axis in axes]
    terms = [make_share(f"other_{place}", share=0.5**place) for place in range(1, 13)]
    shares = np.array([*(0.5**place for place in range(1, 13)), 0.0001])
    return Importance(
        logarithmic=True,
        explained=Interval(estimate=explained, low=explained / 2, high=1.0),
        known=known,
        terms=(*terms, make_share(*names, share=0.0001)),
        draws=np.linspace(0.5, 1.5, 101)[:, None] * shares,
        totals=tuple(make_share(name, share=0.1) for name in names),
    )


def make_dependence(axis):
    values = axis.levels if hasattr(axis, "levels") else (axis.low, axis.high)
    mean = np.linspace(0.05, 0.2, len(values))
    return Dependence(axis=axis, values=values, mean=mean, low=mean - 0.01, high=mean + 0.02)


def make_front():
    """Make three trials: a small one, a better one that is larger, and one that is beaten."""

    def make(number, *, depth, value, best):
        size = Size(parameters=1000 * depth, flops=2000 * depth)
        return SizedTrial(
            number=number,
            depth=depth,
            width=32,
            residual=depth > 1,
            value=value,
            size=size,
            on_parameters=best,
            on_flops=best,
        )

    return Front(
        widths=DataWidths(features=60, classes=10),
        trials=(
            make(4, depth=8, value=0.02, best=True),
            make(5, depth=9, value=0.5, best=False),
            make(6, depth=1, value=0.04, best=True),
        ),
    )


def make_curves(levels):
    falling = 0.5 / np.arange(1, EPOCHS + 1) * np.array([[0.8], [1.0], [1.2]])
    return LearningCurves(
        metric="validation_error",
        bands=tuple(make_band(level, falling) for level in levels),
        best_number=4,
        best=0.5 * falling[0],
    )


def make_spread(level, kind="replicates"):
    def make(low, high, size):
        deviation = Interval(estimate=size, low=0.9 * size, high=1.1 * size)
        return StratumSpread(low=low, high=high, level=level, deviation=deviation)

    return SeedSpread(
        kind=kind,
        designs=150,
        whole=Interval(estimate=0.007, low=0.006, high=0.008),
        better=make(1.0, 1.0, 0.003).deviation if kind == "replicates" else None,
        strata=(make(1.0, 2.0, 0.004), make(4.0, 8.0, 0.006), make(16.0, 32.0, 0.011)),
    )


def make_selection(luck=(0.006, 0.004, 0.009), **changes):
    known = {"number": 4, "trials": 150, "value": 0.02, "test": 0.03, "shift": -0.0013}
    estimate, low, high = luck
    return Selection(
        **(known | changes),
        expected=Interval(estimate=0.02 + estimate, low=0.02 + low, high=0.02 + high),
        luck=Interval(estimate=estimate, low=low, high=high),
    )


def make_evidence(findings, **changes):
    """Make all the evidence that findings may have."""
    axes = findings.trials.axes
    levels = [level.level for level in findings.answer.levels]
    known = {
        "importance": make_importance(axes[:2]),
        "dependence": tuple(make_dependence(axis) for axis in axes),
        "spread": make_spread(levels[0]),
        "selection": make_selection(),
        "front": make_front(),
        "curves": make_curves(levels),
        "remarks": ("Something <is> missing.",),
    }
    return Evidence(**(known | changes))
