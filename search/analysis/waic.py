"""Which of two fits predicts better: the widely applicable information criterion.

Watanabe 2010, JMLR 11; Gelman, Hwang and Vehtari 2014, Statistics and Computing 24(6), equation 12.

N trial, T draw.
"""

import numpy as np

from archloss.search.analysis.basis import Basis
from archloss.search.analysis.posterior import COPIES, Data, State, draw_posterior

_DRAWS, _BURN_IN = 90, 40
SWEEPS = _BURN_IN + _DRAWS // COPIES
"""How long the chain of a score runs."""
CLEARLY = 4.0
"""Scores that are less apart say little (Sivula, Magnusson and Vehtari 2020, arXiv 2008.10296)."""


def score(data: Data, basis: Basis, *, seed: int) -> tuple[float, State]:
    """Return the expected log density of as many new targets, and where a short chain ended.

    Of two fits with the same seed chance does much the same to both scores: it moves their
    difference by 1 or so, and by up to 5 where seeds differ.
    """
    random = np.random.default_rng(seed)
    posterior = draw_posterior(data, basis, random=random, draws=_DRAWS, burn_in=_BURN_IN)
    noise = posterior.noise[:, data.strata]
    fitted = posterior.intercepts[:, None] + posterior.weights @ data.features.T
    density = -0.5 * ((data.target - fitted) / noise) ** 2 - np.log(noise)
    mean = np.log(np.exp(density - density.max(axis=0)).mean(axis=0)) + density.max(axis=0)
    return float((mean - density.var(axis=0, ddof=1)).sum()), posterior.state
