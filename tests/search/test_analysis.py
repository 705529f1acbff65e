"""The analysis against surfaces whose truth is known, and against numbers worked out by hand."""

import dataclasses

import numpy as np
import pytest

from archloss.search.analysis import posterior
from archloss.search.analysis.answer import answer
from archloss.search.analysis.axes import Category, Numeric
from archloss.search.analysis.basis import Roles, list_details, make_basis
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.divergence import fit_divergence
from archloss.search.analysis.posterior import Data, draw_posterior
from archloss.search.analysis.surface import fit_surface
from archloss.search.analysis.trials import Kind, Trials, keep_levels, take
from archloss.search.analysis.verdict import Verdict, estimate_best, estimate_cost, share_error

AXES = (
    Numeric(name="depth", low=1, high=32, log=True, whole=True),
    Category(name="residual", levels=(False, True)),
    Numeric(name="ce_weight", low=0.0, high=1.0),
    Numeric(name="learning_rate", low=1e-4, high=1e-1, log=True),
)
ROLES = Roles(context=0, choice=2, by=1)
MIDDLE = list_details(300, 1)[0]
PENALTY = 0.9


def get_error(points, *, shift=0.0, curvature=0.1):
    """Errors with the best mix at 0.5 + shift * (depth - 0.5), and a best rate that falls."""
    depth, residual, mix, rate = points.T
    centre = 0.5 + shift * (depth - 0.5)
    error = 0.06 + 0.05 * depth * (1 - 0.5 * residual) + curvature * (mix - centre) ** 2
    return error + 0.1 * (rate - 0.7 + 0.4 * depth) ** 2


def make_trials(count=400, *, noise=0.002, seed=0, **changes):
    random = np.random.default_rng(seed)
    points = random.uniform(size=(count, 4))
    points[:, 0] = AXES[0].encode(np.floor(1 + 32 * random.uniform(size=count) ** 2).clip(1, 32))
    points[:, 1] = random.integers(0, 2, count)
    values = get_error(points, **changes) + noise * random.standard_normal(count)
    return Trials(
        axes=AXES,
        roles=ROLES,
        points=points,
        kinds=np.zeros(count, dtype=np.int64),
        values=values,
        early=np.zeros((count, 0)),
        rungs=(),
        penalty=PENALTY,
        sampler="random",
    )


def prune(trials, values, early, pruned):
    """Stop some trials at the third epoch, where all had the errors `early`."""
    return dataclasses.replace(
        trials,
        kinds=np.where(pruned, Kind.PRUNED.value, Kind.COMPLETED.value),
        values=np.where(pruned, np.nan, values),
        early=early[:, None],
        rungs=(3,),
    )


def keep(trials, rows):
    return take(trials, np.flatnonzero(rows))


@pytest.mark.parametrize("axis", AXES[:1] + AXES[2:])
def test_axes_come_back_from_their_places(axis):
    values = np.array([axis.low, axis.high, axis.decode(np.array([0.4]))[0]])
    assert axis.encode(values)[:2].tolist() == [0.0, 1.0]
    assert axis.decode(axis.encode(values)) == pytest.approx(values)


def test_an_axis_from_zero_is_logarithmic_in_what_is_one_higher():
    axis = Numeric(name="depth", low=0, high=15, log=True, whole=True)
    assert axis.encode(np.array([0, 1, 3, 15])).tolist() == pytest.approx([0, 0.25, 0.5, 1])
    assert axis.decode(np.array([0.25])).tolist() == [1]


@pytest.mark.parametrize("bent", [None, 0, 1])
def test_functions_are_orthonormal(bent):
    axes = (AXES[0], AXES[2], Category(name="activation", levels=("relu", "gelu", "tanh")))
    basis = make_basis(axes, [30, 100, 3], Roles(context=0, choice=1, by=2), detail=MIDDLE)
    basis = basis.bend(bent)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    places, shares = [(nodes + 1) / 2] * 2, [weights / 2] * 2
    if bent is not None:  # its functions are no polynomials of the place, but of its angle
        angles = np.pi / 2 * places[bent]
        places[bent], shares[bent] = np.sin(angles) ** 2, np.pi / 4 * weights * np.sin(2 * angles)
    grid = np.stack(np.meshgrid(*places, [0, 1, 2], indexing="ij"), -1)
    share = np.einsum("i,j,k->ijk", *shares, np.full(3, 1 / 3)).ravel()
    features = basis.evaluate(grid.reshape(-1, 3))
    assert share @ features == pytest.approx(0, abs=1e-12)
    assert features.T @ (features * share[:, None]) == pytest.approx(
        np.eye(features.shape[1]), abs=1e-12
    )


