"""How many replicates a confirmatory experiment needs, from the noise that the search has met.

Two designs of one replicate differ by noise with the variance of both together: what pairing saves
beyond that is not known before the experiment, and not counted on. The cost of one choice for all
contexts is a mean over contexts of such differences. A training that diverges counts as guessing,
which is noise too where only some do. An interaction is found by a one-sided t test
that this is above the bound, with the chance of error that verdicts have. What is promised is its
power at one level of `by`; docs/benchmarks.md shows it beside the power that is reached.

B level of `by`, U context, M choice, S stratum.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from archloss.search.analysis import FEWEST_REPLICATES
from archloss.search.analysis.axes import Array
from archloss.search.analysis.profile import Profile
from archloss.search.analysis.surface import Surface
from archloss.search.analysis.verdict import share_error

MOST_REPLICATES = 50
_MOST_CHANCE = 0.999


@dataclass(frozen=True, kw_only=True)
class Replication:
    """How often each design is trained, and why.

    `power` is the chance to find an interaction where the true cost is `effect` at the noisiest
    level, with `deviations` as the standard deviations of one replicate's cost at each.
    """

    replicates: int
    power: float
    effect: float
    deviations: tuple[float, ...]


def plan_replicates(
    surface: Surface, profile: Profile, *, bound: float, power: float, trainings: int = 1
) -> Replication:
    """Return the fewest replicates, from 6 to 50, that give this power, or the most.

    A value that the surface was fitted to is the mean of so many `trainings`.
    """
    deviations = combine_noise(find_noise(surface, profile, trainings=trainings))
    deviation, levels = float(deviations.max()), len(deviations)
    counts = range(FEWEST_REPLICATES, MOST_REPLICATES + 1)
    enough = (
        count
        for count in counts
        if find_power(deviation=deviation, bound=bound, replicates=count, levels=levels) >= power
    )
    replicates = next(enough, MOST_REPLICATES)
    return Replication(
        replicates=replicates,
        power=find_power(deviation=deviation, bound=bound, replicates=replicates, levels=levels),
        effect=2 * bound,
        deviations=tuple(deviations.tolist()),
    )


def find_power(*, deviation: float, bound: float, replicates: int, levels: int) -> float:
    """Return the chance to find an interaction whose cost is twice the bound at one level."""
    if deviation == 0.0:
        return 1.0
    freedom = replicates - 1
    distance = bound / (deviation * find_spread(replicates))
    reached = stats.t.ppf(1 - share_error(levels), freedom)
    return float(stats.nct.sf(reached, freedom, distance))


def find_spread(replicates: int) -> float:
    """Return the standard error of the cost, as a multiple of the deviation between replicates.

    Each replicate's cost is that of choices made on all others, so these are not independent
    (Nadeau and Bengio 2003, Machine Learning 52(3), equation 14).
    """
    return float(np.sqrt(1 / replicates + 1 / (replicates - 1)))


def find_noise(surface: Surface, profile: Profile, *, trainings: int = 1) -> Array:
    """Return the noise deviation of one training `[B, U, M]` at the profile's tuned points.

    The surface's own is of the mean of so many `trainings`. Where it is silent, all that trials
    differ by counts as noise.
    """
    points = profile.points.reshape(-1, profile.points.shape[-1])
    strata = surface.strata.number(points)
    noise, expected = surface.noise.mean(axis=0)[strata], surface.predict(points)
    if surface.strata.silent:
        noise = surface.spread[strata]
    elif surface.scale.offset is not None:  # of a logarithm: a share of what is expected
        share = np.sqrt(np.expm1(noise**2))
        noise = np.minimum((expected + surface.scale.offset) * share, surface.spread[strata])
    noise = noise * np.sqrt(trainings)
    if surface.divergence is not None:
        chance = np.minimum(surface.divergence.predict(points), _MOST_CHANCE)
        jump = (surface.penalty - expected) / (1 - chance)  # from what does not diverge
        noise = np.sqrt((1 - chance) * noise**2 + chance * (1 - chance) * jump**2)
    return np.asarray(noise.reshape(profile.points.shape[:-1]))


def combine_noise(noise: Array) -> Array:
    """Return the deviations `[B]` of a mean over contexts of differences of two cells.

    `noise` is `[B, U, M]`; each context has the mean variance of its cells.
    """
    variances = 2 * (noise**2).mean(axis=2)
    return np.asarray(np.sqrt(variances.sum(axis=1)) / noise.shape[1])
