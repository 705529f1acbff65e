"""The evidence below an answer, against surfaces whose truth is known and numbers by hand."""

import dataclasses
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution

from archloss.search.analysis import selection
from archloss.search.analysis.answer import Fitted, answer
from archloss.search.analysis.axes import Category, Numeric
from archloss.search.analysis.bands import make_band
from archloss.search.analysis.basis import Roles
from archloss.search.analysis.columns import Columns
from archloss.search.analysis.dependence import find_dependence
from archloss.search.analysis.evidence import find_evidence
from archloss.search.analysis.example import EXAMPLE_ERROR, read_example
from archloss.search.analysis.front import find_front
from archloss.search.analysis.importance import find_importance
from archloss.search.analysis.selection import find_best, find_selection
from archloss.search.analysis.spread import Replicates, find_repeated, find_spread, pool
from archloss.search.analysis.study import Question
from archloss.search.analysis.surface import fit_surface
from archloss.search.analysis.tables import make_table_trials
from archloss.search.analysis.trials import Kind, Trials, merge_designs
from archloss.search.analysis.uniform import list_cells, spread

AXES = (
    Numeric(name="depth", low=1, high=32, log=True, whole=True),
    Category(name="activation", levels=("relu", "gelu", "tanh")),
    Numeric(name="ce_weight", low=0.0, high=1.0),
    Numeric(name="width", low=16, high=64, whole=True, steps=(16.0, 32.0, 64.0)),
)
ROLES = Roles(context=0, choice=2, by=1)
LEVELS = np.array([-1.0, 0.0, 2.5])


def weigh_depths():
    """Return where the depths from 1 to 32 lie, and the part of the range that rounds to each."""
    depths = np.arange(1, 33)
    return np.log(depths) / np.log(32), np.log((depths + 0.5) / (depths - 0.5)) / np.log(65)


def make_trials(count, value, *, noise=0.01, seed=0, kinds=None):
    random = np.random.default_rng(seed)
    points = random.uniform(size=(count, 4))
    points[:, 0] = random.choice(weigh_depths()[0], count, p=weigh_depths()[1])
    points[:, 1] = random.integers(0, 3, count)
    points[:, 3] = random.integers(0, 3, count) / 2
    values = value(points) + noise * random.standard_normal(count)
    kinds = np.zeros(count, dtype=np.int64) if kinds is None else kinds(points)
    return Trials(
        axes=AXES,
        roles=ROLES,
        points=points,
        kinds=kinds,
        values=np.where(kinds == Kind.COMPLETED.value, values, np.nan),
        early=np.zeros((count, 0)),
        rungs=(),
        penalty=0.9,
        sampler="random",
        numbers=np.arange(count) + 100,
    )


def fit(trials):
    return Fitted(surface=fit_surface(trials, random=np.random.default_rng(1)), trials=trials)


def get_value(points):
    """Each part has mean 0 over its axis; their variances are worked out below."""
    depth, level, mix, _ = points.T
    return 2 * (depth - 0.5) + (LEVELS - 0.5)[level.astype(int)] + 6 * (depth - 0.5) * (mix - 0.5)


@pytest.fixture(scope="module")
def known():
    return fit(make_trials(600, get_value))


