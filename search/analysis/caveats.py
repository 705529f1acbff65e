"""What to hold against an answer, as sentences."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from archloss.search.analysis.coverage import FEWEST_FOR_NONE, get_question
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.report.wording import format_number

_MANY = 0.05
"""From this share of trials that diverged on, it counts how likely a design is to."""
_EXTREME = 100.0

if TYPE_CHECKING:
    from archloss.search.analysis.answer import LevelAnswer
    from archloss.search.analysis.axes import Array
    from archloss.search.analysis.surface import Surface


def list_caveats(
    trials: Trials,
    surface: "Surface",
    levels: "Sequence[LevelAnswer]",
    *,
    contexts: "Array",
    fewest: Sequence[int],
    bound: float,
    by: str | None,
) -> tuple[str, ...]:
    """Return what there is to say of an answer at `contexts`, for each level of `by`.

    `fewest` are the trials that each has in the third of its contexts with the fewest.
    """
    context = get_question(trials)[0].name
    return (
        *_find_thin(context, by, levels, fewest, bound),
        *_find_untrained(context, by, levels, contexts),
        *_find_weaknesses(trials, surface),
        *_find_guesses(trials, levels, contexts, bound),
    )


def _find_thin(
    context: str,
    by: str | None,
    levels: "Sequence[LevelAnswer]",
    fewest: Sequence[int],
    bound: float,
) -> list[str]:
    """Say which levels would have no dependence that matters, had they not so few trials."""
    caveats = []
    for level, count in zip(levels, fewest, strict=True):
        if count < FEWEST_FOR_NONE and level.cost.high < bound:
            of = "" if by is None else f" of {by} = {level.level}"
            caveats.append(
                f"A third of the values of {context} has {count} trials{of}, and of fewer than "
                f"{FEWEST_FOR_NONE} it is not said that nothing there matters."
            )
    return caveats


def _find_untrained(
    context: str, by: str | None, levels: "Sequence[LevelAnswer]", contexts: "Array"
) -> list[str]:
    """Say where a level was not trained, and nothing is said of it."""
    return [
        f"{by} = {level.level} was trained from {context} {level.bests[0].context:g} to "
        f"{level.bests[-1].context:g}: of others nothing is said."
        for level in levels
        if len(level.bests) < len(contexts)
    ]


def _find_weaknesses(trials: Trials, surface: "Surface") -> list[str]:
    """Say what is weak about the trials, and about what was made of them."""
    caveats = []
    if trials.sampler not in ("random", "qmc", "grid", "profile", None):
        caveats.append(
            f"The designs were chosen by the sampler {trials.sampler!r}, which looks where errors "
            "are low: far from there, and at contexts that it left early, intervals are wide."
        )
    if again := _count_again(trials):
        caveats.append(
            f"{again} {'trial was' if again == 1 else 'trials were'} of a design that had been "
            "trained before, with the same seeds: that tells nothing new, and each design counts "
            "once."
        )
    if told := trials.count(Kind.PRUNED) - surface.dropped:
        caveats.append(
            f"{told} trials were pruned, and tell of the end only what follows from what they had "
            f"reached. To learn more of each {get_question(trials)[0].name}, prune late or nothing."
        )
    if surface.dropped and trials.rungs:
        caveats.append(
            f"{surface.dropped} pruned trials were left out: too few others went on from where "
            "they stopped to tell how they would have ended."
        )
    elif surface.dropped:
        caveats.append(
            f"{surface.dropped} pruned {'trial was' if surface.dropped == 1 else 'trials were'} "
            "left out, as it is not said what they had reached. Those left are the lucky ones "
            "of what was tried: errors may look better, and effects smaller, than they are."
        )
    diverged = trials.count(Kind.DIVERGED)
    if diverged >= _MANY * len(trials.points):
        caveats.append(
            f"{diverged} trials diverged. How likely a design is to diverge is taken to change "
            "smoothly: close to where networks begin to, errors and what is best are less sure "
            "than their intervals say."
        )
    if extreme := _count_extreme(trials, surface):
        caveats.append(
            f"{extreme} of the trials reached values that are far from all others, and make "
            "intervals wide everywhere. If they stand for networks that diverged, let them count "
            "as such."
        )
    if surface.strata.tied:
        caveats.append(
            "In a part of the search more than half of the trials reached exactly the same, as "
            "networks do that learn nothing, or where errors are counted on few examples: they "
            "tell no designs apart, and nobody how far trials lie off the surface there, so that "
            "intervals are as wide as elsewhere."
        )
    return caveats


def _count_again(trials: Trials) -> int:
    """Return how many completed trials of a study were of a design that another one was of."""
    if trials.numbers is None or trials.trainings is None:
        return 0
    return sum(max(len(values) - 1, 0) for values in trials.trainings)


def _count_extreme(trials: Trials, surface: "Surface") -> int:
    """Return how many trials lie off the median by many times the spread of the middle half."""
    values = surface.scale.apply(trials.values[trials.find(Kind.COMPLETED)])
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return int((np.abs(values - middle) > _EXTREME * (high - low)).sum()) if high > low else 0


def _find_guesses(
    trials: Trials, levels: "Sequence[LevelAnswer]", contexts: "Array", bound: float
) -> list[str]:
    """Say where less is expected, by more than the bound, than any trial near has reached."""
    axis = get_question(trials)[0]
    completed, by = trials.find(Kind.COMPLETED), trials.roles.by
    places = axis.encode(contexts)
    edges = (places[:-1] + places[1:]) / 2
    nearest = np.searchsorted(edges, trials.points[:, trials.roles.context])
    caveats = []
    for index, level in enumerate(levels):
        here = completed & trials.find_level(index)
        guessed = [
            format_number(best.context)
            for best in level.bests
            if best.objective.estimate + bound
            < trials.values[here & (nearest == np.searchsorted(contexts, best.context))].min(
                initial=np.inf
            )
        ]
        if guessed:
            where = "" if by is None else f" and {trials.axes[by].name} = {level.level}"
            caveats.append(
                f"At {axis.name} {', '.join(guessed)}{where} the surface expects clearly less than "
                "any trial there has reached: too few lie near, and it is a guess."
            )
    return caveats
