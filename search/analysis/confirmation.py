"""The answer of a designed experiment: paired, balanced, and analysed once.

What its cells are expected to reach is drawn by `draw_cells`; the best choice is one of those that
were tried. What one choice for all contexts costs is estimated twice. From choices that are made on
all replicates but one, and valued on that one ("cross-validatory choice", Stone 1974): the mean is
the estimate. A wrong choice for a context makes it too low, and a wrong one for all contexts too
high. Chosen on all replicates, that one looks too good, and makes it too low: the mean of both,
whose errors are opposite, is what the lower end is of. As all choices are made on nearly the same
replicates, values vary more than independent ones (Nadeau and Bengio 2003, Machine Learning 52(3),
equation 14). And from the draws, safely high: the upper end is that of either.

L level, D context, M choice, R replicate, T draw, K chain.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from archloss.search.analysis import FEWEST_REPLICATES
from archloss.search.analysis.answer import (
    Answer,
    answer_level,
    combine_verdicts,
    find_least,
    guess_more,
)
from archloss.search.analysis.axes import Array, Category, Numeric
from archloss.search.analysis.basis import Roles
from archloss.search.analysis.cells import draw_cells
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.experiment import Experiment
from archloss.search.analysis.interaction import compute_p_value
from archloss.search.analysis.power import find_spread
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.analysis.verdict import (
    LEVEL,
    Cost,
    Interval,
    Verdict,
    estimate_cost,
    share_error,
)

_DRAWS, _BURN_IN = 1000, 300
_CHAINS, _QUICK_DRAWS, _QUICK_BURN_IN = 8, 80, 20
_LARGEST_PART = 50_000
"""So many values are drawn from at once; more do not fit where a core has them at hand."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Confirmation:
    """What an experiment says.

    `trials` are its trainings, as those of a search. `p_values` are those of no interaction, for
    each level of the answer.
    """

    answer: Answer
    trials: Trials
    p_values: tuple[float, ...]


def confirm(experiment: Experiment, *, seed: int = 0) -> Confirmation:
    """Return what the experiment says.

    Raises AnalysisError where it has too few replicates, or all its values are the same.
    """
    check_experiment(experiment)
    random = np.random.default_rng(seed)
    values, grid = experiment.values, _make_grid(experiment)
    draws = draw_cells(values, random=random, draws=_DRAWS, burn_in=_BURN_IN)
    paid = _value_policies(values, random)
    costs = [_join(estimate_cost(draws[:, index]), own) for index, own in enumerate(paid)]
    levels = tuple(
        answer_level(
            draws[:, index],
            level=level,
            cost=costs[index],
            contexts=np.array(experiment.contexts),
            choices=np.array(experiment.choices),
            bound=experiment.bound,
            share=share_error(len(values)),
            least=find_least(values),
        )
        for index, level in enumerate(experiment.levels)
    )
    verdict = combine_verdicts([level.verdict for level in levels])
    diverged = int(experiment.diverged.sum())
    return Confirmation(
        answer=Answer(
            context=experiment.context,
            choice=experiment.choice,
            by=experiment.by,
            contexts=experiment.contexts,
            choices=experiment.choices,
            levels=levels,
            verdict=verdict,
            bound=experiment.bound,
            more_trials=guess_more(costs, levels, experiment.bound, values.size)
            if verdict is Verdict.UNDECIDED
            else None,
            completed=values.size - diverged,
            diverged=diverged,
            pruned=0,
            sampler=None,
        ),
        trials=_list_trials(experiment, grid),
        p_values=tuple(compute_p_value(one, random=random) for one in values),
    )