def test_shares_of_variance_are_those_worked_out(known):
    found = find_importance(known.surface)
    assert not found.logarithmic
    places, chances = weigh_depths()
    middle = chances @ places
    variance = chances @ (places - middle) ** 2
    parts = {
        ("depth",): 4 * variance,
        ("activation",): np.mean((LEVELS - 0.5) ** 2),
        # (mix - 1/2) has variance 1/12; as the depths' mean is not 1/2, mix has an effect alone
        ("ce_weight",): 36 * (middle - 0.5) ** 2 / 12,
        ("depth", "ce_weight"): 36 * variance / 12,
    }
    whole = sum(parts.values())
    shares = {share.axes: share.share for share in found.terms}
    for axes, part in parts.items():
        assert shares[axes].estimate == pytest.approx(part / whole, abs=0.003)
        assert shares[axes].high - shares[axes].low < 0.02
    for axes, share in shares.items():
        assert share.high < 0.002 or axes in parts
    assert sum(share.estimate for share in shares.values()) == pytest.approx(1)
    totals = {share.axes[0]: share.share.estimate for share in found.totals}
    assert totals["depth"] == pytest.approx((4 + 3) * variance / whole, abs=0.005)
    assert totals["width"] == pytest.approx(0, abs=0.002)
    assert [share.share.estimate for share in found.terms] == sorted(
        (share.estimate for share in shares.values()), reverse=True
    )
    assert found.explained.estimate == pytest.approx(whole / (whole + 0.01**2), abs=0.01)
    orders = found.add_orders()
    assert orders[2].estimate == pytest.approx(3 * variance / whole, abs=0.005)
    assert orders[3].high < 0.002
    assert orders[1].estimate + orders[2].estimate + orders[3].estimate == pytest.approx(1)


def test_shares_of_a_grid_are_those_of_its_own_analysis_of_variance():
    """The example has each of its 2,106 designs four times: what each term makes can be counted."""
    columns = Columns(
        question=Question(context="depth", choice="ce_weight", by="residual"),
        error=EXAMPLE_ERROR,
        tuned=("learning_rate",),
    )
    trials = make_table_trials(read_example(), columns, name="example")
    surface = fit_surface(trials, random=np.random.default_rng(0))
    exact = analyse_grid(trials, surface.scale.apply(trials.values))
    assert len(exact) == 15
    for term in find_importance(surface).terms:
        # of three axes and more only the coarser functions are there, and so some is lost
        assert term.share.estimate == pytest.approx(exact[frozenset(term.axes)], abs=0.01)
        if term.axes == ("ce_weight",):
            assert term.share.low < exact[frozenset(term.axes)] < term.share.high


def analyse_grid(trials, values):
    """Return the share of each term, from the means over a whole grid."""
    places = [np.unique(column, return_inverse=True)[1] for column in trials.points.T]
    counts = np.zeros([1 + place.max() for place in places])
    sums = counts.copy()
    np.add.at(counts, tuple(places), 1)
    np.add.at(sums, tuple(places), values)
    axes = range(len(places))
    effects = {}
    for size in range(5):
        for kept in combinations(axes, size):
            others = tuple(axis for axis in axes if axis not in kept)
            mean = (sums / counts).mean(axis=others, keepdims=True)
            effects[kept] = mean - sum(
                (effect for smaller, effect in effects.items() if set(smaller) < set(kept)), 0.0
            )
    del effects[()]
    whole = sum((effect**2).mean() for effect in effects.values())
    return {
        frozenset(trials.names[axis] for axis in kept): (effect**2).mean() / whole
        for kept, effect in effects.items()
    }


@pytest.mark.parametrize(
    ("axis", "places", "chances"),
    [
        (Category(name="a", levels=("x", "y")), [0, 1], [1 / 2, 1 / 2]),
        (Numeric(name="a", low=1, high=9, steps=(1.0, 2.0, 9.0)), [0, 1 / 2, 1], [1 / 3] * 3),
        (Numeric(name="a", low=2, high=5, whole=True), [0, 1 / 3, 2 / 3, 1], [1 / 4] * 4),
        (
            Numeric(name="a", low=0, high=3, whole=True, log=True),  # in the logarithm of a + 1
            [0, 1 / 2, np.log2(3) / 2, 1],
            np.log([3, 5 / 3, 7 / 5, 9 / 7]) / np.log(9),
        ),
    ],
)
def test_places_are_as_likely_as_they_are_drawn(axis, places, chances):
    cells = list_cells(axis)
    assert cells.places == pytest.approx(places)
    assert cells.chances == pytest.approx(chances)
    drawn = spread(axis, (np.arange(10_000) + 0.5) / 10_000)
    for place, chance in zip(cells.places, chances, strict=True):
        assert (drawn == place).mean() == pytest.approx(chance, abs=2e-4)


