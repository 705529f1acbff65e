"""The pruners that a study file can name, and the rungs at which they act."""

import bisect
import heapq
import itertools
from collections.abc import Sequence

from optuna import pruners
from optuna.pruners import BasePruner

from archloss.search.spec import Spec


def rung_epochs(spec: Spec) -> tuple[int, ...]:
    """Return the epochs at which trials report, increasing; the last one is the recipe's."""
    return spec.search.list_rungs(spec.recipe.epochs)


def make_pruner(spec: Spec) -> "BasePruner | HalvingPruner":
    """Return the study's pruner, which decides at the rungs alone.

    "median" stops a trial that is worse at a rung than the median of the completed trials was.
    """
    factor = spec.search.reduction_factor
    rungs = rung_epochs(spec)
    match spec.search.pruner:
        case "none":
            return pruners.NopPruner()
        case "successive-halving":
            return HalvingPruner(rungs, factor=factor)
        case "hyperband":
            return HalvingPruner(rungs, factor=factor, brackets=len(rungs))
        case "median":
            return pruners.MedianPruner(n_startup_trials=spec.search.startup_trials)


class HalvingPruner:
    """Asynchronous successive halving (Li et al., arXiv 1810.05934), with brackets Hyperband.

    At a rung a trial goes on if it is among the best 1 / `factor` of all that have reported
    there, its own pack included; at least one always does, and ties go on together. With
    several brackets (Li et al., arXiv 1603.06560), bracket b first prunes at rung b, and trials
    compete within their bracket. (Optuna's own look at a pack's trials one after the other, so
    that the first always goes on, keep their memory where a restart of ours loses it, and look
    at every trial of the study each time.)

    Trials are known by their numbers in the database, which all drivers of a study share.
    """

    def __init__(self, rungs: Sequence[int], *, factor: int, brackets: int = 1) -> None:
        self._rungs = tuple(rungs)
        self._factor = factor
        sizes = [
            -(-brackets * factor ** (brackets - 1 - bracket) // (brackets - bracket))
            for bracket in range(brackets)
        ]
        self._ends = list(itertools.accumulate(sizes))
        self._standings: dict[tuple[int, int], Standing] = {}

    def report(self, number: int, *, epoch: int, value: float) -> None:
        """Take in what a trial reached at an epoch, for the first time."""
        place = epoch, self.find_bracket(number)
        if place not in self._standings:
            self._standings[place] = Standing(self._factor)
        self._standings[place].add(value)

    def is_pruned(self, number: int, *, epoch: int, value: float) -> bool:
        """Say whether a trial stops at the epoch that it has reported."""
        bracket = self.find_bracket(number)
        if epoch not in self._rungs[bracket:-1]:
            return False
        return value > self._standings[epoch, bracket].limit

    def find_bracket(self, number: int) -> int:
        """Return the bracket of a trial: by turns, most of them in those that prune early."""
        return bisect.bisect_right(self._ends, number % self._ends[-1])


class Standing:
    """The values at one rung, the best 1 / `factor` of them apart: at least one."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._best: list[float] = []
        self._others: list[float] = []

    @property
    def limit(self) -> float:
        """Return the worst of the best values."""
        return -self._best[0]

    def add(self, value: float) -> None:
        """Put a value in its place, in time that grows with the logarithm of their number."""
        heapq.heappush(self._others, -heapq.heappushpop(self._best, -value))
        count = len(self._best) + len(self._others)
        if len(self._best) < max(1, count // self._factor):
            heapq.heappush(self._best, -heapq.heappop(self._others))
