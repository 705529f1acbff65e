"""What pruned trials say of the end that they did not reach."""

import dataclasses

import numpy as np
import pytest

from archloss.search.analysis.answer import answer
from archloss.search.analysis.axes import Category, Numeric
from archloss.search.analysis.basis import Roles
from archloss.search.analysis.coverage import count_fewest
from archloss.search.analysis.stages import list_stages
from archloss.search.analysis.surface import fit_surface
from archloss.search.analysis.targets import Scale, divide
from archloss.search.analysis.trials import Kind, Trials

AXES = (
    Numeric(name="depth", low=1, high=32, log=True, whole=True),
    Category(name="residual", levels=(False, True)),
    Numeric(name="ce_weight", low=0.0, high=1.0),
    Numeric(name="learning_rate", low=1e-4, high=1e-1, log=True),
)
NOISE = 0.01


def get_error(points):
    depth, _, mix, rate = points.T
    return 0.06 + 0.05 * depth**2 + 0.15 * (rate - 0.7 + 0.4 * depth) ** 2 + 0.08 * (mix - 0.5) ** 2


def make_halved(count=600, *, seed=0, rungs=2, together=0.1):
    """Make trials of which at most half go on from each rung, deep ones and slow ones less often.

    What is reached at a rung says little of the end but by the design, and the noise of both is the
    same in part; how slowly it comes about depends on depth and mix `together`. Return what all
    would have reached, too.
    """
    random = np.random.default_rng(seed)
    points = random.uniform(size=(count, len(AXES)))
    points[:, 1] = random.integers(0, 2, count)
    noise = NOISE * random.standard_normal(count)
    slow = 0.1 * (points[:, 0] - points[:, 3])
    slow += together * (points[:, 0] - 0.5) * (points[:, 2] - 0.5)
    final = get_error(points) + noise
    early = np.full((count, rungs), np.nan)
    going = np.ones(count, dtype=bool)
    for rung in range(rungs):
        reached = 0.3 - 0.1 * rung + 0.6 * final + slow / (1 + rung)
        reached += 0.02 * random.standard_normal(count)
        early[going, rung] = reached[going]
        going &= reached <= np.median(reached[going])
    return final, Trials(
        axes=AXES,
        roles=Roles(context=0, choice=2, by=1),
        points=points,
        kinds=np.where(going, Kind.COMPLETED.value, Kind.PRUNED.value),
        values=np.where(going, final, np.nan),
        early=early,
        rungs=tuple(range(2, 2 + rungs)),
        penalty=0.9,
        sampler="random",
    )


def test_stages_are_the_rungs_where_trials_were_pruned_and_the_end():
    _, trials = make_halved(rungs=2)
    trials = dataclasses.replace(  # nothing is pruned at a third rung, nor known at a fourth
        trials,
        rungs=(2, 3, 4, 5),
        early=np.column_stack([trials.early, trials.values, np.full((600, 1), np.nan)]),
    )
    first, second, last = list_stages(trials, divide(trials), Scale(offset=0.0))
    assert [len(stage.trials) for stage in (first, second, last)] == [600, 300, 150]
    assert second.targets.tolist() == np.log(trials.early[second.trials, 1]).tolist()
    assert last.targets.tolist() == np.log(trials.values[last.trials]).tolist()


@pytest.mark.parametrize("rungs", [1, 2])
def test_the_surface_is_as_far_off_as_it_says_where_trials_were_pruned(rungs):
    _, trials = make_halved(rungs=rungs)
    surface = fit_surface(trials, random=np.random.default_rng(0))
    assert surface.dropped == 0
    pruned = trials.points[trials.find(Kind.PRUNED)]
    draws, truth = surface.draw(pruned), get_error(pruned)
    off = (draws.mean(axis=0) - truth) / draws.std(axis=0)
    assert 0.3 < np.sqrt((off**2).mean()) < 1.5
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    assert ((low < truth) & (truth < high)).mean() > 0.85
    apart = np.abs(draws.mean(axis=0) - truth).mean()
    assert apart < 0.7 * np.abs(truth.mean() - truth).mean()


def test_more_may_be_expected_where_trials_were_pruned_than_any_other_has_reached():
    _, trials = make_halved(rungs=1)
    bad = trials.points[:, 0] > 0.8
    early = np.where(bad[:, None], 0.9, trials.early)
    kinds = np.where(bad, Kind.PRUNED.value, trials.kinds)
    values = np.where(bad, np.nan, trials.values)
    told = dataclasses.replace(trials, kinds=kinds, values=values, early=early, penalty=np.nan)
    surface = fit_surface(told, random=np.random.default_rng(0))
    assert surface.predict(trials.points[bad]).mean() > 1.2 * np.nanmax(values)
    assert surface.highest == 0.9


def test_noise_is_that_of_a_trial_and_not_of_one_whose_beginning_is_known():
    final, trials = make_halved(1000, rungs=1)
    surface = fit_surface(trials, random=np.random.default_rng(0))
    noise = surface.noise.mean(axis=0)
    if surface.scale.offset is not None:
        noise = noise * final.mean()
    assert noise.mean() == pytest.approx(NOISE, rel=0.4)


def test_draws_go_on_from_those_of_fewer_trials():
    _, trials = make_halved(rungs=2)
    first = fit_surface(trials, random=np.random.default_rng(0), draws=60)
    again = fit_surface(trials, random=np.random.default_rng(0), draws=60, burn_in=5, after=first)
    assert len(first.states) == len(again.states) == 3
    at = trials.points[:50]
    assert again.predict(at) == pytest.approx(first.predict(at), abs=0.03)


def test_what_was_pruned_is_a_caveat():
    _, trials = make_halved(rungs=1)
    caveats = answer(trials, bound=0.005).caveats
    assert (
        sum(one.startswith("300 trials were pruned, and tell of the end") for one in caveats) == 1
    )


@pytest.mark.parametrize("together", [-0.6, 0.6])
def test_what_moves_with_depth_is_the_end_and_not_how_soon_it_comes(together):
    _, trials = make_halved(800, together=together, rungs=1)
    for level in answer(trials, bound=0.005).levels:
        assert level.change.difference.low <= 0 <= level.change.difference.high
        inside = [best.choice.low <= 0.5 <= best.choice.high for best in level.bests]
        assert np.mean(inside) > 0.8


def test_a_rung_beyond_which_next_to_none_was_seen_says_nothing():
    _, trials = make_halved(rungs=1)
    lost = trials.find(Kind.COMPLETED)
    early = np.where(lost[:, None] & (np.cumsum(lost) > 15)[:, None], np.nan, trials.early)
    surface = fit_surface(
        dataclasses.replace(trials, early=early), random=np.random.default_rng(0), draws=9
    )
    assert surface.dropped == trials.count(Kind.PRUNED)
    assert len(surface.states) == 1


def test_a_pruned_trial_is_none_that_shows_that_nothing_matters():
    _, trials = make_halved(rungs=1)
    deep = np.flatnonzero((trials.points[:, 0] > 2 / 3) & (trials.points[:, 1] == 0))
    kinds = np.full(600, Kind.COMPLETED.value)
    kinds[deep[5:]] = Kind.PRUNED.value
    trials = dataclasses.replace(trials, kinds=kinds)
    contexts = np.linspace(0, 1, 9)
    assert count_fewest(trials, 0, contexts) == 5
    assert count_fewest(trials, 1, contexts) > 50
