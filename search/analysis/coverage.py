"""What trials cover: whether they can answer, for which levels of `by`, and in which contexts.

U context.
"""

import itertools

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array, Axis, Category, Numeric
from archloss.search.analysis.trials import Kind, Trials, keep_levels
from archloss.spaces.dimensions import Value
from archloss.spaces.errors import ArchlossError

_MOST_CONTEXTS = 10
_FEWEST_TRIALS = 40
_FEWEST_PER_LEVEL = 20
_FEWEST_CONTEXTS, _FEWEST_CHOICES = 3, 4
FEWEST_FOR_NONE = 12
"""With fewer trials in a third of a level's contexts, other levels and the prior alone would say
that nothing matters there."""
_PARTS = 3
_MORE = "train more"
_ONCE = ", as trainings of the same design count once"


class AnalysisError(ArchlossError):
    """The trials cannot answer the question; the message says why, and what would."""


def check_trials(trials: Trials, *, beside: str = "") -> None:
    """Raise AnalysisError where the trials cannot answer, with the reason and the way out.

    `beside` says which others there are that cannot be used.
    """
    context, choice = get_question(trials)
    completed = trials.find(Kind.COMPLETED)
    if not completed.any() and trials.count(Kind.DIVERGED):
        raise AnalysisError(
            f"all {trials.count(Kind.DIVERGED)} finished trials diverged: lower the learning rates "
            "of the search, and launch again"
        )
    if completed.sum() < _FEWEST_TRIALS:
        what, once = ("trials", "") if trials.trainings is None else ("designs", _ONCE)
        raise AnalysisError(
            f"at least {_FEWEST_TRIALS} {what} must have been trained to the end, but "
            f"{int(completed.sum())} were{beside}{once}: {_MORE}"
        )
    for axis, index, fewest in (
        (context, trials.roles.context, _FEWEST_CONTEXTS),
        (choice, trials.roles.choice, _FEWEST_CHOICES),
    ):
        tried = len(np.unique(trials.points[completed, index]))
        if tried < fewest:
            raise AnalysisError(
                f"{axis.name} must have at least {fewest} values among the trials that were "
                f"trained to the end, but has {tried}: search over more of them"
            )
    if np.ptp(trials.values[completed]) == 0.0:
        raise AnalysisError(
            "the trials must differ in what they reached, but all that were trained to the end "
            f"have {trials.values[completed][0]:.4g}: nothing can be compared"
        )


def place_contexts(trials: Trials) -> Array:
    """Return the places `[U]` of up to ten contexts that were tried."""
    axis, index = get_question(trials)[0], trials.roles.context
    tried = trials.points[trials.find(Kind.COMPLETED), index]
    return choose_places(axis, tried, _MOST_CONTEXTS, whole=False)


def find_trained(trials: Trials, level: int, contexts: Array) -> npt.NDArray[np.bool_]:
    """Say at which contexts `[U]` a level of `by` was trained: between its own, or close to them.

    Beyond them is no trial of it, and that all is well there would be the word of other levels.
    """
    here = trials.find(Kind.COMPLETED) & trials.find_level(level)
    tried = trials.points[here, trials.roles.context]
    slack = np.ptp(contexts) / (len(contexts) - 1) / 2
    return np.asarray((contexts >= tried.min() - slack) & (contexts <= tried.max() + slack))


def count_fewest(trials: Trials, level: int, contexts: Array) -> int:
    """Return how many trials of a level of `by` went to the end where these are fewest.

    That is a third of its contexts. What was pruned does not count: it says how a design begins.
    """
    here = trials.find(Kind.COMPLETED) & trials.find_level(level)
    parts = np.array_split(contexts, _PARTS)
    edges = [(below[-1] + above[0]) / 2 for below, above in itertools.pairwise(parts)]
    at = np.searchsorted(edges, trials.points[here, trials.roles.context])
    return int(np.bincount(at, minlength=_PARTS).min())


