"""The trials of a planned study: each is one training of one design, a replicate of its own."""

from collections.abc import Mapping, Sequence

from optuna.distributions import BaseDistribution, IntDistribution

from archloss.search.confirm import REPLICATE
from archloss.search.distributions import to_distributions, to_params
from archloss.search.spec import Spec
from archloss.spaces.dimensions import Value


def make_distributions(spec: Spec) -> dict[str, BaseDistribution]:
    """Return the distribution of each parameter of the study's trials."""
    distributions = to_distributions(spec.dimensions())
    if spec.plan is None:
        return distributions
    return {**distributions, REPLICATE: IntDistribution(0, spec.plan.replicates - 1)}


def list_replicates(spec: Spec, params: Mapping[str, Value]) -> Sequence[int]:
    """Return the replicates that a trial with these parameters trains."""
    if spec.plan is None:
        return range(spec.recipe.replicates)
    return (int(params[REPLICATE]),)


def list_planned(spec: Spec) -> list[dict[str, Value]]:
    """Return the parameters of all trials of a plan: all designs once, then once more, and so on.

    An experiment that is cut short thus has whole replicates.
    """
    assert spec.plan is not None
    dimensions = spec.dimensions()
    designs = [to_params(dimensions, design) for design in spec.plan.designs]
    return [
        {**design, REPLICATE: replicate}
        for replicate in range(spec.plan.replicates)
        for design in designs
    ]