def test_a_range_of_numbers_is_uniform():
    uniform = np.linspace(0, 1, 7)
    for axis in (AXES[2], Numeric(name="a", low=1, high=5000, whole=True)):
        assert list_cells(axis) is None
        assert spread(axis, uniform).tolist() == uniform.tolist()


def test_depths_are_as_likely_as_optuna_draws_them():
    places, chances = weigh_depths()
    cells = list_cells(AXES[0])
    assert cells.places == pytest.approx(places)
    assert cells.chances == pytest.approx(chances)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [study.ask({"depth": IntDistribution(1, 32, log=True)}) for _ in range(2000)]
    shallow = np.mean([trial.params["depth"] == 1 for trial in drawn])
    assert shallow == pytest.approx(chances[0], abs=0.04)


@pytest.mark.parametrize("count", [60, 200])
def test_noise_alone_makes_no_term_matter(count):
    explained = []
    for seed in range(3):
        trials = make_trials(count, lambda points: 0.0 * points[:, 0], noise=1.0, seed=seed)
        found = find_importance(fit(trials).surface)
        assert max(share.share.low for share in found.terms) < 0.1
        assert found.explained.low < 0.05
        assert found.known < 0.45
        explained.append(found.explained.estimate)
    assert np.mean(explained) < (0.25 if count == 60 else 0.12)


def test_what_the_surface_explains_is_what_it_does():
    explained = []
    for seed in range(3):
        trials = make_trials(
            400, lambda points: 2 * np.sqrt(12) * points[:, 2], noise=3.0, seed=seed
        )
        found = find_importance(fit(trials).surface)
        assert found.explained.high - found.explained.low < 0.25
        assert found.known > 0.6
        assert found.terms[0].axes == ("ce_weight",)
        explained.append(found.explained)
    assert np.mean([one.estimate for one in explained]) == pytest.approx(4 / (4 + 9), abs=0.05)
    assert sum(one.low < 4 / (4 + 9) < one.high for one in explained) >= 2


def test_dependence_is_the_mean_over_the_other_axes(known):
    depth, level, mix, width = find_dependence(known.surface)
    assert depth.values == tuple(float(value) for value in np.unique(np.round(depth.values)))
    places = AXES[0].encode(np.array(depth.values))
    even, chances = weigh_depths()
    assert depth.mean == pytest.approx(2 * (places - 0.5), abs=0.05)
    assert level.values == ("relu", "gelu", "tanh")
    assert np.diff(level.mean) == pytest.approx(np.diff(LEVELS), abs=0.03)
    assert mix.values[:1] + mix.values[-1:] == (0.0, 1.0)
    assert mix.mean[-1] - mix.mean[0] == pytest.approx(6 * (chances @ even - 0.5), abs=0.03)
    assert width.values == (16.0, 32.0, 64.0)
    assert np.ptp(width.mean) < 0.03
    for one in (depth, level, mix, width):
        assert (one.low <= one.mean).all()
        assert (one.mean <= one.high).all()
        assert (one.high - one.low < 0.2).all()


def test_dependence_counts_what_diverges():
    def diverge(points):
        steep = (points[:, 2] > 0.6) & (points[:, 1] == 2)
        return np.where(steep, Kind.DIVERGED.value, Kind.COMPLETED.value)

    trials = make_trials(600, lambda points: 0.1 + 0.0 * points[:, 0], kinds=diverge)
    _, level, mix, _ = find_dependence(fit(trials).surface)
    assert level.mean[:2] == pytest.approx(0.1, abs=0.06)
    assert level.mean[2] == pytest.approx(0.1 + 0.4 * 0.8, abs=0.08)
    assert mix.mean[0] < 0.2
    assert mix.mean[-1] == pytest.approx(0.1 + 0.8 / 3, abs=0.08)