def test_the_values_of_a_grid_are_equally_far_and_come_back():
    axis = Numeric(name="depth", low=1, high=24, whole=True, steps=(1.0, 2.0, 8.0, 24.0))
    places = axis.encode(np.array([1.0, 2.0, 8.0, 24.0, 5.0]))
    assert places == pytest.approx([0, 1 / 3, 2 / 3, 1, 1 / 2])
    assert axis.decode(places).tolist() == [1, 2, 8, 24, 5]


@pytest.mark.parametrize("bent", [None, 3])
@pytest.mark.parametrize("axis", [0, 1, 3])
def test_varying_an_axis_is_evaluating_at_each_step(axis, bent):
    random = np.random.default_rng(8)
    basis = make_basis(AXES, [32, 2, 300, 300], ROLES, detail=MIDDLE).bend(bent)
    points = random.uniform(size=(5, 4))
    points[:, 1] = points[:, 1] > 0.5
    steps = np.array([0.0, 1.0]) if axis == 1 else random.uniform(size=7)
    weights = random.standard_normal((5, len(basis.groups)))
    for which, own in ((weights[0], np.tile(weights[0], (5, 1))), (weights, weights)):
        expected = np.stack(
            [
                (basis.evaluate(np.where(np.arange(4) == axis, step, points)) * own).sum(axis=1)
                for step in steps
            ],
            axis=1,
        )
        assert basis.vary(points, axis, steps, which) == pytest.approx(expected)
        apart = np.tile(steps, (5, 1))
        assert basis.vary(points, axis, apart, which) == pytest.approx(expected)


def test_functions_are_no_finer_than_the_values_tried():
    basis = make_basis(AXES, [3, 2, 100, 2], ROLES, detail=MIDDLE)
    degrees = {term.axes: term.degrees for term in basis.terms}
    assert degrees[(0,)] == (2,)
    assert degrees[(3,)] == (1,)
    assert degrees[(0, 2, 1)] == (2, 6, 1)


def test_many_trials_get_finer_functions_and_few_or_many_axes_coarser_ones():
    least, few, many = (
        make_basis(AXES, [32, 2, 900, 900], ROLES, detail=list_details(trials, 1)[0])
        for trials in (100, 300, 5000)
    )
    assert len(many.groups) > 1.5 * len(few.groups) > 1.5 * 1.1 * len(least.groups)
    assert [max(len(term.axes) for term in one.terms) for one in (least, few, many)] == [3, 4, 4]
    assert list_details(5000, 3) == list_details(300, 3)[1:]
    assert list_details(5000, 4) == list_details(300, 3)[:1]
    assert list_details(5000, 6) == list_details(100, 1)


def test_products_of_high_degrees_along_several_axes_are_left_out():
    basis = make_basis(AXES, [32, 2, 300, 300], ROLES, detail=MIDDLE)
    group = next(group for group, term in enumerate(basis.terms) if term.axes == (0, 2, 1))
    degrees = basis.terms[group].degrees
    assert degrees == (4, 6, 1)
    numbered = 1 + np.arange(len(basis.groups), dtype=float)[None]
    used = basis.unpack(numbered, group)[0, :, :, 0] > 0
    assert used[:, 0].all()
    assert used[0].all()
    expected = [[i / 3 + j / 5 <= 1 for j in range(6)] for i in range(4)]
    assert used.tolist() == expected
    assert np.sort(basis.unpack(numbered, group)[0, used, 0]) == pytest.approx(
        numbered[0, basis.groups == group]
    )


