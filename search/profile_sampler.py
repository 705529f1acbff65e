"""Spreads a study's budget so that the best choice becomes known in every context.

Other samplers look for the one best design, and leave a depth whose networks are worse before they
know its best mix. Half of what this one tries is spread over the whole search. For the other half
it draws surfaces that the trials leave plausible (search/analysis), and tries the design at which a
draw is lowest, as Thompson sampling does (Thompson 1933), half of the time with the context given
and spread over its range, as profile expected improvement does (Ginsbourger et al. 2013,
hal-00920154; Kyger et al., arXiv 2512.23581).

N design of a pack, D axis, S step along an axis.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from optuna import Study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from archloss.search.analysis.axes import Array, Axis, Category, Numeric
from archloss.search.analysis.basis import Roles
from archloss.search.analysis.surface import Surface, fit_surface
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.asking import Distributions, PackSampler, Params
from archloss.search.sobol import draw_sobol

SPREAD, WHOLE = 0.5, 0.25
"""Shares of a pack in which nothing is tuned, and in which all axes are; in the rest, all but the
context and `by`."""
_DRAWS, _BURN_IN, _WARM_BURN_IN = 64, 80, 20
_STEPS, _PASSES = 17, 3
_REFIT_AFTER, _AFRESH_AFTER = 1.1, 2.0
"""By how many times the trials grow before the surface is fitted again, and before it is fitted
without what was known of it."""


class ProfileSampler(PackSampler):
    """Chooses packs by profile Thompson sampling; evenly until `startup_trials` completed.

    `context` and `choice` name parameters that are searched ranges, `by` a choice of values that
    may be searched. A value of `penalty` or more is that of a trial that diverged.
    """

    def __init__(
        self,
        *,
        context: str,
        choice: str,
        by: str,
        startup_trials: int,
        penalty: float,
        seed: int,
    ) -> None:
        super().__init__(seed=seed)
        self._context, self._choice, self._by = context, choice, by
        self._startup_trials = startup_trials
        self._penalty = penalty
        self._turns = np.random.default_rng([seed, 1])
        self._surface: Surface | None = None
        self._fitted_to = self._afresh_at = 0

    def choose(self, study: Study, count: int, distributions: Distributions) -> list[Params]:
        """Return designs, each of them the best of a draw in its own part of the search."""
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        reached = [
            trial.value
            for trial in finished
            if trial.value is not None and trial.value < self._penalty
        ]
        axes = tuple(_make_axis(name, one) for name, one in distributions.items())
        points = self._spread_points(axes, count)
        if len(reached) < self._startup_trials or len(set(reached)) < 2:
            return decode_all(axes, points)
        roles = self._find_roles(axes)
        if self._surface is None or len(finished) >= self._fitted_to * _REFIT_AFTER:
            self._surface = self._fit(_make_trials(finished, axes, roles, self._penalty))
        shares = (np.arange(count) + self._turns.random()) / count  # each has its turn
        kinds = self._generator.permutation(shares)
        free = np.ones((count, len(axes)), dtype=bool)
        free[kinds < SPREAD] = False
        given = kinds >= SPREAD + WHOLE
        free[given, roles.context] = False
        if roles.by is not None:
            free[given, roles.by] = False
        self._tune(self._surface, axes, points, free)
        return decode_all(axes, points)

    def _fit(self, trials: Trials) -> Surface:
        """Return the surface; between doublings of the trials it goes on from the last one."""
        self._fitted_to = count = len(trials.points)
        known = self._surface if count < self._afresh_at * _AFRESH_AFTER else None
        if known is None:
            self._afresh_at = count
        return fit_surface(
            trials,
            random=self._generator,
            draws=_DRAWS,
            burn_in=_BURN_IN if known is None else _WARM_BURN_IN,
            after=known,
        )

    def _find_roles(self, axes: Sequence[Axis]) -> Roles:
        names = [axis.name for axis in axes]
        return Roles(
            context=names.index(self._context),
            choice=names.index(self._choice),
            by=names.index(self._by) if self._by in names else None,
        )

    def _spread_points(self, axes: Sequence[Axis], count: int) -> Array:
        """Return places `[N, D]` that are spread evenly over the search, by a Sobol sequence."""
        points = draw_sobol(len(axes), count, seed=self._generator)
        for place, axis in enumerate(axes):
            if isinstance(axis, Category):
                points[:, place] = np.floor(points[:, place] * len(axis.levels))
            elif axis.whole:  # each whole number has its share of the range, the ends too
                points[:, place] = axis.encode(axis.decode(points[:, place]))
        return points

    def _tune(
        self,
        surface: Surface,
        axes: Sequence[Axis],
        points: Array,
        free: npt.NDArray[np.bool_],
    ) -> None:
        """Move each point `[N, D]` to where a draw of its own is lowest, along its free axes."""
        draws = self._generator.integers(0, _DRAWS, len(points))
        for _ in range(_PASSES):
            for axis, one in enumerate(axes):
                rows = np.flatnonzero(free[:, axis])
                if not len(rows):
                    continue
                if isinstance(one, Category):
                    steps = np.tile(np.arange(len(one.levels), dtype=float), (len(rows), 1))
                else:  # not all on one grid
                    shift = self._generator.uniform(-0.5, 0.5, (len(rows), 1)) / (_STEPS - 1)
                    steps = np.clip(np.linspace(0, 1, _STEPS) + shift, 0, 1)
                found = surface.vary(points[rows], axis, steps, draws[rows])
                points[rows, axis] = steps[np.arange(len(rows)), found.argmin(axis=1)]


def _make_axis(name: str, distribution: BaseDistribution) -> Axis:
    if isinstance(distribution, CategoricalDistribution):
        return Category(name=name, levels=tuple(distribution.choices))  # type: ignore[arg-type]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return Numeric(
        name=name,
        low=distribution.low,
        high=distribution.high,
        log=distribution.log,
        whole=isinstance(distribution, IntDistribution),
    )


def _make_trials(
    finished: Sequence[FrozenTrial], axes: tuple[Axis, ...], roles: Roles, penalty: float
) -> Trials:
    """Return a study's finished trials as the analysis takes them."""
    points = np.stack(
        [
            axis.encode([trial.params[axis.name] for trial in finished])
            if isinstance(axis, Category)
            else axis.encode(np.array([trial.params[axis.name] for trial in finished], dtype=float))
            for axis in axes
        ],
        axis=1,
    )
    values = np.array([np.nan if trial.value is None else trial.value for trial in finished])
    pruned = np.array([trial.state == TrialState.PRUNED for trial in finished])
    rungs = sorted({step for trial in finished for step in trial.intermediate_values})[:-1]
    early = [[trial.intermediate_values.get(rung, np.nan) for rung in rungs] for trial in finished]
    kinds = np.where(values >= penalty, Kind.DIVERGED.value, Kind.COMPLETED.value)
    return Trials(
        axes=axes,
        roles=roles,
        points=points,
        kinds=np.where(pruned, Kind.PRUNED.value, kinds),
        values=np.where(pruned | (values >= penalty), np.nan, values),
        early=np.array(early, dtype=float).reshape(len(finished), len(rungs)),
        rungs=tuple(rungs),
        penalty=penalty,
        sampler="profile",
    )


def decode_all(axes: Sequence[Axis], points: Array) -> list[Params]:
    """Return the parameters at places `[N, D]` on the axes, none beyond their ends."""
    return [
        {axis.name: _decode(axis, place) for axis, place in zip(axes, point, strict=True)}
        for point in points
    ]


def _decode(axis: Axis, place: float) -> bool | int | float | str:
    if isinstance(axis, Category):
        return axis.levels[int(place)]
    value = float(axis.decode(np.array([place]))[0])
    value = min(max(value, axis.low), axis.high)
    return int(value) if axis.whole else value
