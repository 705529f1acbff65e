"""Ask a study for a pack of trials at once."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, Trial

Distributions = Mapping[str, BaseDistribution]
Params = dict[str, Any]


class PackSampler(BaseSampler):
    """A sampler that chooses the parameters of a whole pack before its trials are asked.

    `ask_many` has it prepare a pack, of which each ask then takes one. What is asked without
    being prepared is drawn at random. `first_number` is the number that the first trial of a pack
    will have in the database; a sampler that `follows_a_list` needs it to be right, and must know
    of every trial that was started before.
    """

    follows_a_list = False
    first_number = 0

    def __init__(self, *, seed: int) -> None:
        self._random = RandomSampler(seed=seed)
        self._prepared: list[Params] = []
        self._distributions: dict[str, BaseDistribution] = {}

    @abstractmethod
    def choose(self, study: Study, count: int, distributions: Distributions) -> list[Params]:
        """Return the parameters of `count` trials, or none: then they are drawn at random."""

    def prepare(self, study: Study, count: int, distributions: Distributions) -> None:
        """Choose now what the next `count` asks will take."""
        self._distributions = dict(distributions)
        self._prepared = self.choose(study, count, distributions) if distributions else []

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return what is prepared: all of a trial's parameters."""
        return self._distributions if self._prepared else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Distributions
    ) -> Params:
        """Return the next of the prepared parameters."""
        return self._prepared.pop(0) if self._prepared else {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter at random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def ask_many(
    study: Study, count: int, distributions: Distributions, *, first_number: int | None = None
) -> list[Trial]:
    """Return `count` trials with all their parameters.

    A PackSampler chooses them together; any other sampler is asked one by one. `first_number` is
    the first one's number in the database, if it is not that in the study.
    """
    if isinstance(study.sampler, PackSampler):
        known = len(study.get_trials(deepcopy=False)) if first_number is None else first_number
        study.sampler.first_number = known
        study.sampler.prepare(study, count, distributions)
    return [study.ask(dict(distributions)) for _ in range(count)]
