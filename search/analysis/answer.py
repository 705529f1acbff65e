"""From trials to the answer: where the best choice lies in each context, and whether it matters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array, Axis, Category, Numeric
from archloss.search.analysis.profile import Profile, draw_profile
from archloss.search.analysis.surface import Surface, fit_surface
from archloss.search.analysis.threads import on_one_thread
from archloss.search.analysis.trials import Kind, Trials, keep_levels
from archloss.search.analysis.verdict import (
    Cost,
    Interval,
    Verdict,
    estimate_best,
    estimate_cost,
    share_error,
)
from archloss.spaces.dimensions import Value
from archloss.spaces.errors import ArchlossError

_MOST_CONTEXTS = 10
_CHOICES = 41
_OTHERS = 25
_FEWEST_TRIALS = 40
_FEWEST_PER_LEVEL = 20
_FEWEST_CONTEXTS, _FEWEST_CHOICES = 3, 4
_MOST_TIMES = 20
_MORE = "train more"


class AnalysisError(ArchlossError):
    """The trials cannot answer the question; the message says why, and what would."""


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
    choice's in the last of them less that in the first, and `cost` the mean objective of one choice
    for all of them less that of each one's own. `common` is that one choice. `profile` `[U, M]` is
    the lowest expected objective at each of them and each choice, from `profile_low` to
    `profile_high`.
    """

    level: Value | None
    bests: tuple[Best, ...]
    change: Interval
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
    every = () if trials.roles.by is None else _get_levels(trials)
    names, trials, few = leave_out_levels(trials)
    random = np.random.default_rng(seed)
    surface = fit_surface(trials, random=random)
    profile = profile_surface(trials, surface)
    axis, choice_axis = _get_question(trials)
    contexts, choices = axis.decode(profile.contexts), choice_axis.decode(profile.choices)
    trained = [_find_trained(trials, index, profile.contexts) for index in range(len(names))]
    draws = [profile.draws[:, index][:, here] for index, here in enumerate(trained)]
    costs = [estimate_cost(one) for one in draws]
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
            *_find_untrained(axis.name, by, levels, contexts),
            *_find_caveats(trials, surface),
            *_find_guesses(trials, levels),
        ),
        left_out=tuple(level for level in every if level not in names),
        fitted=Fitted(surface=surface, trials=trials),
    )


def check_trials(trials: Trials, *, beside: str = "") -> None:
    """Raise AnalysisError where the trials cannot answer, with the reason and the way out.

    `beside` says which others there are that cannot be used.
    """
    context, choice = _get_question(trials)
    completed = trials.find(Kind.COMPLETED)
    if not completed.any() and trials.count(Kind.DIVERGED):
        raise AnalysisError(
            f"all {trials.count(Kind.DIVERGED)} finished trials diverged: lower the learning rates "
            "of the search, and launch again"
        )
    if completed.sum() < _FEWEST_TRIALS:
        raise AnalysisError(
            f"at least {_FEWEST_TRIALS} trials must have been trained to the end, but "
            f"{int(completed.sum())} were{beside}: {_MORE}"
        )
    for axis, index, fewest in (
        (context, trials.roles.context, _FEWEST_CONTEXTS),
        (choice, trials.roles.choice, _FEWEST_CHOICES),
    ):
        tried = len(np.unique(trials.points[completed, index]))
        if tried < fewest:
            raise AnalysisError(
                f"{axis.name} must have at least {fewest} values among the trials that were "
                f"trained to the end, but has {tried}: search over it"
            )
    if np.ptp(trials.values[completed]) == 0.0:
        raise AnalysisError(
            "the trials must differ in what they reached, but all that were trained to the end "
            f"have {trials.values[completed][0]:.4g}: nothing can be compared"
        )


def _place_contexts(trials: Trials) -> Array:
    axis, index = _get_question(trials)[0], trials.roles.context
    tried = trials.points[trials.find(Kind.COMPLETED), index]
    return _choose_places(axis, tried, _MOST_CONTEXTS, whole=False)


def _find_trained(trials: Trials, level: int, contexts: Array) -> npt.NDArray[np.bool_]:
    """Say at which contexts `[U]` a level of `by` was trained: between its own, or close to them.

    Beyond them is no trial of it, and that all is well there would be the word of other levels.
    """
    here = trials.find(Kind.COMPLETED)
    if trials.roles.by is not None:
        here &= trials.points[:, trials.roles.by] == level
    tried = trials.points[here, trials.roles.context]
    slack = np.ptp(contexts) / (len(contexts) - 1) / 2
    return np.asarray((contexts >= tried.min() - slack) & (contexts <= tried.max() + slack))