def leave_out_levels(trials: Trials) -> tuple[list[Value | None], Trials, tuple[str, ...]]:
    """Return the levels of `by` that can be answered for, their trials, and caveats of the others.

    These have too few trials, or were trained in too few contexts.
    """
    if trials.roles.by is None:
        return [None], trials, ()
    levels, by = get_levels(trials), trials.axes[trials.roles.by].name
    counts = np.bincount(
        trials.points[trials.find(Kind.COMPLETED), trials.roles.by].astype(int),
        minlength=len(levels),
    )
    kept = [level for level, count in enumerate(counts) if count >= _FEWEST_PER_LEVEL]
    if not kept:
        raise AnalysisError(
            f"at least {_FEWEST_PER_LEVEL} trials of one {by} must have been trained to the end, "
            f"but there are {int(counts.max())} at most: {_MORE}"
        )
    few = [level for level in range(len(levels)) if level not in kept]
    caveats = [
        f"{by} = {levels[level]} was left out: of at least {_FEWEST_PER_LEVEL} trials that must "
        f"have been trained to the end it has {counts[level]}."
        for level in few
    ]
    if few:
        trials = keep_levels(trials, kept)
        beside = " and ".join(f"{counts[level]} of {by} = {levels[level]}" for level in few)
        check_trials(trials, beside=f", beside {beside}, too few for an answer of their own")
    context, contexts = get_question(trials)[0].name, place_contexts(trials)
    wide = [
        index
        for index in range(len(kept))
        if find_trained(trials, index, contexts).sum() >= _FEWEST_CONTEXTS
    ]
    if not wide:
        raise AnalysisError(
            f"at least {_FEWEST_CONTEXTS} values of {context}, spread over those that were trained "
            f"to the end, must lie where one {by} was, but each {by} was trained at fewer: {_MORE}"
        )
    if len(wide) < len(kept):
        caveats += [
            f"{by} = {levels[level]} was left out: it was trained over too little of {context}."
            for index, level in enumerate(kept)
            if index not in wide
        ]
        trials = keep_levels(trials, wide)
        check_trials(trials)
    return [levels[kept[index]] for index in wide], trials, tuple(caveats)


def choose_places(axis: Axis, tried: Array, most: int, *, whole: bool) -> Array:
    """Return the places that were tried, or, where they are more than `most`, so many over them.

    `whole` is whether these reach over the whole axis. Between the few values of a grid the surface
    is a guess. Whole numbers stay whole.
    """
    distinct = np.unique(tried)
    if isinstance(axis, Category) or len(distinct) <= most:
        return distinct
    low, high = (0.0, 1.0) if whole else (distinct[0], distinct[-1])
    return spread_places(axis, low, high, count=most)


def spread_places(axis: Numeric, low: float, high: float, *, count: int) -> Array:
    """Return up to so many places from `low` to `high`; of a grid its own, and whole ones whole."""
    places = np.linspace(low, high, count)
    if axis.steps:
        steps = axis.encode(np.array(axis.steps))
        inside = steps[(steps >= low) & (steps <= high)]
        chosen = np.unique(np.round(np.linspace(0, len(inside) - 1, count)).astype(int))
        return np.asarray(inside[chosen])
    return axis.encode(np.unique(axis.decode(places))) if axis.whole else places


def get_question(trials: Trials) -> tuple[Numeric, Numeric]:
    """Return the axes of context and choice."""
    context, choice = trials.axes[trials.roles.context], trials.axes[trials.roles.choice]
    assert isinstance(context, Numeric)
    assert isinstance(choice, Numeric)
    return context, choice


def get_levels(trials: Trials) -> tuple[Value, ...]:
    """Return the levels of `by`, which there must be."""
    assert trials.roles.by is not None
    axis = trials.axes[trials.roles.by]
    assert isinstance(axis, Category)
    return axis.levels
