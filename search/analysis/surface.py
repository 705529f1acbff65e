"""The expected objective over the axes, from trials that completed, diverged or were pruned.

A trial that completed is a noisy value. One that diverged says that its design may diverge: what
is expected is the surface of those that do not, and the penalty, weighed by the chance to diverge.
One that was pruned counts with what it would have reached (targets.py).

N trial, D axis, T draw, S stratum.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array, Numeric
from archloss.search.analysis.basis import Basis, Roles, list_details, make_basis
from archloss.search.analysis.divergence import Divergence, fit_divergence
from archloss.search.analysis.posterior import Data, Posterior, State, draw_posterior
from archloss.search.analysis.targets import Scale, Strata, assemble, divide
from archloss.search.analysis.threads import on_one_thread
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.analysis.waic import CLEARLY, SWEEPS, score

DRAWS = 450
BURN_IN = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """Draws of the expected objective; `divergence` is None where nothing diverged.

    `noise` and `smearing` `[T, S]` are what Scale takes, and `spread` `[S]` the standard deviation
    of all objectives in a stratum. Nothing is expected above `highest`, which no trial has reached.
    `dropped` counts the pruned trials that could not be used.
    """

    posterior: Posterior
    divergence: Divergence | None
    scale: Scale
    strata: Strata
    noise: Array
    smearing: Array
    spread: Array
    penalty: float
    highest: float
    dropped: int

    def draw(self, points: Array) -> Array:
        """Return draws of the expected objective `[T, N]` at points `[N, D]`."""
        smearing = self.smearing[:, self.strata.number(points)]
        values = self.scale.expect(self.posterior.draw(points), smearing)
        chance = None if self.divergence is None else self.divergence.draw(points)
        return self._mix(values, chance)

    def predict(self, points: Array) -> Array:
        """Return the expected objective `[N]` at points `[N, D]`, for mean weights."""
        smearing = self.smearing.mean(axis=0)[self.strata.number(points)]
        values = self.scale.expect(self.posterior.predict(points), smearing)
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
        smearing = (
            self.smearing.mean(axis=0)[strata]
            if which is None
            else self.smearing[which[:, None], strata]
        )
        values = self.scale.expect(self.posterior.vary(points, axis, steps, which), smearing)
        chance = (
            None if self.divergence is None else self.divergence.vary(points, axis, steps, which)
        )
        return self._mix(values, chance)

    def _mix(self, values: Array, chance: Array | None) -> Array:
        values = np.minimum(values, self.highest)
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
    strata = divide(trials)
    bases = _list_bases(trials, after)
    scale = after.scale if after else _choose_scale(trials, bases[0], strata, random)
    points, target, labels = assemble(trials, strata, scale, bases[0])
    if after:
        (basis,), known = bases, after.posterior
        state = known.state if known.basis.terms == basis.terms else None
    else:
        basis, state = _choose_basis(
            points, target, labels, bases=bases, roles=trials.roles, random=random
        )
        burn_in -= SWEEPS if state else 0
    data = _make_data(basis, points, target, labels)
    posterior = draw_posterior(
        data,
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
    completed, used = trials.find(Kind.COMPLETED), np.unique(labels)
    reached, here = trials.values[completed], strata.number(trials.points[completed])
    spread = [reached[here == label].std() for label in np.unique(here)]
    count = strata.count(trials.axes)
    return Surface(
        posterior=posterior,
        divergence=divergence,
        scale=scale,
        strata=strata,
        noise=_place(posterior.noise, used, count),
        smearing=_place(_find_smearing(posterior, data, scale), used, count),
        spread=_place(np.array([spread]), np.unique(here), count)[0],
        penalty=trials.penalty,
        highest=float(np.nanmax([trials.penalty, reached.max()])),
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


def _find_smearing(posterior: Posterior, data: Data, scale: Scale) -> Array:
    """Return by what noise raises what is expected in each of the data's strata `[T, K]`."""
    if scale.offset is None:
        return np.ones_like(posterior.noise)
    rest = data.target - posterior.intercepts[:, None] - posterior.weights @ data.features.T
    strata = range(posterior.noise.shape[1])
    return np.stack([scale.measure(rest[:, data.strata == one]) for one in strata], axis=1)


def _place(known: Array, strata: npt.NDArray[np.int64], count: int) -> Array:
    """Return what is known `[T, K]` of some strata for all of them `[T, S]`, the mean elsewhere."""
    placed = np.repeat(known.mean(axis=1)[:, None], count, axis=1)
    inside = strata < count
    placed[:, strata[inside]] = known[:, inside]
    return placed


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
