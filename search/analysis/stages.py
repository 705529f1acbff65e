"""The surface of final values where trials were pruned: of what they had reached, stage by stage.

A trial that was pruned has no final value, and leaving it out would keep the lucky ones alone. What
pruned it is what it had reached at a rung, which is known of the others too. So the surface of what
is reached at the first rung is drawn from all trials that got there, and the next one, of the next
rung or of the end, from those that went on: as the one before, or a multiple of it, and a surface
of its own (Kennedy and O'Hagan 2000, Biometrika 87(1), equation 1). By how much a trial was off the
surface of an earlier stage is a covariate of the next: those that went on were luckier than others
like them, and given what stopped the others, the rest is missing at random (Rubin 1976, Biometrika
63(3)). A pruned trial says no more of the end than that, and where none went on, little is known.

What context and choice do together to the rest of the way is expected to be as much as what either
does alone: both change how quickly networks learn, and taken for next to nothing, as in a surface
of its own, the end would be said to depend on them as the beginning does.

N trial, P function, T draw, S stratum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array
from archloss.search.analysis.basis import Basis, Roles
from archloss.search.analysis.posterior import Data, Posterior, State, draw_posterior
from archloss.search.analysis.targets import Scale, Strata
from archloss.search.analysis.trials import Kind, Trials

_FEWEST_BEYOND = 20
"""Where fewer trials than these were seen both at a rung and at the end, it says nothing of it."""
_DRAWS_OF_A_PASS = 30
_SETTLE = 10
"""Sweeps between draws of a stage, and before those of the next given another draw of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """What trials had reached at a rung, or in the end: their indices, `points` and `strata` `[N]`.

    `targets` `[N]` are on the scale of the fit.
    """

    trials: npt.NDArray[np.int64]
    points: Array
    strata: npt.NDArray[np.int64]
    targets: Array

    def make_data(self, features: Array) -> Data:
        """Return what its surface is fitted to; strata are numbered anew, as some have no trial."""
        strata = np.unique(self.strata, return_inverse=True)[1].reshape(-1)
        return Data(features=features, target=self.targets, strata=strata)

    def place(self, known: Array, count: int) -> Array:
        """Return what is known `[T, ...]` of its strata for all `[T, S]`, the mean elsewhere."""
        placed = np.repeat(known.mean(axis=1)[:, None], count, axis=1)
        placed[:, np.unique(self.strata)] = known
        return placed


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """Draws of the surface of final values; `states` are where each stage's chain ended.

    `noise` and `smearing` `[T, S]` are of a trial about that surface (see Scale).
    """

    posterior: Posterior
    noise: Array
    smearing: Array
    states: tuple[State, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Earlier:
    """A draw of an earlier stage: its surface, its `noise` `[S]`, and how far its trials are `off`.

    `off` `[N]` is what each is above all that was drawn of it.
    """

    stage: Stage
    intercept: float
    weights: Array
    noise: Array
    off: Array

    def find_off(self, trials: npt.NDArray[np.int64]) -> Array:
        """Return how far trials, by their indices `[M]`, are off: 0 for others than its own."""
        at = np.searchsorted(self.stage.trials, trials).clip(max=len(self.off) - 1)
        return np.where(self.stage.trials[at] == trials, self.off[at], 0.0)


def list_stages(trials: Trials, strata: Strata, scale: Scale) -> list[Stage]:
    """Return a stage for each rung at which trials were pruned, and that of final values.

    A rung at which too few were seen that were trained to the end is left out.
    """
    completed, pruned = trials.find(Kind.COMPLETED), trials.find(Kind.PRUNED)
    reached = np.isfinite(trials.early)
    last = np.where(reached, np.arange(len(trials.rungs)), -1).max(axis=1, initial=-1)

    rungs = [
        rung
        for rung in range(len(trials.rungs))
        if (pruned & (last == rung)).any()
        and (completed & reached[:, rung]).sum() >= _FEWEST_BEYOND
    ]
    known = completed | pruned
    return [
        *(
            _make_stage(trials, known & reached[:, rung], trials.early[:, rung], strata, scale)
            for rung in rungs
        ),
        make_final_stage(trials, strata, scale),
    ]


def make_final_stage(trials: Trials, strata: Strata, scale: Scale) -> Stage:
    """Return the stage of final values."""
    return _make_stage(trials, trials.find(Kind.COMPLETED), trials.values, strata, scale)


def draw_stages(
    stages: Sequence[Stage],
    basis: Basis,
    roles: Roles,
    *,
    scale: Scale,
    strata: int,
    random: np.random.Generator,
    draws: int,
    burn_ins: Sequence[int],
    states: Sequence[State | None],
) -> Drawn:
    """Return draws of the last stage's surface, over so many `strata`.

    Each stage's chain begins at its state, with its burn-in. Draws are made in passes, all of a
    pass given the same draw of each earlier stage.
    """
    features = [basis.evaluate(stage.points) for stage in stages]
    chains, settling = list(states), list(burn_ins)
    asked = {roles.context, roles.choice}
    together = [
        group
        for group, term in enumerate(basis.terms)
        if asked <= set(term.axes) <= asked | {roles.by}
    ]

    def draw(place: int, earlier: Sequence[_Earlier], count: int) -> tuple[Data, Posterior]:
        data = _look_back(stages[place].make_data(features[place]), stages[place], earlier)
        posterior = draw_posterior(
            data,
            basis,
            random=random,
            draws=count,
            burn_in=settling[place],
            state=chains[place],
            likely=together if earlier else (),
        )
        chains[place], settling[place] = posterior.state, _SETTLE
        return data, posterior

    passes = max(draws // _DRAWS_OF_A_PASS, 1) if stages[1:] else 1
    parts = []
    for _ in range(passes):
        earlier: list[_Earlier] = []
        for place, stage in enumerate(stages[:-1]):
            earlier.append(_keep(stage, *draw(place, earlier, 1), earlier, strata))
        last = draw(len(stages) - 1, earlier, -(-draws // passes))
        parts.append(_finish(stages[-1], *last, earlier, scale, strata))
    return _pool(parts, draws, tuple(state for state in chains if state))


def _make_stage(
    trials: Trials, which: npt.NDArray[np.bool_], values: Array, strata: Strata, scale: Scale
) -> Stage:
    points = trials.points[which]
    return Stage(
        trials=np.flatnonzero(which),
        points=points,
        strata=strata.number(points),
        targets=scale.apply(values[which]),
    )


def _look_back(data: Data, stage: Stage, earlier: Sequence[_Earlier]) -> Data:
    """Return what a stage adds to the one before, and as covariates what that and others say."""
    if not earlier:
        return data
    before = earlier[-1].intercept + data.features @ earlier[-1].weights
    off = [one.find_off(stage.trials) for one in earlier]
    return replace(data, target=data.target - before, covariates=np.stack([before, *off], axis=1))


def _keep(
    stage: Stage, data: Data, posterior: Posterior, earlier: Sequence[_Earlier], strata: int
) -> _Earlier:
    whole = _add_before(posterior, earlier)
    return _Earlier(
        stage=stage,
        intercept=float(whole.intercepts[0]),
        weights=whole.weights[0],
        noise=stage.place(posterior.noise, strata)[0],
        off=_find_rest(posterior, data)[0],
    )


def _finish(
    stage: Stage,
    data: Data,
    posterior: Posterior,
    earlier: Sequence[_Earlier],
    scale: Scale,
    strata: int,
) -> Drawn:
    variance = stage.place(posterior.noise, strata) ** 2
    smearing = np.ones_like(variance)
    if scale.offset is not None:
        smearing = _smear(stage, _find_rest(posterior, data), scale, strata)
    for slopes, one in zip(posterior.slopes[:, 1:].T, earlier, strict=True):
        variance = variance + (slopes[:, None] * one.noise) ** 2
        if scale.offset is not None:
            smearing = smearing * _smear(one.stage, slopes[:, None] * one.off, scale, strata)
    return Drawn(
        posterior=_add_before(posterior, earlier),
        noise=np.sqrt(variance),
        smearing=smearing,
        states=(),
    )


def _add_before(posterior: Posterior, earlier: Sequence[_Earlier]) -> Posterior:
    """Return the surface of what a stage reaches, from that of what it adds to the one before."""
    if not earlier:
        return posterior
    times = 1 + posterior.slopes[:, :1]
    return replace(
        posterior,
        intercepts=posterior.intercepts + times[:, 0] * earlier[-1].intercept,
        weights=posterior.weights + times * earlier[-1].weights,
    )


def _find_rest(posterior: Posterior, data: Data) -> Array:
    """Return by how much targets are above what is drawn of them `[T, N]`."""
    rest = data.target - posterior.intercepts[:, None] - posterior.weights @ data.features.T
    if data.covariates is not None:
        rest = rest - posterior.slopes @ data.covariates.T
    return np.asarray(rest)


def _smear(stage: Stage, rest: Array, scale: Scale, strata: int) -> Array:
    """Return by what `rest` `[T, N]` raises what is expected in each stratum `[T, S]`."""
    known = [scale.measure(rest[:, stage.strata == one]) for one in np.unique(stage.strata)]
    return stage.place(np.stack(known, axis=1), strata)


def _pool(parts: Sequence[Drawn], draws: int, states: tuple[State, ...]) -> Drawn:
    def pool(find: Callable[[Drawn], Array]) -> Array:
        return np.concatenate([find(part) for part in parts])[:draws]

    posterior = replace(
        parts[-1].posterior,
        intercepts=pool(lambda part: part.posterior.intercepts),
        slopes=pool(lambda part: part.posterior.slopes),
        weights=pool(lambda part: part.posterior.weights),
        noise=pool(lambda part: part.posterior.noise),
    )
    return Drawn(
        posterior=posterior,
        noise=pool(lambda part: part.noise),
        smearing=pool(lambda part: part.smearing),
        states=states,
    )
