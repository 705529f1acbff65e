"""How many replicates reach the wanted power, where that is more than a plan takes by itself."""

from bisect import bisect_left

from archloss.search.analysis.power import find_power
from archloss.search.spec_plan import PlanSpec, limit_replicates


def find_powers(plan: PlanSpec, replicates: int) -> list[float]:
    """Return the chance to find an interaction at twice the bound, for each of the levels."""
    return [
        find_power(
            deviation=deviation, bound=plan.bound, replicates=replicates, levels=plan.shape[0]
        )
        for deviation in plan.deviations
    ]


def find_enough(plan: PlanSpec, power: float) -> int | None:
    """Return the fewest replicates that reach this power everywhere; None if a plan has no room."""
    counts = range(plan.replicates, limit_replicates(len(plan.designs)) + 1)
    place = bisect_left(counts, True, key=lambda count: min(find_powers(plan, count)) >= power)
    return counts[place] if place < len(counts) else None