def test_weights_and_noise_are_found_and_nothing_else():
    random = np.random.default_rng(1)
    basis = make_basis(AXES, [32, 2, 300, 300], ROLES, detail=MIDDLE)
    points = random.uniform(size=(300, 4))
    points[:, 1] = points[:, 1] > 0.5
    features = basis.evaluate(points)
    strata = points[:, 1].astype(np.int64)
    target = 3 + 2 * features[:, 0] + np.array([0.1, 0.4])[strata] * random.standard_normal(300)
    found = draw_posterior(
        Data(features=features, target=target, strata=strata),
        basis,
        random=random,
        draws=200,
        burn_in=100,
    )
    assert found.intercepts.mean() == pytest.approx(3, abs=0.05)
    assert found.weights[:, 0].mean() == pytest.approx(2, abs=0.05)
    assert np.abs(found.weights[:, 1:].mean(axis=0)).max() < 0.05
    assert found.noise.mean(axis=0) == pytest.approx([0.1, 0.4], rel=0.15)


@pytest.mark.parametrize("start", [0, 5])
@pytest.mark.parametrize("narrow", [True, False])
def test_the_smoothness_of_an_axis_is_found_wherever_the_chain_begins(start, narrow, monkeypatch):
    monkeypatch.setattr(posterior, "_START", start)
    random = np.random.default_rng(0)
    basis = make_basis(AXES, [32, 2, 300, 300], ROLES, detail=list_details(500, 1)[1])
    points = random.uniform(size=(500, 4))
    points[:, 1] = points[:, 1] > 0.5
    away = points[:, 3] - 0.3 - 0.4 * points[:, 0]
    target = -np.exp(-((away / 0.15) ** 2)) if narrow else 3 * (points[:, 3] - 0.5) ** 2
    found = draw_posterior(
        Data(
            features=basis.evaluate(points),
            target=target + 0.05 * random.standard_normal(500),
            strata=np.zeros(500, dtype=np.int64),
        ),
        basis,
        random=random,
        draws=90,
        burn_in=100,
    )
    smoothness = posterior._SMOOTHNESS[found.state.smoothness[3]]
    assert smoothness <= 4 if narrow else smoothness == 12
    assert found.noise.mean() < 0.08


def test_terms_that_are_nothing_make_each_other_smaller():
    random = np.random.default_rng(7)
    basis = make_basis(AXES, [32, 2, 300, 300], ROLES, detail=MIDDLE)
    points = random.uniform(size=(300, 4))
    points[:, 1] = points[:, 1] > 0.5
    target = np.sin(3 * points[:, 0]) + points[:, 2] + 0.3 * random.standard_normal(300)
    data = Data(
        features=basis.evaluate(points), target=target, strata=np.zeros(300, dtype=np.int64)
    )
    found = draw_posterior(data, basis, random=random, draws=300, burn_in=100)
    orders = np.array([len(term.axes) for term in basis.terms])
    scales = found.state.scales
    assert (scales[orders == 1] == 1.0).all()
    assert all(len(set(scales[orders == order])) == 1 for order in (2, 3, 4))
    spread = found.weights[:, orders[basis.groups] >= 2].std(axis=0)
    assert np.sqrt((spread**2).sum()) < 0.3 / 4  # of least squares: 0.3 * sqrt(P / N), far more


def test_finer_functions_are_taken_where_they_are_needed():
    trials = make_trials(400)
    valley = 0.3 * np.abs(trials.points[:, 3] - 0.2 - 0.6 * trials.points[:, 0]) ** 0.5
    noise = 0.005 * np.random.default_rng(1).standard_normal(400)
    narrow = dataclasses.replace(trials, values=0.1 + valley + noise)
    middle, fine = list_details(400, 1)
    for one, detail in ((trials, middle), (narrow, fine)):
        surface = fit_surface(one, random=np.random.default_rng(2), draws=9)
        assert surface.posterior.basis.detail == detail


def test_a_chance_to_diverge_is_found():
    random = np.random.default_rng(2)
    points = random.uniform(size=(800, 4))
    points[:, 1] = points[:, 1] > 0.5
    chance = 1 / (1 + np.exp(-8 * (points[:, 3] - 0.7)))
    basis = make_basis(AXES, [32, 2, 800, 800], ROLES, detail=MIDDLE)
    model = fit_divergence(
        basis, points, (random.uniform(size=800) < chance).astype(float), draws=100, random=random
    )
    at = np.array([[0.5, 0, 0.5, rate] for rate in (0.1, 0.7, 1.0)])
    found = model.predict(at)
    assert found == pytest.approx([0.01, 0.5, 0.92], abs=0.1)
    low, high = np.quantile(model.draw(at), [0.01, 0.99], axis=0)
    assert (low < found).all()
    assert (found < high).all()


