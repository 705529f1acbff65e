"""TPE that is fitted once for a pack of designs instead of once for each.

Nothing new is known within a pack, and fitting is most of what an ask of TPE costs. So its two
densities are fitted once for the pack, to a bounded history. What is running in other packs
counts as bad, as in Optuna (constant liar). So does what the pack has chosen so far, through a
density of its own: among hundreds of old trials it would hardly be noticed, and the pack would
crowd together.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from archloss.search.asking import Distributions, PackSampler, Params
from archloss.search.parzen import PRIOR_WEIGHT, Array, Fit, weigh

MOST_GOOD = 25
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
    shorter than `history`, it is that sampler, number for number. Under Hyperband it learns
    from the trials of all brackets, since completed ones are comparable.
    """

    def __init__(
        self,
        fit: Fit,
        *,
        startup_trials: int,
        candidates: int,
        seed: int,
        history: int = LONGEST_HISTORY,
    ) -> None:
        super().__init__(seed=seed)
        self._fit = fit
        self._startup_trials = startup_trials
        self._candidates = candidates
        self._history = history
        self._rng = np.random.RandomState(seed)

    def choose(self, study: Study, count: int, distributions: Distributions) -> list[Params]:
        """Return, for each trial of the pack, the best of its own candidates."""
        trials = study.get_trials(deepcopy=False)
        finished = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        if len(finished) < self._startup_trials:
            return []
        space = dict(sorted(distributions.items()))
        good, bad = split_trials(finished)
        longest = max(SHORTEST_HISTORY, self._history * LARGE_ASK // max(count, LARGE_ASK))
        running = [t for t in trials if t.state == TrialState.RUNNING]
        bad = bad[-longest:] + running[-longest:]
        bad.sort(key=lambda trial: trial.number)
        density = self._fit(to_columns(good, space), space)
        drawn = density.sample(self._rng, count * self._candidates)
        log_good = density.log_pdf(drawn)
        log_bad = self._fit(to_columns(bad, space), space).log_pdf(drawn)
        rows: list[int] = []
        step = math.ceil(count / MOST_STEPS)
        for first in range(0, count, step):
            together = min(step, count - first)
            start = first * self._candidates
            own = slice(start, start + together * self._candidates)
            log_all_bad = log_bad[own]
            if rows:
                latest = take(drawn, rows[-longest:])
                chosen = self._fit(latest, space).log_pdf(take(drawn, own))
                log_all_bad = mix(log_all_bad, chosen, shares=(measure(len(bad)), len(rows)))
            gain = (log_good[own] - log_all_bad).reshape(together, self._candidates)
            best = np.argmax(gain, axis=1)
            rows += (start + np.arange(together) * self._candidates + best).tolist()
        return [
            {name: space[name].to_external_repr(drawn[name][row].item()) for name in space}
            for row in rows
        ]


def split_trials(finished: Sequence[FrozenTrial]) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """Return the best tenth, but at most MOST_GOOD, and the rest, each by number.

    Completed trials are better than pruned ones, and those better that were pruned later.
    """
    ranked = sorted(finished, key=_rank)
    count = min(math.ceil(0.1 * len(ranked)), MOST_GOOD)
    good, bad = ranked[:count], ranked[count:]
    return sorted(good, key=_get_number), sorted(bad, key=_get_number)


def _get_number(trial: FrozenTrial) -> int:
    return trial.number


def _rank(trial: FrozenTrial) -> tuple[int, float, float]:
    if trial.state == TrialState.COMPLETE:
        assert trial.value is not None
        return 0, 0.0, trial.value
    if not trial.intermediate_values:
        return 2, 0.0, 0.0
    epoch, value = max(trial.intermediate_values.items())
    return 1, -epoch, value


def to_columns(trials: Sequence[FrozenTrial], space: Distributions) -> dict[str, Array]:
    """Return each parameter's internal values, `[N]`."""
    return {
        name: np.array([distribution.to_internal_repr(trial.params[name]) for trial in trials])
        for name, distribution in space.items()
    }


def take(columns: Mapping[str, Array], rows: list[int] | slice) -> dict[str, Array]:
    """Return these rows of every column."""
    return {name: column[rows] for name, column in columns.items()}


def measure(count: int) -> float:
    """Return the weight of a density of so many points, its prior included."""
    return float(weigh(count).sum()) + PRIOR_WEIGHT


def mix(log_one: Array, log_other: Array, *, shares: tuple[float, float]) -> Array:
    """Return the logarithm of the mean of two densities, weighed by their shares."""
    log_shares = np.log(shares) - np.log(sum(shares))
    mixed: Array = np.logaddexp(log_one + log_shares[0], log_other + log_shares[1])
    return mixed
