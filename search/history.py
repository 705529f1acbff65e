"""What TPE learns from: the best trials, the latest others, and those that are running.

Each ask takes in what became of the trials since the one before, so that its cost is that of
what is new and of what it looks at, however long the study.
"""

import bisect
import itertools
import math
from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from archloss.search.asking import Distributions
from archloss.search.parzen import Array

MOST_GOOD = 25
Row = tuple[float, ...]
Rank = tuple[int, float, float]


class History:
    """A bounded memory of one study's trials, as rows `[D]` of internal values.

    The best tenth of the finished trials are good, but at most MOST_GOOD; the others are bad.
    """

    def __init__(self, longest: int) -> None:
        self.finished = 0
        self._longest = longest
        self._seen = 0
        self._open: dict[int, Row] = {}
        self._best: list[tuple[Rank, int, Row]] = []
        self._latest: list[tuple[int, Row]] = []

    def update(self, trials: Sequence[FrozenTrial], space: Distributions) -> None:
        """Take in what is new about the study, whose trials these are, in their order."""
        fresh = range(self._seen, len(trials))
        self._seen = len(trials)
        for index in fresh:
            params = trials[index].params
            self._open[index] = tuple(
                distribution.to_internal_repr(params[name]) for name, distribution in space.items()
            )
        ended = [index for index in self._open if trials[index].state.is_finished()]
        for index in ended:
            row = self._open.pop(index)
            if trials[index].state != TrialState.FAIL:
                self._add(trials[index], row)

    def find_good(self) -> Array:
        """Return the good trials `[N, D]`, by number."""
        return _stack(sorted((number, row) for _, number, row in self._list_good()))

    def find_bad(self, longest: int) -> Array:
        """Return the latest so many bad trials and running ones `[N, D]`, by number."""
        good = {number for _, number, _ in self._list_good()}
        bad = (one for one in reversed(self._latest) if one[0] not in good)
        running = itertools.islice(reversed(self._open.items()), longest)
        return _stack(sorted([*itertools.islice(bad, min(longest, self._longest)), *running]))

    def _list_good(self) -> list[tuple[Rank, int, Row]]:
        return self._best[: min(math.ceil(0.1 * self.finished), MOST_GOOD)]

    def _add(self, trial: FrozenTrial, row: Row) -> None:
        self.finished += 1
        bisect.insort(self._best, (rank(trial), trial.number, row))
        del self._best[MOST_GOOD:]
        bisect.insort(self._latest, (trial.number, row))
        del self._latest[: -(self._longest + MOST_GOOD)]


def rank(trial: FrozenTrial) -> Rank:
    """Return a key that puts completed trials first, and those before others that stopped later."""
    if trial.state == TrialState.COMPLETE:
        assert trial.value is not None
        return 0, 0.0, trial.value
    if not trial.intermediate_values:
        return 2, 0.0, 0.0
    epoch, value = max(trial.intermediate_values.items())
    return 1, -epoch, value


def _stack(rows: Sequence[tuple[int, Row]]) -> Array:
    return np.array([row for _, row in rows], dtype=np.float64).reshape(len(rows), -1)