def test_an_edge_beyond_which_all_diverges_is_sharp():
    random = np.random.default_rng(3)
    points = random.uniform(size=(300, 4))
    points[:, 1] = points[:, 1] > 0.5
    beyond = points[:, 3] - 0.8 + 0.4 * points[:, 0]
    basis = make_basis(AXES, [32, 2, 300, 300], ROLES, detail=MIDDLE)
    model = fit_divergence(basis, points, (beyond > 0).astype(float), draws=100, random=random)
    chances = model.predict(points)
    assert chances[beyond < -0.1].max() < 0.02
    assert chances[beyond > 0.1].min() > 0.98


def test_what_diverges_for_two_reasons_together_is_told_from_what_does_for_one():
    random = np.random.default_rng(4)
    points = random.uniform(size=(400, 4))
    points[:, 1] = points[:, 1] > 0.5
    corner = (points[:, 0] > 0.6) & (points[:, 3] > 0.6)
    broke = corner & (random.uniform(size=400) < 0.6)
    assert broke.sum() < 50
    basis = make_basis(AXES, [32, 2, 400, 400], ROLES, detail=MIDDLE)
    model = fit_divergence(basis, points, broke.astype(float), draws=100, random=random)
    both, one, other = model.predict(
        np.array([[0.9, 0, 0.5, 0.9], [0.9, 0, 0.5, 0.1], [0.1, 0, 0.5, 0.9]])
    )
    assert both > 0.4
    assert max(one, other) < 0.05


def make_cliff(trials):
    """Return the trials with errors that are far higher where the choice is all but 0."""
    return dataclasses.replace(
        trials, values=trials.values + 0.15 * np.exp(-trials.points[:, 2] / 0.02)
    )


def test_the_ends_of_the_choice_are_enlarged_where_something_happens_there_and_nowhere_else():
    smooth = make_trials(600)
    surface = fit_surface(smooth, random=np.random.default_rng(0))
    assert surface.posterior.basis.bent is None
    steep = make_cliff(smooth)
    surface = fit_surface(steep, random=np.random.default_rng(0))
    assert surface.posterior.basis.bent == ROLES.choice
    near, far = surface.predict(np.array([[0.5, 1, 0.0, 0.5], [0.5, 1, 0.08, 0.5]]))
    assert near - far == pytest.approx(0.155, abs=0.04)
    after = fit_surface(
        make_cliff(make_trials(620)), random=np.random.default_rng(0), burn_in=20, after=surface
    )
    assert after.posterior.basis.bent == ROLES.choice


@pytest.mark.parametrize(("steps", "bent"), [((), ROLES.choice), (np.linspace(0, 1, 51), None)])
def test_the_ends_of_a_grid_are_as_they_were_given(steps, bent):
    trials = make_trials(600)
    points = trials.points.copy()
    points[:, 2] = np.round(50 * points[:, 2]) / 50
    axes = (*AXES[:2], dataclasses.replace(AXES[2], steps=tuple(steps)), AXES[3])
    steep = make_cliff(dataclasses.replace(trials, axes=axes, points=points))
    surface = fit_surface(steep, random=np.random.default_rng(0))
    assert surface.posterior.basis.bent == bent


def test_what_diverges_counts_by_its_chance():
    trials = make_trials(400)
    steep = trials.points[:, 3] > 0.8
    kinds = np.where(steep, Kind.DIVERGED.value, Kind.COMPLETED.value)
    values = np.where(steep, np.nan, trials.values)
    surface = fit_surface(
        dataclasses.replace(trials, kinds=kinds, values=values), random=np.random.default_rng(0)
    )
    gentle, rough = surface.predict(np.array([[0.5, 1, 0.5, 0.5], [0.5, 1, 0.5, 1.0]]))
    assert gentle == pytest.approx(0.0725, abs=0.01)
    assert rough > 0.7


