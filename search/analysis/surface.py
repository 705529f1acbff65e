"""The expected objective over the axes, from trials that completed, diverged or were pruned.

A trial that completed is a noisy value. One that diverged says that its design may diverge: what
is expected is the surface of those that do not, and the penalty, weighed by the chance to diverge.
One that was pruned is not a final value, and leaving it out would keep the lucky ones alone. What
pruned it is its value at a rung, and that is known of the others too: so its final value is missing
at random (Rubin 1976), and is filled in from its last rung by a regression over those that went on,
with a noise of its own for all pruned there, which is learned.

N trial, D axis, T draw, S stratum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array, Numeric
from archloss.search.analysis.basis import Basis, Roles, list_details, make_basis
from archloss.search.analysis.divergence import Divergence, fit_divergence
from archloss.search.analysis.posterior import Data, Posterior, State, draw_posterior
from archloss.search.analysis.threads import on_one_thread
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.analysis.waic import CLEARLY, SWEEPS, score

DRAWS = 450
BURN_IN = 100
_FEWEST_AT_RUNG = 20
_PARTS = 3
_FEWEST_IN_STRATUM = 8
_SMALLEST = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale:
    """How objectives are fitted: as they are, or, with an `offset`, their logarithm."""

    offset: float | None

    def apply(self, values: Array) -> Array:
        """Return objectives on the scale of the fit."""
        if self.offset is None:
            return values
        return np.asarray(np.log(np.maximum(values + self.offset, _SMALLEST)))

    def expect(self, values: Array, noise: Array) -> Array:
        """Return the mean objective where the fit is `values`, with noise deviation `noise`."""
        if self.offset is None:
            return values
        return np.asarray(np.exp(values + noise**2 / 2) - self.offset)


@dataclass(frozen=True, kw_only=True, eq=False)
class Strata:
    """Parts of the search with a noise of their own: thirds of the context, by level of `by`."""

    roles: Roles
    edges: Array

    def number(self, points: Array) -> npt.NDArray[np.int64]:
        """Return each point's stratum `[N]`, from 0 on."""
        part = np.searchsorted(self.edges, points[:, self.roles.context])
        level = 0 if self.roles.by is None else points[:, self.roles.by].astype(np.int64)
        return np.asarray(part + (len(self.edges) + 1) * level, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """Draws of the expected objective; `divergence` is None where nothing diverged.

    `dropped` counts the pruned trials that could not be used.
    """

    posterior: Posterior
    divergence: Divergence | None
    scale: Scale
    strata: Strata
    noise: Array
    penalty: float
    dropped: int

    def draw(self, points: Array) -> Array:
        """Return draws of the expected objective `[T, N]` at points `[N, D]`."""
        noise = self.noise[:, self.strata.number(points)]
        values = self.scale.expect(self.posterior.draw(points), noise)
        chance = None if self.divergence is None else self.divergence.draw(points)
        return self._mix(values, chance)

    def predict(self, points: Array) -> Array:
        """Return the expected objective `[N]` at points `[N, D]`, for mean weights."""
        noise = self.noise.mean(axis=0)[self.strata.number(points)]
        values = self.scale.expect(self.posterior.predict(points), noise)
        chance = None if self.divergence is None else self.divergence.predict(points)
        return self._mix(values, chance)

    def vary(
        self, points: Array, axis: int, steps: Array, which: npt.NDArray[np.int64] | None = None
    ) -> Array:
        """Return the expected objective `[N, S]` where an axis of points `[N, D]` is at `steps`.

        These are `[S]` or `[N, S]`. The surface is the mean, or a draw for each row: `which`.
        """
        varied = np.repeat(points[:, None, :], steps.shape[-1], axis=1)
        varied[:, :, axis] = steps
        strata = self.strata.number(varied.reshape(-1, points.shape[-1])).reshape(varied.shape[:2])
        noise = (
            self.noise.mean(axis=0)[strata] if which is None else self.noise[which[:, None], strata]
        )
        values = self.scale.expect(self.posterior.vary(points, axis, steps, which), noise)
        chance = (
            None if self.divergence is None else self.divergence.vary(points, axis, steps, which)
        )
        return self._mix(values, chance)

    def _mix(self, values: Array, chance: Array | None) -> Array:
        return values if chance is None else values + chance * (self.penalty - values)


@on_one_thread
def fit_surface(
    trials: Trials,
    *,
    random: np.random.Generator,
    draws: int = DRAWS,
    burn_in: int = BURN_IN,
    after: Surface | None = None,
) -> Surface:
    """Return the surface that the trials leave plausible.

    `after` is that of some of these trials: its scale and its functions are kept, and the draws go
    on from its own.
    """
    strata = _divide(trials)
    bases = _list_bases(trials, after)
    scale = after.scale if after else _choose_scale(trials, bases[0], strata, random)
    points, target, labels = _assemble(trials, strata, scale)
    if after:
        (basis,), known = bases, after.posterior
        state = known.state if known.basis.terms == basis.terms else None
    else:
        basis, state = _choose_basis(
            points, target, labels, bases=bases, roles=trials.roles, random=random
        )
        burn_in -= SWEEPS if state else 0
    posterior = draw_posterior(
        _make_data(basis, points, target, labels),
        basis,
        random=random,
        draws=draws,
        burn_in=burn_in,
        state=state,
    )
    divergence = None
    if trials.count(Kind.DIVERGED):
        diverged = trials.find(Kind.DIVERGED)
        decided = diverged | trials.find(Kind.COMPLETED) | trials.find(Kind.PRUNED)
        divergence = fit_divergence(
            basis,
            trials.points[decided],
            diverged[decided].astype(float),
            draws=draws,
            random=random,
        )
    return Surface(
        posterior=posterior,
        divergence=divergence,
        scale=scale,
        strata=strata,
        noise=_spread_noise(posterior.noise, np.unique(labels), strata, trials),
        penalty=trials.penalty,
        dropped=trials.count(Kind.COMPLETED) + trials.count(Kind.PRUNED) - len(target),
    )


def _list_bases(trials: Trials, after: Surface | None) -> list[Basis]:
    """Return the bases that may fit the trials, the coarsest first; that of `after` alone."""
    known = after.posterior.basis if after else None
    others = trials.roles.list_others(len(trials.axes))
    details = (known.detail,) if known else list_details(len(trials.points), len(others))
    distinct = [len(np.unique(trials.points[:, axis])) for axis in range(len(trials.axes))]
    return [
        make_basis(trials.axes, distinct, trials.roles, detail=detail).bend(
            known.bent if known else None
        )
        for detail in details
    ]


def _divide(trials: Trials) -> Strata:
    completed = trials.find(Kind.COMPLETED)
    places = trials.points[completed, trials.roles.context]
    edges = np.quantile(places, np.arange(1, _PARTS) / _PARTS)
    strata = Strata(roles=trials.roles, edges=np.unique(edges))
    counts = np.bincount(strata.number(trials.points[completed]))
    if counts[counts > 0].min() < _FEWEST_IN_STRATUM:
        strata = Strata(roles=trials.roles, edges=np.array([]))
    return strata


def _spread_noise(
    noise: Array, used: npt.NDArray[np.int64], strata: Strata, trials: Trials
) -> Array:
    """Return the noise of every stratum of points `[T, S]`; the mean where none was trained."""
    levels = 1 if trials.roles.by is None else 1 + int(trials.points[:, trials.roles.by].max())
    whole = (len(strata.edges) + 1) * levels
    spread = np.repeat(noise.mean(axis=1)[:, None], whole, axis=1)
    inside = used < whole
    spread[:, used[inside]] = noise[:, inside]
    return spread


def _assemble(
    trials: Trials, strata: Strata, scale: Scale
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Return points, targets and strata of what completed, and of what was pruned, filled in."""
    completed = trials.find(Kind.COMPLETED)
    parts = [
        (
            trials.points[completed],
            scale.apply(trials.values[completed]),
            strata.number(trials.points[completed]),
        )
    ]
    beyond = 1_000_000
    last = np.where(np.isfinite(trials.early), np.arange(len(trials.rungs)), -1).max(
        axis=1, initial=-1
    )
    for rung in range(len(trials.rungs)):
        known = completed & np.isfinite(trials.early[:, rung])
        pruned = trials.find(Kind.PRUNED) & (last == rung)
        if known.sum() < _FEWEST_AT_RUNG or not pruned.any():
            continue
        predict = _regress(trials, known, rung, scale)
        filled = np.fmin(predict(pruned), scale.apply(np.array([trials.penalty])))
        label = np.full(int(pruned.sum()), beyond + rung, dtype=np.int64)
        parts.append((trials.points[pruned], filled, label))
    points, target, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return points, target, labels


def _regress(
    trials: Trials, known: npt.NDArray[np.bool_], rung: int, scale: Scale
) -> Callable[[npt.NDArray[np.bool_]], Array]:
    """Return what predicts final values from those at a rung, the context and `by`."""

    def describe(which: npt.NDArray[np.bool_]) -> Array:
        columns = [np.ones(int(which.sum())), scale.apply(trials.early[which, rung])]
        columns.append(trials.points[which, trials.roles.context])
        if trials.roles.by is not None:
            level = trials.points[which, trials.roles.by]
            columns += [
                level == other
                for other in range(1, int(trials.points[:, trials.roles.by].max()) + 1)
            ]
        return np.stack(columns, axis=1)

    features, target = describe(known), scale.apply(trials.values[known])
    weights, *_ = np.linalg.lstsq(features, target, rcond=None)
    return lambda which: np.asarray(describe(which) @ weights)


def _choose_scale(
    trials: Trials, basis: Basis, strata: Strata, random: np.random.Generator
) -> Scale:
    """Return the scale on which the completed trials are predicted better.

    By a simple surface: on the right scale it is not far off, and takes a tenth of the time.
    """
    completed = trials.find(Kind.COMPLETED)
    values, points = trials.values[completed], trials.points[completed]
    plain = Scale(offset=None)
    if values.min() < 0:
        return plain
    positive = values[values > 0]
    logarithm = Scale(offset=0.0 if values.min() > 0 else float(positive.min()) / 2)
    simple = basis.coarsen(alone=3, together=2)
    labels = strata.number(points)
    seed = int(random.integers(2**32))
    plain_score, logarithm_score = (
        score(_make_data(simple, points, scale.apply(values), labels), simple, seed=seed)[0]
        for scale in (plain, logarithm)
    )
    slope = float(np.log(values + (logarithm.offset or 0.0)).sum())  # densities are of errors
    return logarithm if logarithm_score - slope > plain_score else plain


def _choose_basis(
    points: Array,
    target: Array,
    labels: npt.NDArray[np.int64],
    *,
    bases: list[Basis],
    roles: Roles,
    random: np.random.Generator,
) -> tuple[Basis, State | None]:
    """Return a basis, finer or bent along the choice where that is clearly better; a chain's state.

    Close to an end of the choice a little of it may change everything: next to none of a loss is
    not none. Where it does not, enlarged ends would be wide intervals for nothing, and finer
    functions are so, and take time. A grid's values are as far apart as who made it thought right.
    """
    axis, seed = bases[0].axes[roles.choice], int(random.integers(2**32))
    assert isinstance(axis, Numeric)
    best, *finer = bases
    others = [] if axis.steps else [best.bend(roles.choice)]
    if not others and not finer:
        return best, None

    def fit(basis: Basis) -> tuple[float, State]:
        return score(_make_data(basis, points, target, labels), basis, seed=seed)

    highest, state = fit(best)
    for other in others:
        bent_score, bent_state = fit(other)
        if bent_score > highest + CLEARLY:
            best, highest, state = other, bent_score, bent_state
    for other in (one.bend(best.bent) for one in finer):
        finer_score, finer_state = fit(other)
        if finer_score > highest + CLEARLY:
            best, highest, state = other, finer_score, finer_state
    return best, state


def _make_data(basis: Basis, points: Array, target: Array, labels: npt.NDArray[np.int64]) -> Data:
    """Return what is fitted; strata are numbered anew, as some have no trial."""
    strata = np.unique(labels, return_inverse=True)[1].reshape(-1)
    return Data(features=basis.evaluate(points), target=target, strata=strata)