def test_the_front_leaves_out_what_is_beaten_and_what_is_equal():
    costs = [5.0, 1.0, 3.0, 3.0, 2.0, 1.0]
    values = [0.1, 0.9, 0.2, 0.3, 0.9, 0.9]
    assert find_front(costs, values).tolist() == [True, True, True, False, False, False]
    assert find_front([], []).tolist() == []


def test_deviations_are_pooled_over_designs_by_hand():
    groups = [[1.0, 3.0], [10.0, 10.0, 13.0]]
    found = pool([Replicates(point=np.zeros(4), values=np.array(group)) for group in groups])
    # sqrt((2 + 6) / (1 + 2)), and chi-square with 3 degrees of freedom from 0.2158 to 9.3484
    assert found.estimate == pytest.approx(np.sqrt(8 / 3))
    assert found.low == pytest.approx(np.sqrt(8 / 9.3484), rel=1e-4)
    assert found.high == pytest.approx(np.sqrt(8 / 0.21580), rel=1e-4)


def test_replicates_say_how_far_a_seed_moves_the_objective(known):
    random = np.random.default_rng(3)
    deviations = np.where(known.trials.points[:, 0] > 0.5, 0.4, 0.1)
    replicates = [
        Replicates(point=point, values=10 * deviation + deviation * random.standard_normal(2))
        for point, deviation in zip(known.trials.points, deviations, strict=True)
    ]
    found = find_spread(known, replicates)
    assert (found.kind, found.designs) == ("replicates", 600)
    assert found.whole.low < np.sqrt((deviations**2).mean()) < found.whole.high
    assert found.better.estimate == pytest.approx(0.1, rel=0.2)  # the shallow ones are better
    assert {stratum.level for stratum in found.strata} == {"relu", "gelu", "tanh"}
    for stratum in found.strata:
        if stratum.high < 5:
            assert stratum.deviation.estimate == pytest.approx(0.1, rel=0.3)
        if stratum.low > 6:
            assert stratum.deviation.estimate == pytest.approx(0.4, rel=0.3)


def test_without_replicates_the_noise_of_the_surface_stands_in(known):
    found = find_spread(known, find_repeated(known.trials))
    assert found.kind == "surface"
    assert found.whole.low < 0.01 < found.whole.high * 1.1
    assert len(found.strata) == 9
    assert found.strata[0].low == 1.0
    assert found.strata[2].high == 32.0


def test_replicates_that_do_not_differ_are_no_spread(known):
    points = known.trials.points
    same = [Replicates(point=point, values=np.full(3, 0.1)) for point in points]
    found = find_spread(known, same)
    assert (found.kind, found.whole) == ("surface", find_spread(known, []).whole)
    same[0] = Replicates(point=points[0], values=np.array([0.1, 0.2]))
    assert find_spread(known, same).kind == "replicates"


def test_noise_on_a_logarithmic_scale_is_said_in_the_objectives_units():
    random = np.random.default_rng(4)
    trials = make_trials(400, lambda points: np.exp(2 * points[:, 0]), noise=0.0)
    trials = dataclasses.replace(
        trials, values=trials.values * np.exp(0.2 * random.standard_normal(400))
    )
    fitted = fit(trials)
    assert find_importance(fitted.surface).logarithmic
    first, *_, last = sorted(find_spread(fitted, []).strata, key=lambda stratum: stratum.low)
    assert first.deviation.estimate == pytest.approx(0.2 * np.exp(2 / 6), rel=0.4)
    assert last.deviation.estimate == pytest.approx(0.2 * np.exp(10 / 6), rel=0.4)