def test_pruned_trials_do_not_leave_the_lucky_ones_alone():
    random = np.random.default_rng(3)
    trials = make_trials(600, noise=0.0, curvature=0.2)
    noise = 0.03 * random.standard_normal(600)
    early = 0.1 + trials.values + noise + 0.005 * random.standard_normal(600)
    pruned = early > np.median(early)
    values = trials.values + noise
    told = prune(trials, values, early, pruned)
    lucky = keep(told, ~pruned)
    whole = dataclasses.replace(trials, values=values)  # had nothing been pruned
    at = np.stack([np.full(50, 0.8), np.zeros(50), np.linspace(0, 1, 50), np.full(50, 0.5)], 1)
    filled, without, best = (
        float(fit_surface(some, random=random).predict(at).mean()) for some in (told, lucky, whole)
    )
    assert filled == pytest.approx(best, abs=0.012)
    assert without < best - 0.025


def test_pruned_trials_that_too_few_went_on_beside_are_left_out_and_that_is_said():
    trials = make_trials(300)
    pruned = np.arange(300) < 12
    early = np.where(np.arange(300) < 15, 0.1 + trials.values, np.nan)
    found = answer(prune(trials, trials.values, early, pruned), bound=0.005)
    assert found.caveats[0] == (
        "12 pruned trials were left out: too few others went on from where they stopped to tell "
        "how they would have ended."
    )


def test_the_cost_of_one_choice_is_what_it_is_by_hand():
    curves = np.array([[0.0, 1.0, 4.0], [3.0, 1.0, 0.0]])
    cost = estimate_cost(np.repeat(curves[None], 50, axis=0))
    assert dataclasses.astuple(cost.interval) == pytest.approx((1.0, 1.0, 1.0))
    assert cost.judge(0.9, share=0.025) is Verdict.INTERACTION
    assert cost.judge(1.1, share=0.025) is Verdict.NONE


def test_noise_alone_makes_no_cost():
    random = np.random.default_rng(4)
    centre = 0.5 * random.standard_normal((8, 21))  # what noise made of curves that are flat
    draws = centre + 0.5 * random.standard_normal((400, 8, 21))
    naive = draws.mean(axis=1).min(axis=1) - draws.min(axis=2).mean(axis=1)
    cost = estimate_cost(draws)
    assert np.quantile(naive, 0.025) > 0.5
    assert cost.interval.low < 0.5
    assert cost.judge(0.75, share=0.025) is Verdict.UNDECIDED


def test_the_best_choice_and_its_change_are_what_they_are_by_hand():
    choices = np.array([0.0, 0.5, 1.0])
    curves = np.array([[0.0, 1.0, 4.0], [3.0, 1.0, 0.5]])
    bests, values, change = estimate_best(np.repeat(curves[None], 50, axis=0), choices)
    assert [dataclasses.astuple(best) for best in bests] == [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0)]
    assert [value.estimate for value in values] == [0.0, 0.5]
    assert dataclasses.astuple(change.difference) == (1.0, 1.0, 1.0)
    assert change.ratio is None
    assert change.is_sure


def test_the_change_of_choices_above_zero_is_a_ratio_too():
    choices = np.array([0.001, 0.01, 0.1])
    curves = np.array([[0.0, 1.0, 4.0], [0.0, 1.0, 4.0], [3.0, 0.0, 1.0]])
    *_, change = estimate_best(np.stack([curves[1:]] * 90 + [curves[:2]] * 10), choices)
    assert dataclasses.astuple(change.ratio) == pytest.approx((10.0, 1.0, 10.0))
    assert not change.is_sure


def test_a_shift_is_found_with_its_size():
    found = answer(make_trials(400, shift=0.8), bound=0.002)
    assert found.verdict is Verdict.INTERACTION
    assert found.more_trials is None
    for level in found.levels:
        assert 0.5 < level.change.difference.low < 0.8 < level.change.difference.high
        depths = AXES[0].encode(np.array([best.context for best in level.bests]))
        estimates = [best.choice.estimate for best in level.bests]
        assert np.abs(estimates - (0.5 + 0.8 * (depths - 0.5))).mean() < 0.06
        cost = 0.1 * (0.8**2) * np.var(depths)
        assert level.cost.low < cost < level.cost.high
        assert level.cost.estimate == pytest.approx(cost, rel=0.3)


