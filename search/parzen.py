"""TPE's density estimator: the one place that uses names which Optuna keeps private.

A test compares what is made of it with Optuna's own sampler, and fails where Optuna changes.
Should the names be gone, `fit` is None, and the study falls back to plain TPE.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution

Array = npt.NDArray[np.float64]


class Density(Protocol):
    """A mixture of kernels over the parameters, each a column `[N]` of internal values."""

    def sample(self, rng: np.random.RandomState, size: int) -> dict[str, Array]:
        """Draw `size` points."""

    def log_pdf(self, samples_dict: dict[str, Array]) -> Array:
        """Return the logarithm of the density at each point, `[N]`."""


Fit = Callable[[dict[str, Array], Mapping[str, BaseDistribution]], Density]
fit: Fit | None

PRIOR_WEIGHT = 1.0


def weigh(count: int) -> Array:
    """Return the weights of `count` points, oldest first: the last 25 count fully.

    Older ones less and less, down to 1 / count (Optuna's default).
    """
    recent = min(count, 25)
    return np.concatenate([np.linspace(1 / max(count, 1), 1, count - recent), np.ones(recent)])


try:
    from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
except ImportError:  # pragma: no cover
    fit = None
else:
    _PARAMETERS = _ParzenEstimatorParameters(
        prior_weight=PRIOR_WEIGHT,
        consider_magic_clip=True,
        consider_endpoints=False,
        weights=weigh,
        multivariate=True,
    )

    def _fit(points: dict[str, Array], distributions: Mapping[str, BaseDistribution]) -> Density:
        return _ParzenEstimator(points, dict(distributions), _PARAMETERS)

    fit = _fit
