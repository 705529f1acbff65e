"""Ask a study for a pack of trials at once."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from archloss.search.memory import make_trial

Distributions = Mapping[str, BaseDistribution]
Params = dict[str, Any]


class PackSampler(BaseSampler):
    """A sampler that chooses the parameters of a whole pack at once, for `ask_many`.

    A trial that is asked by Optuna alone is drawn at random. `first_number` is the number that
    the first trial of a pack will have in the database; a sampler that `follows_a_list` needs it
    to be right, and must know of every trial that was started before. One that does not look at
    others needs no parameters of trials that it did not choose.
    """

    follows_a_list = False
    looks_at_others = True
    first_number = 0

    def __init__(self, *, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    @abstractmethod
    def choose(self, study: Study, count: int, distributions: Distributions) -> list[Params]:
        """Return the parameters of `count` trials."""

    def draw(self, count: int, distributions: Distributions) -> list[Params]:
        """Return the parameters of `count` trials at random."""
        shares = self._generator.random((count, len(distributions)))
        return [scale_all(distributions, row) for row in shares.tolist()]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return no parameters: `choose` is how several are sampled together."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Distributions
    ) -> Params:
        """Return no parameters."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter at random."""
        return scale(param_distribution, self._generator.random())


class RandomSampler(PackSampler):
    """Every design as likely as any other."""

    looks_at_others = False

    def choose(self, study: Study, count: int, distributions: Distributions) -> list[Params]:
        """Return the parameters of `count` trials at random."""
        return self.draw(count, distributions)


def ask_many(
    study: Study, count: int, distributions: Distributions, *, first_number: int | None = None
) -> list[FrozenTrial]:
    """Return `count` new trials of the study with all their parameters.

    A PackSampler chooses them together; any other sampler is asked one by one. `first_number` is
    the first one's number in the database, if it is not that in the study.
    """
    if not isinstance(study.sampler, PackSampler):
        numbers = [study.ask(dict(distributions)).number for _ in range(count)]
        trials = study.get_trials(deepcopy=False)
        return [trials[number] for number in numbers]
    if study.sampler.follows_a_list:
        known = len(study.get_trials(deepcopy=False)) if first_number is None else first_number
        study.sampler.first_number = known
    chosen = study.sampler.choose(study, count, distributions)
    shared = dict(distributions)
    for params in chosen:
        study.add_trial(make_trial(params=params, distributions=shared))
    return study.get_trials(deepcopy=False)[-count:]


def scale_all(distributions: Distributions, shares: list[float]) -> Params:
    """Return a value for each distribution, below which such a share of it lies."""
    return {
        name: scale(distribution, share)
        for (name, distribution), share in zip(distributions.items(), shares, strict=True)
    }


def scale(distribution: BaseDistribution, share: float) -> object:
    """Return the value that this share, in [0, 1), of the distribution lies below."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(share * len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    half = 0.5 if isinstance(distribution, IntDistribution) else 0.0
    low, high = distribution.low - half, distribution.high + half
    value = low * (high / low) ** share if distribution.log else low + (high - low) * share
    bounded = min(max(value, distribution.low), distribution.high)
    return round(bounded) if isinstance(distribution, IntDistribution) else bounded