def test_no_interaction_is_found_to_be_none():
    found = answer(make_trials(400), bound=0.005)
    assert found.verdict is Verdict.NONE
    assert all(level.cost.high < 0.005 for level in found.levels)
    assert all(level.common == pytest.approx(0.5, abs=0.1) for level in found.levels)


def test_errors_are_shared_and_no_verdict_is_at_odds_with_the_interval():
    assert [share_error(levels) for levels in (1, 2, 5)] == pytest.approx([0.025, 0.025, 0.01])
    random = np.random.default_rng(0)
    draws = 0.05 + 0.002 * random.standard_normal((500, 3, 9))
    draws += np.linspace(0, 0.01, 9) * np.arange(3)[:, None]
    cost = estimate_cost(draws)
    edges = cost.interval.low, cost.interval.high
    assert cost.judge(edges[1] * 1.001, share=share_error(1)) is Verdict.NONE
    assert cost.judge(edges[1] * 0.999, share=share_error(1)) is Verdict.UNDECIDED


def test_too_much_noise_leaves_it_open_and_says_how_many_more_would_do():
    found = answer(make_trials(80, noise=0.03, shift=0.2), bound=0.005)
    assert found.verdict is Verdict.UNDECIDED
    assert found.more_trials > 0


def test_the_same_trials_give_the_same_answer():
    one, other = (answer(make_trials(120), bound=0.005) for _ in range(2))
    assert [level.cost for level in one.levels] == [level.cost for level in other.levels]


def test_a_level_with_too_few_trials_is_left_out_and_said():
    trials = make_trials(200)
    rows = (trials.points[:, 1] == 1) | (np.cumsum(trials.points[:, 1] == 0) <= 5)
    found = answer(keep(trials, rows), bound=0.005)
    assert [level.level for level in found.levels] == [True]
    assert found.by == "residual"
    assert found.caveats[0].startswith("residual = False was left out")
    assert found.left_out == (False,)


def test_a_refusal_names_the_levels_that_were_left_out():
    trials = make_trials(45)
    trials.points[:, 1] = np.arange(45) % 5 == 0
    with pytest.raises(AnalysisError, match=r"but 36 were, beside 9 of residual = True, too few"):
        answer(trials, bound=0.005)


def test_what_no_trial_reached_is_called_a_guess_and_is_not_below_zero():
    trials = make_trials(80)
    trials.points[:, 2] = 0.4 + 0.6 * trials.points[:, 2]  # the lowest errors are further down
    noise = 0.002 * np.random.default_rng(4).standard_normal(80)
    values = 0.01 + 0.3 * (trials.points[:, 2] - 0.4) + np.abs(noise)
    found = answer(dataclasses.replace(trials, values=values), bound=0.005)
    plain, residual = found.levels
    assert plain.profile.min() == residual.profile.min() == 0.0
    assert sum(caveat.endswith("and it is a guess.") for caveat in found.caveats) == 2


def test_levels_are_kept_in_their_order():
    axes = (AXES[0], Category(name="by", levels=("a", "b", "c")), *AXES[2:])
    trials = make_trials(60)
    trials.points[:, 1] = np.arange(60) % 3
    kept = keep_levels(dataclasses.replace(trials, axes=axes), [0, 2])
    assert kept.axes[1].levels == ("a", "c")
    assert set(kept.points[:, 1]) == {0, 1}
    assert len(kept.values) == 40


def change_points(trials, axis, value):
    points = trials.points.copy()
    points[:, axis] = value
    return dataclasses.replace(trials, points=points)


@pytest.mark.parametrize(
    ("break_", "message"),
    [
        (lambda trials: make_trials(5), "at least 40 trials must have been trained to the end"),
        (lambda trials: change_points(trials, 2, 0.5), "ce_weight must have at least 4 values"),
        (lambda trials: change_points(trials, 0, 0.5), "depth must have at least 3 values"),
        (
            lambda trials: dataclasses.replace(
                trials, kinds=np.full_like(trials.kinds, Kind.DIVERGED.value)
            ),
            "all 100 finished trials diverged",
        ),
        (
            lambda trials: dataclasses.replace(trials, values=np.full_like(trials.values, 0.1)),
            "must differ in what they reached",
        ),
    ],
)
def test_trials_that_cannot_answer_are_refused(break_, message):
    with pytest.raises(AnalysisError, match=message):
        answer(break_(make_trials(100)), bound=0.005)


