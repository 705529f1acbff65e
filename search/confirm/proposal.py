"""Proposes an experiment from the trials of a study: which designs, and how often each."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from archloss.search.analysis import FEWEST_REPLICATES
from archloss.search.analysis.answer import profile_surface
from archloss.search.analysis.axes import Array, Axis, Category, Numeric
from archloss.search.analysis.coverage import (
    check_trials,
    find_trained,
    leave_out_levels,
    spread_places,
)
from archloss.search.analysis.power import Replication, plan_replicates
from archloss.search.analysis.profile import Profile
from archloss.search.analysis.surface import Surface, fit_surface
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.grid import LARGEST_GRID
from archloss.spaces.dimensions import Choice, Dimension, Integer, Value
from archloss.spaces.errors import ArchlossError

Design = Mapping[str, Value]

_NEAR_THE_END = 0.05
"""An end of a range that trials came so near to, as a share of the range, counts as reached."""
_DIGITS, _CHOICE_DIGITS = 4, 2
_BLUR, _BLUR_STEPS = 0.06, 13
_SURELY = 0.99


class ConfirmError(ArchlossError):
    """There is nothing to confirm, or not in this way; the message says why, and what would be."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large an experiment is wanted.

    Where `replicates` are None, the fitted noise and `power` say how many.
    """

    contexts: int = 6
    choices: int = 7
    replicates: int | None = None
    power: float = 0.8


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """An experiment that a study suggests.

    `designs` has one for each level, context and choice, in this order, the other dimensions
    tuned for it (settle()); `notes` say what was left out.
    """

    context: str
    choice: str
    by: str | None
    contexts: tuple[float, ...]
    choices: tuple[float, ...]
    levels: tuple[Value, ...]
    designs: tuple[Design, ...]
    replication: Replication
    notes: tuple[str, ...]


def propose(
    trials: Trials,
    dimensions: Mapping[str, Dimension],
    *,
    size: Size,
    bound: float,
    trainings: int = 1,
) -> Proposal:
    """Return the experiment; raise AnalysisError or ConfirmError where the trials suggest none.

    The value of a trial is the mean of so many `trainings`.

    ConfirmError is raised too where it is sure to be too large, before anything takes time.
    """
    _check_conditions(trials, dimensions)
    asked = trials.roles.by
    by = None if asked is None else trials.axes[asked].name
    check_trials(trials)
    levels, trials, notes = leave_out_levels(trials)
    contexts = _spread(trials, trials.roles.context, size.contexts)
    designs = len(levels) * len(contexts) * _limit_choices(trials, size.choices)
    check_trainings(designs, size.replicates or FEWEST_REPLICATES)  # which a fit need not precede
    surface = fit_surface(trials, random=np.random.default_rng(0))
    whole = profile_surface(trials, surface, contexts=contexts)
    choices = _choose(trials, whole, size.choices)
    profile = profile_surface(trials, surface, contexts=contexts, choices=choices)
    others = trials.roles.list_others(len(trials.axes))
    profile = dataclasses.replace(profile, points=settle(surface, profile.points, others))
    names = [axis.name for axis in trials.axes]
    flat = profile.points.reshape(-1, len(names))
    fixed = {name: _get_fixed(one) for name, one in dimensions.items() if name not in names}
    if trials.roles.by is None and by is not None:
        assert levels[0] is not None
        fixed[by] = levels[0]  # the one level that was left
    tuned = tuple(_decode(point, trials.axes, dimensions, fixed) for point in flat)
    context, choice = names[trials.roles.context], names[trials.roles.choice]
    return Proposal(
        context=context,
        choice=choice,
        by=by,
        contexts=tuple(sorted({float(design[context]) for design in tuned})),
        choices=tuple(sorted({float(design[choice]) for design in tuned})),
        levels=tuple(level for level in levels if level is not None),
        designs=tuned,
        replication=plan_replicates(
            surface, profile, bound=bound, power=size.power, trainings=trainings
        ),
        notes=(*notes, *_find_untrained(trials, by, levels, contexts)),
    )


def _find_untrained(
    trials: Trials, by: str | None, levels: Sequence[Value | None], contexts: Array
) -> list[str]:
    """Say which levels the experiment trains where the search says nothing of them."""
    notes, axis = [], _get_axis(trials, trials.roles.context)
    for index, level in enumerate(levels):
        missing = contexts[~find_trained(trials, index, contexts)]
        if len(missing):
            values = ", ".join(f"{value:g}" for value in axis.decode(missing))
            notes.append(
                f"{by} = {level} was not trained to the end at {axis.name} {values}, where the "
                "report says nothing of it. The experiment trains it there too, and what one "
                "choice costs is a mean over all that it trains."
            )
    return notes


def settle(surface: Surface, points: Array, others: Sequence[int]) -> Array:
    """Return points `[B, U, M, D]` whose axes `others` differ among choices where that is sure.

    They are tuned for each cell. What suits all choices of a context best together stands in where
    a cell's own is not all but surely better: else chance in the tuning would part the choices.
    """
    settled = points.copy()
    for level, context in np.ndindex(points.shape[:2]):
        own = settled[level, context]  # [M, D]
        crossed = np.repeat(own[None], len(own), axis=0)  # of each setting, at each choice
        crossed[:, :, others] = own[:, None, others]
        expected = surface.predict(crossed.reshape(-1, own.shape[1])).reshape(len(own), -1)
        common = crossed[expected.mean(axis=1).argmin()]
        better = (surface.draw(own) < surface.draw(common)).mean(axis=0)
        unsure = better < _SURELY
        own[unsure] = common[unsure]
    return settled


def check_trainings(designs: int, replicates: int) -> None:
    """Raise ConfirmError where designs are too many to be trained so often."""
    trainings = designs * replicates
    if trainings > LARGEST_GRID:
        raise ConfirmError(
            f"an experiment must have at most {LARGEST_GRID:,} trainings, but {trainings:,} were "
            f"asked for, {designs:,} designs x {replicates} replicates: lower --contexts, "
            "--choices or --replicates"
        )


def _check_conditions(trials: Trials, dimensions: Mapping[str, Dimension]) -> None:
    roles = trials.roles
    for option, axis in (("context", roles.context), ("choice", roles.choice), ("by", roles.by)):
        if axis is None:
            continue
        when = dimensions[trials.axes[axis].name].when
        if when is not None:
            raise ConfirmError(
                f"--{option} must name a dimension that always matters, but "
                f"{trials.axes[axis].name!r} matters only where {when.parent} is "
                f"{' or '.join(map(str, when.values))}: ask about another one"
            )


def _spread(trials: Trials, index: int, count: int) -> Array:
    """Return up to so many places, evenly over what was tried of an axis, ends included."""
    return spread_places(_get_axis(trials, index), *_find_ends(trials, index), count=count)


def _limit_choices(trials: Trials, count: int) -> int:
    """Return how many of so many choices there can be."""
    axis = _get_axis(trials, trials.roles.choice)
    if axis.steps:
        return min(count, len(axis.steps))
    return min(count, round(axis.high - axis.low) + 1) if axis.whole else count


def _choose(trials: Trials, profile: Profile, count: int) -> Array:
    """Return up to so many places of the choice, ends included.

    They are quantiles of a mixture in equal parts: evenly over what was tried, and where draws of
    the profile `[T, B, U, M]` have the best choice, blurred.
    """
    index = trials.roles.choice
    axis, (low, high) = _get_axis(trials, index), _find_ends(trials, index)
    bests = profile.choices[profile.draws.argmin(axis=-1)].reshape(-1, 1)
    likely = np.clip(bests + np.linspace(-_BLUR, _BLUR, _BLUR_STEPS), low, high).ravel()
    mixture = np.concatenate([likely, np.linspace(low, high, len(likely))])
    places = _spread_over(mixture, count)
    if axis.steps:
        steps = axis.encode(np.array(axis.steps))
        return np.unique(steps[np.abs(steps - places[:, None]).argmin(axis=1)])
    for digits in range(_CHOICE_DIGITS, _DIGITS + 1):  # as few as keep them apart
        values = [float(f"{value:.{digits}g}") for value in axis.decode(places)]
        if axis.whole or len(set(values)) == len(places):
            break
    return np.unique(np.clip(axis.encode(np.array(values)), low, high))


def _spread_over(mixture: Array, count: int) -> Array:
    """Return so many different quantiles of a mixture, evenly: several may lie at one place."""
    quantiles = count
    while len(places := np.unique(np.quantile(mixture, np.linspace(0, 1, quantiles)))) < count:
        quantiles += 1
    return places


def _find_ends(trials: Trials, index: int) -> tuple[float, float]:
    tried = trials.points[trials.find(Kind.COMPLETED), index]
    low, high = float(tried.min()), float(tried.max())
    return (
        0.0 if low < _NEAR_THE_END else low,
        1.0 if high > 1 - _NEAR_THE_END else high,
    )


def _get_axis(trials: Trials, index: int) -> Numeric:
    axis = trials.axes[index]
    assert isinstance(axis, Numeric)
    return axis


def _decode(
    point: Array,
    axes: Sequence[Axis],
    dimensions: Mapping[str, Dimension],
    fixed: Mapping[str, Value],
) -> dict[str, Value]:
    """Return a design with every dimension, in the space's order."""
    tuned = {
        axis.name: axis.levels[int(place)]
        if isinstance(axis, Category)
        else write_value(axis.decode(np.array([place]))[0], dimensions[axis.name])
        for axis, place in zip(axes, point, strict=True)
    }
    return {name: tuned[name] if name in tuned else fixed[name] for name in dimensions}


def write_value(value: float, dimension: Dimension) -> Value:
    """Return a value as a person would write it: to four digits and within the range, or a choice.

    >>> from archloss.spaces.dimensions import Float
    >>> write_value(0.00316227766, Float(low=3e-4, high=3e-2, log=True))
    0.003162
    >>> write_value(7.9999999, Integer(low=1, high=32))
    8
    """
    if isinstance(dimension, Choice):
        return min(dimension.values, key=lambda choice: abs(float(choice) - value))
    rounded = float(f"{value:.{_DIGITS}g}")
    if isinstance(dimension, Integer):
        return min(max(round(value), dimension.low), dimension.high)
    return float(min(max(rounded, dimension.low), dimension.high))


def _get_fixed(dimension: Dimension) -> Value:
    return dimension.values[0] if isinstance(dimension, Choice) else dimension.low
