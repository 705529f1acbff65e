"""The expected objective over the axes, from trials that completed, diverged or were pruned.

A trial that completed is a noisy value. One that diverged says that its design may diverge: what
is expected is the surface of those that do not, and the penalty, weighed by the chance to diverge.
One that was pruned counts with what it had reached (stages.py).

N trial, D axis, T draw, S stratum.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array, Numeric
from archloss.search.analysis.basis import Basis, Roles, list_details, make_basis
from archloss.search.analysis.divergence import Divergence, fit_divergence
from archloss.search.analysis.posterior import Posterior, State
from archloss.search.analysis.stages import Stage, draw_stages, list_stages, make_final_stage
from archloss.search.analysis.targets import Scale, Strata, divide
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
    `states` are where the chains of its stages ended. `dropped` counts the pruned trials that could
    not be used.
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
    states: tuple[State, ...]
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
    stages = list_stages(trials, strata, scale)
    states: list[State | None] = [None] * len(stages)
    burn_ins = [burn_in] * len(stages)
    if after:
        (basis,) = bases
        if basis.terms == after.posterior.basis.terms and len(after.states) == len(stages):
            states = list(after.states)
    else:
        basis, states[0] = _choose_basis(stages[0], bases=bases, roles=trials.roles, random=random)
        burn_ins[0] -= SWEEPS if states[0] else 0
    drawn = draw_stages(
        stages,
        basis,
        trials.roles,
        scale=scale,
        strata=strata.count(trials.axes),
        random=random,
        draws=draws,
        burn_ins=burn_ins,
        states=states,
    )
    divergence, pruned = None, trials.find(Kind.PRUNED)
    if trials.count(Kind.DIVERGED):
        diverged = trials.find(Kind.DIVERGED)
        decided = diverged | trials.find(Kind.COMPLETED) | pruned
        divergence = fit_divergence(
            basis,
            trials.points[decided],
            diverged[decided].astype(float),
            draws=draws,
            random=random,
        )
    final, used = stages[-1], np.unique(np.concatenate([stage.trials for stage in stages]))
    values = trials.values[final.trials]
    spread = [values[final.strata == label].std() for label in np.unique(final.strata)]
    return Surface(
        posterior=drawn.posterior,
        divergence=divergence,
        scale=scale,
        strata=strata,
        noise=drawn.noise,
        smearing=drawn.smearing,
        spread=final.place(np.array([spread]), strata.count(trials.axes))[0],
        penalty=trials.penalty,
        highest=float(np.nanmax([trials.penalty, *values, *trials.early[pruned].ravel()])),
        states=drawn.states,
        dropped=trials.count(Kind.COMPLETED) + trials.count(Kind.PRUNED) - len(used),
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


def _choose_scale(
    trials: Trials, basis: Basis, strata: Strata, random: np.random.Generator
) -> Scale:
    """Return the scale on which the completed trials are predicted better.

    By a simple surface: on the right scale it is not far off, and takes a tenth of the time.
    """
    values = trials.values[trials.find(Kind.COMPLETED)]
    plain = Scale(offset=None)
    if values.min() < 0:
        return plain
    positive = values[values > 0]
    logarithm = Scale(offset=0.0 if values.min() > 0 else float(positive.min()) / 2)
    simple = basis.coarsen(alone=3, together=2)
    seed = int(random.integers(2**32))
    finals = [make_final_stage(trials, strata, scale) for scale in (plain, logarithm)]
    plain_score, logarithm_score = (
        score(final.make_data(simple.evaluate(final.points)), simple, seed=seed)[0]
        for final in finals
    )
    slope = float(np.log(values + (logarithm.offset or 0.0)).sum())  # densities are of errors
    return logarithm if logarithm_score - slope > plain_score else plain


def _choose_basis(
    stage: Stage, *, bases: list[Basis], roles: Roles, random: np.random.Generator
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
        return score(stage.make_data(basis.evaluate(stage.points)), basis, seed=seed)

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