def test_designs_that_have_several_trainings_are_merged():
    trials = make_trials(60, get_value, noise=0.5)
    points = np.repeat(trials.points[:20], 3, axis=0)
    kinds = np.where(np.arange(60) % 3 == 2, Kind.DIVERGED.value, Kind.COMPLETED.value)
    values = np.where(kinds == Kind.DIVERGED.value, np.nan, trials.values)
    repeated = dataclasses.replace(
        trials, points=points, kinds=kinds, values=values, penalty=trials.values.max()
    )
    assert find_repeated(repeated) == []
    merged = merge_designs(repeated)
    found = find_repeated(merged)
    assert [len(one.values) for one in found] == [2] * 20
    assert (found[0].point == points[0]).all()
    assert found[0].values.tolist() == trials.values[:2].tolist()
    assert merged.values[0] == pytest.approx((values[:2].sum() + repeated.penalty) / 3)
    assert merged.numbers.tolist() == trials.numbers[::3].tolist()
    assert merge_designs(trials) is trials


def test_the_luck_of_the_best_is_what_its_design_is_expected_to_lose():
    trials = make_trials(300, lambda points: 1.0 + (points[:, 2] - 0.5) ** 2, noise=0.1)
    fitted = fit(trials)
    found = find_selection(fitted, test=1.1, shift=0.02)
    best = find_best(fitted)
    assert found.number == 100 + int(np.argmin(trials.values)) == 100 + best
    assert found.value == trials.values.min()
    truth = 1.0 + (trials.points[best, 2] - 0.5) ** 2
    assert found.expected.low < truth < found.expected.high
    assert found.luck.estimate == pytest.approx(found.expected.estimate - found.value)
    assert found.luck.low > 0.1
    assert (found.test, found.shift, found.trials) == (1.1, 0.02, 300)
    assert found.trainings == ()


@pytest.mark.parametrize("shift", [0.0, -1.0])
def test_no_error_is_expected_below_zero_of_the_best_design(monkeypatch, shift):
    trials = make_trials(9, lambda points: 0.1 + 0.01 * points[:, 2] + shift, noise=0)
    draws = np.linspace(-0.1, 0.3, 401) + shift
    monkeypatch.setattr(selection, "_expect", lambda *_: draws)
    surface = SimpleNamespace(strata=SimpleNamespace(silent=False))
    found = find_selection(Fitted(surface=surface, trials=trials))
    least = 0.0 if shift == 0 else -1.09  # what is below 0 is no error, and is let be
    assert dataclasses.astuple(found.expected) == pytest.approx((0.1 + shift, least, 0.29 + shift))
    luck = [end - found.value for end in dataclasses.astuple(found.expected)]
    assert dataclasses.astuple(found.luck) == pytest.approx(luck)


def test_trials_that_are_nearly_all_the_same_tell_no_noise():
    trials = make_trials(60, get_value, noise=0.5)
    values = np.where(np.arange(60) % 5, 0.5, trials.values)
    fitted = fit(dataclasses.replace(trials, values=values))
    assert fitted.surface.strata.silent
    assert find_spread(fitted, []) is None
    assert find_selection(fitted) is None


def test_bands_are_quantiles_over_trials():
    curves = np.stack([np.linspace(0, 10, 11), np.linspace(10, 20, 11)], axis=1)
    band = make_band("relu", curves)
    assert (band.level, band.trials) == ("relu", 11)
    assert band.median.tolist() == [5, 15]
    assert (band.low.tolist(), band.high.tolist()) == ([1, 11], [9, 19])


def test_an_answer_brings_what_its_evidence_is_made_of():
    found = answer(make_trials(150, get_value), bound=0.005)
    evidence = find_evidence(found.fitted)
    assert evidence.importance.terms[0].axes == ("activation",)
    assert [one.axis.name for one in evidence.dependence] == [axis.name for axis in AXES]
    assert evidence.spread.kind == "surface"
    assert evidence.selection.trials == 150
    assert (evidence.front, evidence.curves) == (None, None)
    assert find_evidence(None).importance is None
