"""Ask a study for a pack of trials at once."""

from collections.abc import Mapping

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import Trial

from archloss.search.batch_tpe import BatchTPESampler


def ask_many(
    study: optuna.Study, count: int, distributions: Mapping[str, BaseDistribution]
) -> list[Trial]:
    """Return `count` trials with all their parameters.

    TPE is fitted once for all of them, unless Hyperband prunes: it gives every trial a bracket
    of its own to learn from. Other samplers are asked one by one.
    """
    if isinstance(study.sampler, BatchTPESampler):
        by_bracket = isinstance(study.pruner, optuna.pruners.HyperbandPruner)
        study.sampler.expect(1 if by_bracket else count)
    return [study.ask(dict(distributions)) for _ in range(count)]
