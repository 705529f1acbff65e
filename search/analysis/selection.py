"""What choosing the best trial does to its number: the best of many is also the luckiest."""

from dataclasses import dataclass

import numpy as np

from archloss.search.analysis.answer import Fitted, find_least
from archloss.search.analysis.axes import Array
from archloss.search.analysis.trials import Kind
from archloss.search.analysis.verdict import Interval


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The best of `trials` that completed: what it reached, and what is expected of its design.

    `luck` is the expected objective less the one that it reached. `test` is its objective on the
    test split, and `shift` by how much that is above validation in the median of trials; None where
    they are not known. `trainings` are what its design's reached where the trial is the mean of
    several seeds', of a table. `number` is its number in the study, None for a table.
    """

    number: int | None
    trials: int
    value: float
    expected: Interval
    luck: Interval
    test: float | None = None
    shift: float | None = None
    trainings: tuple[float, ...] = ()


def find_best(fitted: Fitted) -> int:
    """Return the index of the completed trial with the lowest objective, the first of equals."""
    completed = np.flatnonzero(fitted.trials.find(Kind.COMPLETED))
    return int(completed[fitted.trials.values[completed].argmin()])


def find_selection(
    fitted: Fitted, *, test: float | None = None, shift: float | None = None
) -> Selection | None:
    """Return the effect of selection on the best trial; no error is expected below 0.

    None where nobody knows how far trials lie off the surface.
    """
    if fitted.surface.strata.silent:
        return None
    trials, best = fitted.trials, find_best(fitted)
    value, least = float(trials.values[best]), find_least(trials.values)
    draws = _expect(fitted, trials.points[best : best + 1])
    trainings = []  # of a study's design, trained again, all have the same seeds
    if trials.numbers is None and trials.trainings is not None:
        trainings = trials.trainings[best].tolist()
    return Selection(
        number=None if trials.numbers is None else int(trials.numbers[best]),
        trials=trials.count(Kind.COMPLETED),
        value=value,
        expected=Interval.of(draws).cut(least),
        luck=Interval.of(draws - value).cut(least - value),
        test=test,
        shift=shift,
        trainings=tuple(trainings) if len(set(trainings)) > 1 else (),
    )


def _expect(fitted: Fitted, point: Array) -> Array:
    """Return draws `[T]` of the objective expected at a point `[1, D]` of what does not diverge."""
    surface = fitted.surface
    smearing = surface.smearing[:, surface.strata.number(point)]
    return np.asarray(surface.scale.expect(surface.posterior.draw(point), smearing)[:, 0])