def check_experiment(experiment: Experiment) -> None:
    """Raise AnalysisError where nothing can be told from these values."""
    replicates = experiment.replicates
    if replicates < FEWEST_REPLICATES:
        raise AnalysisError(
            f"an experiment must have at least {FEWEST_REPLICATES} replicates, but has "
            f"{replicates}: make one with more of them"
        )
    if np.ptp(experiment.values) == 0.0:
        raise AnalysisError(
            f"the trainings must differ in what they reached, but all {experiment.values.size} "
            f"have {experiment.values.flat[0]:.4g}: nothing can be compared"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Grid:
    """The cells: context and choice are axes 0 and 1, `by`, if there is one, is axis 2."""

    axes: tuple[Numeric, Numeric] | tuple[Numeric, Numeric, Category]
    contexts: Array
    choices: Array
    levels: int

    @property
    def roles(self) -> Roles:
        return Roles(context=0, choice=1, by=2 if len(self.axes) == 3 else None)

    def place(self, choices: Array) -> Array:
        """Return the points `[L D M, A]` of all levels and contexts with these choices `[M]`."""
        mesh = np.meshgrid(np.arange(self.levels), self.contexts, choices, indexing="ij")
        columns = [mesh[1], mesh[2], mesh[0]][: len(self.axes)]
        return np.stack([column.ravel() for column in columns], axis=1).astype(float)


def _make_grid(experiment: Experiment) -> _Grid:
    def span(name: str, values: tuple[float, ...]) -> Numeric:
        whole = all(value == round(value) for value in values)
        return Numeric(name=name, low=values[0], high=values[-1], whole=whole, steps=values)

    context = span(experiment.context, experiment.contexts)
    choice = span(experiment.choice, experiment.choices)
    levels = tuple(level for level in experiment.levels if level is not None)
    return _Grid(
        axes=(context, choice, Category(name=experiment.by, levels=levels))
        if experiment.by is not None and len(levels) > 1
        else (context, choice),
        contexts=context.encode(np.array(experiment.contexts)),
        choices=choice.encode(np.array(experiment.choices)),
        levels=len(experiment.levels),
    )


def _list_trials(experiment: Experiment, grid: _Grid) -> Trials:
    diverged = experiment.diverged.ravel()
    values = experiment.values.ravel()
    return Trials(
        axes=grid.axes,
        roles=grid.roles,
        points=np.repeat(grid.place(grid.choices), experiment.replicates, axis=0),
        kinds=np.where(diverged, Kind.DIVERGED.value, Kind.COMPLETED.value),
        values=np.where(diverged, np.nan, values),
        early=np.zeros((len(values), 0)),
        rungs=(),
        penalty=float(values[diverged].mean()) if diverged.any() else float("nan"),
        sampler=None,
    )


def _value_policies(values: Array, random: np.random.Generator) -> Array:
    """Return what one choice costs in each replicate `[L, 2, R]`, next to those of the others.

    The first is of that which the others choose, the second the mean of it and of that which all
    replicates choose. Each chain of draws makes choices of its own, and what they cost is averaged:
    where some are nearly as good, one chain's would be a matter of its random numbers.
    """
    curves = _draw_without(values, random)  # [K, R, L, D, M]
    here = np.moveaxis(values, 3, 0)
    own = np.take_along_axis(here[None], curves.argmin(axis=4)[..., None], axis=4)
    paid = (here - own).mean(axis=3)  # [K, R, L, M]
    by_others = curves.mean(axis=3).argmin(axis=3)
    by_all = np.broadcast_to(here.mean(axis=(0, 2)).argmin(axis=1), by_others.shape)
    chosen, optimistic = (
        np.take_along_axis(paid, choice[..., None], axis=3)[..., 0].mean(axis=0).T
        for choice in (by_others, by_all)
    )
    return np.stack([chosen, (chosen + optimistic) / 2], axis=1)


def _draw_without(values: Array, random: np.random.Generator) -> Array:
    """Return what cells are expected to reach by all replicates but one `[K, R, L, D, M]`.

    It is the mean of draws of each of K chains. Many are drawn at once, as levels of one, which
    share nothing.
    """
    replicates, parts = values.shape[3], []
    count = min(-(-_CHAINS * replicates * values.size // _LARGEST_PART), replicates)
    for left_out in np.array_split(np.arange(replicates), count):
        others = np.stack([np.delete(values, one, axis=3) for one in left_out])
        others = np.repeat(others[None], _CHAINS, axis=0)
        draws = draw_cells(
            others.reshape(-1, *others.shape[3:]),
            random=random,
            draws=_QUICK_DRAWS,
            burn_in=_QUICK_BURN_IN,
        )
        parts.append(draws.mean(axis=0).reshape(others.shape[:-1]))
    return np.concatenate(parts, axis=1)


def _join(posterior: Cost, paid: Array) -> Cost:
    """Return the cost whose lower side is that of the valued policies `[2, R]`."""
    count = len(posterior.safely_high)
    chosen, careful = (_draw_mean(one, count) for one in paid)
    high = np.maximum(np.sort(posterior.safely_high), chosen)
    low_end = max(float(np.quantile(careful, (1 - LEVEL) / 2)), 0.0)
    high_end = max(float(np.quantile(high, (1 + LEVEL) / 2)), low_end)
    estimate = min(max(float(paid[0].mean()), low_end), high_end)
    return Cost(
        interval=Interval(estimate=estimate, low=low_end, high=high_end),
        safely_low=careful,
        safely_high=high,
    )


def _draw_mean(values: Array, count: int) -> Array:
    """Return what the mean of values `[R]` may be, as so many draws of its t, in order."""
    error = float(values.std(ddof=1)) * find_spread(len(values))
    chances = (np.arange(count) + 0.5) / count
    return np.asarray(values.mean() + error * stats.t.ppf(chances, df=len(values) - 1))
