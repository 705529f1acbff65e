"""From trials to the answer: where the best choice lies in each context, and whether it matters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from archloss.search.analysis.axes import Array, Category
from archloss.search.analysis.caveats import list_caveats
from archloss.search.analysis.coverage import (
    FEWEST_FOR_NONE,
    check_trials,
    choose_places,
    count_fewest,
    find_trained,
    get_levels,
    get_question,
    leave_out_levels,
    place_contexts,
)
from archloss.search.analysis.profile import Profile, draw_profile
from archloss.search.analysis.surface import Surface, fit_surface
from archloss.search.analysis.threads import on_one_thread
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.analysis.verdict import (
    Change,
    Cost,
    Interval,
    Verdict,
    estimate_best,
    estimate_cost,
    share_error,
)
from archloss.spaces.dimensions import Value

_CHOICES = 41
_OTHERS = 25
_MOST_TIMES, _LEAST_MORE = 20, 0.1
"""More trials are guessed at up to so many times those there are, and not below such a part."""
_WIDEST = 10


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best choice in one context, and the expected objective there."""

    context: float
    choice: Interval
    objective: Interval


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelAnswer:
    """The answer for one level of `by`; `level` is None where there is no `by`.

    `bests` are at those of the answer's contexts where the level was trained. `change` is the best
    choice's from the first of them to the last, and `cost` the mean objective of one choice for all
    of them less that of each one's own. `common` is that one choice. `profile` `[U, M]` is the
    lowest expected objective at each of them and each choice, from `profile_low` to `profile_high`.
    """

    level: Value | None
    bests: tuple[Best, ...]
    change: Change
    cost: Interval
    common: float
    verdict: Verdict
    profile: Array
    profile_low: Array
    profile_high: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """The surface that an answer was read off, and the trials that it was fitted to."""

    surface: Surface
    trials: Trials


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """Does the best choice depend on the context? `bound` is the smallest cost that matters.

    `more_trials` is about how many more would decide; None where the verdict is out, infinite
    where it is too near the bound to say. `left_out` are levels of `by` with too few trials.
    `fitted` is what it was read off; None where the answer was made by hand.
    """

    context: str
    choice: str
    by: str | None
    contexts: tuple[float, ...]
    choices: tuple[float, ...]
    levels: tuple[LevelAnswer, ...]
    verdict: Verdict
    bound: float
    more_trials: float | None
    completed: int
    diverged: int
    pruned: int
    sampler: str | None
    caveats: tuple[str, ...] = field(default=())
    left_out: tuple[Value, ...] = field(default=())
    fitted: Fitted | None = field(default=None, repr=False)


def answer(trials: Trials, *, bound: float, seed: int = 0) -> Answer:
    """Return the answer to the question that the trials' roles put.

    Levels of `by` with too few trials are left out, which a caveat says. Raises AnalysisError
    where the trials are too few, or cover too little.
    """
    by = None if trials.roles.by is None else trials.axes[trials.roles.by].name
    check_trials(trials)
    every = () if trials.roles.by is None else get_levels(trials)
    names, trials, few = leave_out_levels(trials)
    random = np.random.default_rng(seed)
    surface = fit_surface(trials, random=random)
    profile = profile_surface(trials, surface)
    axis, choice_axis = get_question(trials)
    contexts, choices = axis.decode(profile.contexts), choice_axis.decode(profile.choices)
    trained = [find_trained(trials, index, profile.contexts) for index in range(len(names))]
    draws = [profile.draws[:, index][:, here] for index, here in enumerate(trained)]
    costs = [estimate_cost(one) for one in draws]
    fewest = [
        count_fewest(trials, index, profile.contexts[here]) for index, here in enumerate(trained)
    ]
    levels = tuple(
        answer_level(
            draws[index],
            level=level,
            cost=costs[index],
            contexts=contexts[trained[index]],
            choices=choices,
            bound=bound,
            share=share_error(len(names)),
            least=find_least(trials.values),
            enough=fewest[index] >= FEWEST_FOR_NONE,
        )
        for index, level in enumerate(names)
    )
    verdict = combine_verdicts([level.verdict for level in levels])
    usable = trials.count(Kind.COMPLETED) + trials.count(Kind.PRUNED)
    return Answer(
        context=axis.name,
        choice=choice_axis.name,
        by=by,
        contexts=tuple(contexts),
        choices=tuple(choices),
        levels=levels,
        verdict=verdict,
        bound=bound,
        more_trials=guess_more(costs, levels, bound, usable)
        if verdict is Verdict.UNDECIDED
        else None,
        completed=trials.count(Kind.COMPLETED),
        diverged=trials.count(Kind.DIVERGED),
        pruned=trials.count(Kind.PRUNED),
        sampler=trials.sampler,
        caveats=(
            *few,
            *list_caveats(
                trials, surface, levels, contexts=contexts, fewest=fewest, bound=bound, by=by
            ),
        ),
        left_out=tuple(level for level in every if level not in names),
        fitted=Fitted(surface=surface, trials=trials),
    )


