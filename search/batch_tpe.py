"""TPE that is fitted once for a pack of designs instead of once for each.

Nothing new is known within a pack, and fitting is most of what an ask of TPE costs. So its two
densities are fitted once for the pack, to a bounded history. What is running in other packs
counts as bad, as in Optuna (constant liar). So does what the pack has chosen so far, through a
density of its own: among hundreds of old trials it would hardly be noticed, and the pack would
crowd together.
"""

import math

import numpy as np
from optuna import Study

from archloss.search.asking import Distributions, PackSampler, Params
from archloss.search.history import History
from archloss.search.parzen import PRIOR_WEIGHT, Array, Density, weigh

LONGEST_HISTORY = 300
LARGE_ASK = 64
SHORTEST_HISTORY = 75
"""What is asked at once beyond LARGE_ASK trials has its candidates weighed against fewer of the
old and the running ones, down to this: else weighing would take longer than training."""
MOST_STEPS = 32
"""A pack larger than this is chosen in so many steps, each kept away from those before."""


class BatchTPESampler(PackSampler):
    """Multivariate TPE (Bergstra et al. 2011; Watanabe, arXiv 2304.11127) for whole packs.

    Settings are those of Optuna 5's TPESampler: for a pack of one and a history that is
    shorter than `history`, it asks what that sampler asks, to rounding. Under Hyperband it learns
    from the trials of all brackets, since completed ones are comparable. It works on one study.
    """

    def __init__(
        self,
        *,
        startup_trials: int,
        candidates: int,
        seed: int,
        history: int = LONGEST_HISTORY,
    ) -> None:
        super().__init__(seed=seed)
        self._startup_trials = startup_trials
        self._candidates = candidates
        self._longest = history
        self._history = History(history)
        self._rng = np.random.RandomState(seed)

    def choose(self, study: Study, count: int, distributions: Distributions) -> list[Params]:
        """Return, for each trial of the pack, the best of its own candidates."""
        if not distributions:
            return [{} for _ in range(count)]
        space = dict(sorted(distributions.items()))
        self._history.update(study.get_trials(deepcopy=False), space)
        if self._history.finished < self._startup_trials:
            return self.draw(count, distributions)
        longest = max(SHORTEST_HISTORY, self._longest * LARGE_ASK // max(count, LARGE_ASK))
        shapes = list(space.values())
        good = Density(self._history.find_good(), shapes)
        bad = self._history.find_bad(longest)
        drawn = good.sample(self._rng, count * self._candidates)
        log_good = drawn.weigh(good)
        log_bad = drawn.weigh(Density(bad, shapes))
        chosen: list[int] = []
        step = math.ceil(count / MOST_STEPS) * self._candidates
        for first in range(0, len(drawn), step):
            own = slice(first, first + step)
            log_all_bad = log_bad[own]
            if chosen:
                latest = Density(drawn.values[chosen[-longest:]], shapes)
                shares = measure(len(bad)), len(chosen)
                log_all_bad = mix(log_all_bad, drawn.weigh(latest, own), shares=shares)
            gain = (log_good[own] - log_all_bad).reshape(-1, self._candidates)
            starts = first + self._candidates * np.arange(len(gain))
            chosen += (starts + np.argmax(gain, axis=1)).tolist()
        return [
            {
                name: distribution.to_external_repr(value)
                for (name, distribution), value in zip(space.items(), point, strict=True)
            }
            for point in drawn.values[chosen].tolist()
        ]


def measure(count: int) -> float:
    """Return the weight of a density of so many points, its prior included."""
    return float(weigh(count).sum()) + PRIOR_WEIGHT


def mix(log_one: Array, log_other: Array, *, shares: tuple[float, float]) -> Array:
    """Return the logarithm of the mean of two densities, weighed by their shares."""
    log_shares = np.log(shares) - np.log(sum(shares))
    mixed: Array = np.logaddexp(log_one + log_shares[0], log_other + log_shares[1])
    return mixed