@pytest.mark.parametrize(("trials", "diverged"), [(200, 1), (300, 2), (1000, 30)])
def test_as_many_diverge_in_the_draws_as_did(trials, diverged):
    random = np.random.default_rng(6)
    points = random.uniform(size=(trials, 4))
    points[:, 1] = points[:, 1] > 0.5
    basis = make_basis(AXES, [32, 2, 300, 300], ROLES, detail=MIDDLE)
    model = fit_divergence(
        basis, points, (np.arange(trials) < diverged).astype(float), draws=300, random=random
    )
    assert model.draw(points).mean() * trials == pytest.approx(diverged, rel=0.05, abs=0.5)


def test_one_trial_that_diverged_does_not_undo_the_answer():
    trials = make_trials(300)
    kinds, values = trials.kinds.copy(), trials.values.copy()
    kinds[5], values[5] = Kind.DIVERGED.value, np.nan
    whole, one = (
        answer(some, bound=0.005)
        for some in (trials, dataclasses.replace(trials, kinds=kinds, values=values))
    )
    assert [level.verdict for level in one.levels] == [level.verdict for level in whole.levels]
    for level, before in zip(one.levels, whole.levels, strict=True):
        assert level.cost.high < before.cost.high + 0.003


def test_slow_to_learn_is_not_bad_in_the_end():
    random = np.random.default_rng(8)
    trials = make_trials(500, noise=0.0)
    depth, _, mix, _ = trials.points.T
    values = trials.values + 0.01 * random.standard_normal(500)
    # At a rung the errors of deep networks fall with the mix, and those of shallow ones rise.
    early = values + 0.1 + 0.4 * (0.5 - depth) * (mix - 0.5) + 0.005 * random.standard_normal(500)
    pruned = early > np.median(early)
    told = prune(trials, values, early, pruned)
    for level in answer(told, bound=0.005).levels:  # the best mix is 0.5 at every depth
        assert level.change.difference.low <= 0 <= level.change.difference.high
        assert abs(level.change.difference.estimate) < 0.15


def test_what_is_expected_on_a_logarithmic_scale_is_the_mean_and_not_that_of_a_lognormal():
    random = np.random.default_rng(9)
    trials = make_trials(600)
    fails = random.uniform(size=600) < 0.1  # one in ten learns nothing, wherever it is
    values = np.where(fails, 0.8, 0.02 * np.exp(0.1 * random.standard_normal(600)))
    surface = fit_surface(dataclasses.replace(trials, values=values), random=random)
    assert surface.scale.offset is not None
    assert surface.draw(trials.points).mean() == pytest.approx(values.mean(), rel=0.15)


def test_no_more_is_expected_than_any_trial_has_reached():
    trials = make_trials(300)
    deep = trials.points[:, 0] > 0.6
    steep = np.minimum(trials.values * np.exp(8 * (trials.points[:, 0] - 0.6) * deep), 0.85)
    surface = fit_surface(
        dataclasses.replace(trials, values=steep), random=np.random.default_rng(0)
    )
    corners = np.array([[1.0, level, mix, 0.0] for level in (0, 1) for mix in (0.0, 0.5, 1.0)])
    assert surface.draw(corners).max() <= PENALTY


def test_nothing_is_said_of_contexts_where_a_level_was_not_trained():
    trials = make_trials(400)
    shallow = trials.points[:, 0] < AXES[0].encode(np.array([9.0]))[0]
    apart = keep(trials, shallow | (trials.points[:, 1] == 1))
    found = answer(apart, bound=0.005)
    plain, residual = found.levels
    assert [best.context for best in residual.bests] == list(found.contexts)
    assert [best.context for best in plain.bests] == [one for one in found.contexts if one < 10]
    assert len(plain.profile) == len(plain.profile_low) == len(plain.bests) < len(found.contexts)
    assert found.caveats[0] == (
        f"residual = False was trained from depth 1 to {plain.bests[-1].context:g}: of others "
        "nothing is said."
    )