def leave_out_levels(trials: Trials) -> tuple[list[Value | None], Trials, tuple[str, ...]]:
    """Return the levels of `by` that can be answered for, their trials, and caveats of the others.

    These have too few trials, or were trained in too few contexts.
    """
    if trials.roles.by is None:
        return [None], trials, ()
    levels, by = _get_levels(trials), trials.axes[trials.roles.by].name
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
    context, contexts = _get_question(trials)[0].name, _place_contexts(trials)
    wide = [
        index
        for index in range(len(kept))
        if _find_trained(trials, index, contexts).sum() >= _FEWEST_CONTEXTS
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


@on_one_thread
def profile_surface(
    trials: Trials,
    surface: Surface,
    *,
    contexts: Array | None = None,
    choices: Array | None = None,
) -> Profile:
    """Return the profile at these places; else at up to ten contexts that were tried.

    Choices are then taken over their whole range, the ends of which a study may not have tried: the
    best one may lie there. Of a grid they are those that were tried.
    """
    known = trials.find(Kind.COMPLETED)
    best = trials.points[known][trials.values[known].argmin()]
    middle = np.array([0.0 if isinstance(axis, Category) else 0.5 for axis in trials.axes])
    roles = trials.roles
    most = dict.fromkeys(range(len(trials.axes)), _OTHERS)
    most |= {roles.context: _MOST_CONTEXTS, roles.choice: _CHOICES}
    places = [
        _choose_places(axis, trials.points[known, index], most[index], whole=index == roles.choice)
        for index, axis in enumerate(trials.axes)
    ]
    return draw_profile(
        surface,
        trials.axes,
        trials.roles,
        contexts=places[roles.context] if contexts is None else contexts,
        choices=places[roles.choice] if choices is None else choices,
        places=places,
        starts=np.stack([middle, best]),
    )


def _choose_places(axis: Axis, tried: Array, most: int, *, whole: bool) -> Array:
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
) -> LevelAnswer:
    """Return the answer of one level from its profile's draws `[T, U, M]` and its cost.

    `share` is the chance of a wrong verdict to either side, and `least` what no objective is below.
    """
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
        verdict=cost.judge(bound, share=share),
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
    needed = []
    for cost, level in zip(costs, levels, strict=True):
        if level.verdict is not Verdict.UNDECIDED:
            continue
        interval = cost.interval
        room = abs(interval.estimate - bound)
        far = interval.high if interval.estimate < bound else interval.low
        reach = abs(far - interval.estimate)
        times = (reach / room) ** 2 if room > 0 else math.inf
        needed.append(trials * max(times - 1, 0.1) if times <= _MOST_TIMES else math.inf)
    return float(np.ceil(max(needed))) if max(needed) < math.inf else math.inf


def _find_caveats(trials: Trials, surface: Surface) -> tuple[str, ...]:
    caveats = []
    if trials.sampler not in ("random", "qmc", "grid", "profile", None):
        caveats.append(
            f"The designs were chosen by the sampler {trials.sampler!r}, which looks where errors "
            "are low: far from there, and at contexts that it left early, intervals are wide."
        )
    if surface.dropped:
        caveats.append(
            f"{surface.dropped} pruned trials were left out: too few others went on from where "
            "they stopped to tell how they would have ended."
        )
    if surface.strata.tied:
        caveats.append(
            "In a part of the search more than half of the trials reached exactly the same, as "
            "networks do that learn nothing: they tell no designs apart, and nobody how far trials "
            "lie off the surface there, so that intervals are as wide as elsewhere."
        )
    return tuple(caveats)


def _find_untrained(
    context: str, by: str | None, levels: Sequence[LevelAnswer], contexts: Array
) -> list[str]:
    """Say where a level was not trained, and nothing is said of it."""
    return [
        f"{by} = {level.level} was trained from {context} {level.bests[0].context:g} to "
        f"{level.bests[-1].context:g}: of others nothing is said."
        for level in levels
        if len(level.bests) < len(contexts)
    ]


def _find_guesses(trials: Trials, levels: Sequence[LevelAnswer]) -> list[str]:
    """Say where less is expected than any trial of the level has reached."""
    completed = trials.find(Kind.COMPLETED)
    by, (axis, _) = trials.roles.by, _get_question(trials)
    caveats = []
    for index, level in enumerate(levels):
        here = completed if by is None else completed & (trials.points[:, by] == index)
        reached = trials.values[here].min()
        contexts = [best.context for best in level.bests if best.objective.estimate < reached]
        if contexts:
            where = "" if by is None else f" and {trials.axes[by].name} = {level.level}"
            caveats.append(
                f"At {axis.name} {', '.join(f'{context:g}' for context in contexts)}{where} the "
                "surface expects less than any trial has reached: too few lie near, and it is a "
                "guess."
            )
    return caveats


def _get_question(trials: Trials) -> tuple[Numeric, Numeric]:
    context, choice = trials.axes[trials.roles.context], trials.axes[trials.roles.choice]
    assert isinstance(context, Numeric)
    assert isinstance(choice, Numeric)
    return context, choice


def _get_levels(trials: Trials) -> tuple[Value, ...]:
    assert trials.roles.by is not None
    axis = trials.axes[trials.roles.by]
    assert isinstance(axis, Category)
    return axis.levels