@on_one_thread
def profile_surface(
    trials: Trials,
    surface: Surface,
    *,
    contexts: Array | None = None,
    choices: Array | None = None,
) -> Profile:
    """Return the profile at these places; else at contexts that were tried.

    Choices are then taken over their whole range, the ends of which a study may not have tried: the
    best one may lie there. Of a grid they are those that were tried.
    """
    known = trials.find(Kind.COMPLETED)
    best = trials.points[known][trials.values[known].argmin()]
    middle = np.array([0.0 if isinstance(axis, Category) else 0.5 for axis in trials.axes])
    roles = trials.roles
    most = dict.fromkeys(range(len(trials.axes)), _OTHERS)
    most[roles.choice] = _CHOICES
    places = [
        choose_places(axis, trials.points[known, index], most[index], whole=index == roles.choice)
        for index, axis in enumerate(trials.axes)
    ]
    return draw_profile(
        surface,
        trials.axes,
        trials.roles,
        contexts=place_contexts(trials) if contexts is None else contexts,
        choices=places[roles.choice] if choices is None else choices,
        places=places,
        starts=np.stack([middle, best]),
    )


def answer_level(
    draws: Array,
    *,
    level: Value | None,
    cost: Cost,
    contexts: Array,
    choices: Array,
    bound: float,
    share: float,
    least: float,
    enough: bool = True,
) -> LevelAnswer:
    """Return the answer of one level from its profile's draws `[T, U, M]` and its cost.

    `share` is the chance of a wrong verdict to either side, and `least` what no objective is below.
    Without `enough` trials everywhere nothing is said to be no dependence that matters.
    """
    verdict = cost.judge(bound, share=share)
    bests, objectives, change = estimate_best(draws, choices)
    objectives = [one.cut(least) for one in objectives]
    mean = draws.mean(axis=0)
    low, high = np.maximum(np.quantile(draws, [0.025, 0.975], axis=0), least)
    return LevelAnswer(
        level=level,
        bests=tuple(
            Best(context=float(context), choice=best, objective=objective)
            for context, best, objective in zip(contexts, bests, objectives, strict=True)
        ),
        change=change,
        cost=cost.interval,
        common=float(choices[mean.mean(axis=0).argmin()]),
        verdict=verdict if enough or verdict is not Verdict.NONE else Verdict.UNDECIDED,
        profile=np.maximum(mean, least),
        profile_low=low,
        profile_high=high,
    )


def find_least(values: Array) -> float:
    """Return what no objective is below: 0 where no value is, as of errors and losses."""
    return 0.0 if np.nanmin(values) >= 0 else -math.inf


def combine_verdicts(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict over all levels: one interaction is enough, no interaction takes all."""
    if Verdict.INTERACTION in verdicts:
        return Verdict.INTERACTION
    return Verdict.NONE if set(verdicts) == {Verdict.NONE} else Verdict.UNDECIDED


def guess_more(
    costs: Sequence[Cost], levels: Sequence[LevelAnswer], bound: float, trials: int
) -> float:
    """Return about how many more trials decide, where intervals shrink as one over the root."""
    share = share_error(len(levels))
    undecided = [
        cost
        for cost, level in zip(costs, levels, strict=True)
        if level.verdict is Verdict.UNDECIDED
    ]
    return float(np.ceil(trials * max(_guess_further(cost, bound, share) for cost in undecided)))


def _guess_further(cost: Cost, bound: float, share: float) -> float:
    """Return how many more trials decide, as a multiple of those there are; infinite if too many.

    What is judged is a side's draws: the interval of a cost ends at 0, and so may be the narrower.
    One that reaches far above its estimate is made by a few extreme trials, and tells nothing of
    how it would shrink.
    """
    estimate = cost.interval.estimate
    room = abs(estimate - bound)
    if room == 0 or cost.interval.high > _WIDEST * max(estimate, bound):
        return math.inf
    far = (
        np.quantile(cost.safely_high, 1 - share)
        if estimate < bound
        else np.quantile(cost.safely_low, share)
    )
    times = ((far - estimate) / room) ** 2
    return max(float(times) - 1, _LEAST_MORE) if times <= _MOST_TIMES else math.inf
