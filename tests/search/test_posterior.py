"""Whether the chain draws from the distribution that it says it draws from."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from archloss.search.analysis import posterior
from archloss.search.analysis.axes import Category, Numeric
from archloss.search.analysis.basis import Basis, Detail, Term
from archloss.search.analysis.posterior import Data, State, _Chain

AXES = (
    Numeric(name="depth", low=0, high=1),
    Numeric(name="ce_weight", low=0, high=1),
    Category(name="residual", levels=(False, True)),
)
TERMS = (
    Term(axes=(0,), degrees=(8,)),
    Term(axes=(1,), degrees=(12,)),
    Term(axes=(2,), degrees=(1,)),
    Term(axes=(0, 1), degrees=(7, 12)),
    Term(axes=(0, 2), degrees=(8, 1)),
    Term(axes=(0, 1, 2), degrees=(6, 10, 1)),
)
TRIALS, SWEEPS = 40, 5


class Standardised(np.ndarray):
    """A target that is taken as it is: what is drawn here has no other unit."""

    def mean(self, *_args, **_named):
        return 0.0

    def std(self, *_args, **_named):
        return 1.0


@pytest.fixture(scope="module")
def moved():
    """What is drawn from the prior, and after sweeps given data drawn from that: `{name: [2, R]}`.

    Both have the same distribution if the sweeps leave the posterior as it is, whatever it is
    (Geweke 2004, JASA 99(467)).
    """
    random = np.random.default_rng(1)
    whole = Detail(one=(1, 1, 1), question=(1, 1), pair=1, three=1, four=0)
    basis = Basis(AXES, TERMS, detail=whole)
    pairs = [draw_pair(basis, random) for _ in range(600)]
    return {name: np.array([[one[name] for one in pair] for pair in pairs]) for name in pairs[0][0]}


def draw_pair(basis, random):
    orders = np.array([len(term.axes) for term in basis.terms])
    shared = {1: 1.0} | {n: draw_half_cauchy(posterior._SCALES[n], random) for n in (2, 3)}
    scales = np.array([shared[order] for order in orders.tolist()])
    deviations = draw_half_cauchy(scales, random)
    smoothness = np.append(random.integers(0, len(posterior._SMOOTHNESS), 2), posterior._START)
    pooled = np.sqrt(random.gamma(0.5, 2))
    noise = np.sqrt(2 * pooled**2 / random.standard_gamma(2.0, 2))
    shrinkage = np.exp(-np.log1p(basis.powers) @ posterior._SMOOTHNESS[smoothness])
    spreads = deviations[basis.groups] * np.sqrt(shrinkage)
    weights = spreads * random.standard_normal(len(spreads))

    points = random.uniform(size=(TRIALS, 3))
    points[:, 2] = points[:, 2] > 0.5
    strata = np.arange(TRIALS) % 2
    features = basis.evaluate(points)
    covariates, slopes = random.standard_normal((TRIALS, 2)), random.standard_normal(2)
    target = features @ weights + covariates @ slopes
    target += noise[strata] * random.standard_normal(TRIALS)
    state = State(deviations=deviations.copy(), scales=scales, smoothness=smoothness, noise=pooled)
    data = Data(
        features=features,
        target=target.view(Standardised),
        strata=strata,
        covariates=covariates,
    )
    chain = _Chain(data, basis, random, state)
    chain._noise = noise.copy()
    for _ in range(SWEEPS):
        copies, _ = chain.sweep()
    before = describe(basis, deviations, scales, smoothness, weights, slopes, noise)
    state = chain.state
    _, *slopes = copies[-1, : chain.head]
    weights = copies[-1, chain.head :]
    after = describe(
        basis, state.deviations, state.scales, state.smoothness, weights, slopes, chain._noise
    )
    return before, after


def draw_half_cauchy(scale, random):
    return np.abs(scale * random.standard_cauchy(np.shape(scale)))


def describe(basis, deviations, scales, smoothness, weights, slopes, noise):
    squares = np.bincount(basis.groups, weights**2)
    return {
        **{f"deviation of {term.axes}": deviations[g] for g, term in enumerate(basis.terms)},
        **{f"weights of {term.axes}": squares[g] for g, term in enumerate(basis.terms)},
        "scale of two": scales[3],
        "scale of three": scales[5],
        "slope": slopes[0],
        "product of slopes": slopes[0] * slopes[1],
        "smoothness": smoothness[0],
        "other smoothness": smoothness[1],
        "noise": noise[0],
    }


def test_sweeps_leave_what_is_drawn_from_prior_and_data_as_it_is(moved):
    chances = {name: ks_2samp(pairs[:, 0], pairs[:, 1]).pvalue for name, pairs in moved.items()}
    assert min(chances.values()) > 1e-3, chances
