"""Does the best choice depend on the context, and what is it worth? From draws of a profile.

The cost of one choice for all contexts is `min_m mean_u g(u, m) - mean_u min_m g(u, m)` for a
profile g. Its posterior is biased upwards: the minimum of each draw follows that draw's noise, and
there are more minima in the second term than in the first. So the two ends of its interval are
taken from draws that err to the safe side. The choices that are the best by the posterior mean are
a fixed policy, whose value in a draw has no such bias: with it in the place of the many minima the
cost comes out too low, with it in the place of the one it comes out too high.

U context, M choice, T draw.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from archloss.search.analysis.axes import Array

LEVEL = 0.95
_ERROR_RATE = 0.05


class Verdict(Enum):
    """The answer; its value is the sentence shown to a person."""

    INTERACTION = "the best {choice} depends on {context}"
    NONE = "no dependence on {context} that matters"
    UNDECIDED = "cannot tell yet whether the best {choice} depends on {context}"


def share_error(levels: int) -> float:
    """Return the chance of a wrong verdict to either side at each of so many levels of `by`.

    It is at most 5% over all of them together, and none is at odds with the interval of the cost
    that is shown, which leaves out 2.5% at either end. With more than two levels a verdict takes
    more than that interval says.
    """
    return min(_ERROR_RATE / levels, (1 - LEVEL) / 2)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with its interval, of 95% where nothing else is said."""

    estimate: float
    low: float
    high: float

    @classmethod
    def around(cls, estimate: float, low: float, high: float) -> "Interval":
        """Return one from `low` to `high`, and at least to its estimate."""
        return cls(
            estimate=estimate, low=min(float(low), estimate), high=max(float(high), estimate)
        )

    @classmethod
    def of(cls, draws: Array) -> "Interval":
        """Return the mean of draws `[T]`, and the interval that leaves out equal parts of them."""
        tail = (1 - LEVEL) / 2
        return cls.around(float(draws.mean()), *np.quantile(draws, [tail, 1 - tail]))

    def cut(self, least: float) -> "Interval":
        """Return what of it is not below `least`."""
        return Interval(
            estimate=max(self.estimate, least), low=max(self.low, least), high=max(self.high, least)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Cost:
    """The cost of one choice for all contexts, and draws `[T]` that err to either side of it."""

    interval: Interval
    safely_low: Array
    safely_high: Array

    def judge(self, bound: float, *, share: float) -> Verdict:
        """Return the verdict for the smallest cost that matters; err with chance `share` a side."""
        if np.quantile(self.safely_low, share) > bound:
            return Verdict.INTERACTION
        if np.quantile(self.safely_high, 1 - share) < bound:
            return Verdict.NONE
        return Verdict.UNDECIDED


def estimate_cost(draws: Array) -> Cost:
    """Return the cost of one choice for all contexts from draws of a profile `[T, U, M]`."""
    mean = draws.mean(axis=0)
    own = mean.argmin(axis=1)
    common = int(mean.mean(axis=0).argmin())
    averages = draws.mean(axis=1)
    at_own = draws[:, np.arange(len(own)), own].mean(axis=1)
    low = averages.min(axis=1) - at_own
    high = averages[:, common] - draws.min(axis=2).mean(axis=1)
    tail = (1 - LEVEL) / 2
    lowest = max(float(np.quantile(low, tail)), 0.0)
    highest = float(np.quantile(high, 1 - tail))
    middle = float(np.median((low + high) / 2))
    return Cost(
        interval=Interval(estimate=min(max(middle, lowest), highest), low=lowest, high=highest),
        safely_low=low,
        safely_high=high,
    )


@dataclass(frozen=True, kw_only=True)
class Change:
    """How the best choice changes from the first context to the last.

    `ratio` is the last to the first; None where there are choices that are not above 0.
    """

    difference: Interval
    ratio: Interval | None

    @property
    def is_sure(self) -> bool:
        """Say whether the interval is clear of no change."""
        return self.difference.low > 0 or self.difference.high < 0


def estimate_best(draws: Array, choices: Array) -> tuple[list[Interval], list[Interval], Change]:
    """Return, for each context, the best choice and the profile there, and the best one's change.

    `draws` is `[T, U, M]` at choices `[M]`. A draw's own minimum lies too low, and the profile at
    the best choice may lie above the true minimum: the interval of the lowest objective reaches
    from the one to the other.
    """
    tail = (1 - LEVEL) / 2
    mean = draws.mean(axis=0)
    at = mean.argmin(axis=1)
    rows = np.arange(len(at))
    chosen = draws[:, rows, at]
    best = choices[draws.argmin(axis=2)]
    low, high = np.quantile(best, [tail, 1 - tail], axis=0)
    bests = [
        Interval.around(float(choices[place]), low[row], high[row]) for row, place in enumerate(at)
    ]
    values = [
        Interval.around(
            float(mean[row, place]),
            float(np.quantile(draws[:, row].min(axis=1), tail)),
            float(np.quantile(chosen[:, row], 1 - tail)),
        )
        for row, place in enumerate(at)
    ]
    first, last = float(choices[at[0]]), float(choices[at[-1]])
    difference = np.quantile(best[:, -1] - best[:, 0], [tail, 1 - tail])
    ratio = None
    if choices.min() > 0:
        ends = np.quantile(best[:, -1] / best[:, 0], [tail, 1 - tail])
        ratio = Interval.around(last / first, *ends)
    return bests, values, Change(difference=Interval.around(last - first, *difference), ratio=ratio)