def test_of_few_trials_in_a_part_it_is_not_said_that_nothing_matters():
    trials = make_trials(400)
    deep_and_plain = (trials.points[:, 0] > 0.6) & (trials.points[:, 1] == 0)
    for most, verdict in ((9, Verdict.UNDECIDED), (30, Verdict.NONE)):
        kept = ~deep_and_plain | (np.cumsum(deep_and_plain) <= most)
        found = answer(keep(trials, kept), bound=0.005)
        plain, residual = found.levels
        assert residual.verdict is Verdict.NONE
        assert plain.verdict is found.verdict is verdict
        assert plain.cost.high < 0.005
        said = [caveat for caveat in found.caveats if caveat.startswith("A third of the values")]
        assert len(said) == (verdict is Verdict.UNDECIDED)
        assert all(
            "of residual = False, and of fewer than 12 it is not said" in one for one in said
        )


def test_a_level_that_was_trained_over_too_little_is_left_out_and_said():
    trials = make_trials(400)
    deepest = trials.points[:, 0] > 0.95
    found = answer(keep(trials, deepest | (trials.points[:, 1] == 1)), bound=0.005)
    assert [level.level for level in found.levels] == [True]
    assert found.left_out == (False,)
    assert found.caveats == (
        "residual = False was left out: it was trained over too little of depth.",
    )


def test_a_level_without_a_trial_has_the_mean_noise_of_the_others():
    axes = (AXES[0], Category(name="by", levels=("a", "b", "c")), *AXES[2:])
    surface = fit_surface(
        dataclasses.replace(make_trials(200), axes=axes), random=np.random.default_rng(0)
    )
    assert np.isfinite(surface.draw(np.array([[0.5, 2, 0.5, 0.5]]))).all()
    assert surface.noise[:, -1] == pytest.approx(surface.noise[:, :6].mean(axis=1))


def test_a_guess_is_what_is_clearly_below_all_trials_near():
    trials = make_trials(600, curvature=1.0)
    deep = trials.points[:, 0] > 0.9
    best = trials.points[:, 2:] - 0.5
    far = ~deep | (np.abs(best) > 0.4).any(axis=1)  # deep ones were tried in the corners alone
    for some, guessed in ((keep(trials, far), 2), (trials, 0)):
        caveats = answer(some, bound=0.02).caveats
        deepest = [one for one in caveats if "32 and residual" in one and "clearly less" in one]
        assert len(deepest) == guessed


def test_many_that_diverged_are_a_caveat():
    trials = make_trials(200)
    for share in (0.02, 0.1):
        broke = trials.points[:, 3] > 1 - share
        found = answer(
            dataclasses.replace(
                trials,
                kinds=np.where(broke, Kind.DIVERGED.value, Kind.COMPLETED.value),
                values=np.where(broke, np.nan, trials.values),
            ),
            bound=0.005,
        )
        said = [caveat for caveat in found.caveats if "trials diverged. How likely" in caveat]
        assert len(said) == (1 if share > 0.05 else 0)


def test_values_that_are_far_from_all_others_are_a_caveat():
    trials = make_trials(200)
    huge = np.where(np.arange(200) < 2, [1e12], trials.values)
    for values, said in ((trials.values, 0), (huge, 1)):
        found = answer(dataclasses.replace(trials, values=values), bound=0.005)
        caveats = [one for one in found.caveats if one.startswith("2 of the trials reached")]
        assert len(caveats) == said


def test_ties_are_no_certainty():
    trials = make_trials(400)
    tied = trials.points[:, 0] > 0.7  # all deep networks do as badly as guessing
    found = answer(
        dataclasses.replace(trials, values=np.where(tied, PENALTY, trials.values)), bound=0.005
    )
    assert found.verdict is Verdict.UNDECIDED
    assert any("reached exactly the same" in caveat for caveat in found.caveats)
    shallow = found.levels[0].bests[0]
    assert shallow.choice.low <= 0.5 <= shallow.choice.high
    almost_all = np.where(np.arange(400) < 390, 0.25, trials.values)
    assert answer(dataclasses.replace(trials, values=almost_all), bound=0.005).fitted is not None
