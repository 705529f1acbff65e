"""How much more it takes to tell: the guess, and what a search or an experiment says of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from answers import make_findings, make_level
from plans import make_plan, make_planned

from archloss.search.analysis.answer import guess_more
from archloss.search.analysis.experiment import Experiment
from archloss.search.analysis.verdict import Cost, Interval, Verdict
from archloss.search.confirm.findings import make_another
from archloss.search.report.answer.document import make_document
from archloss.search.report.answer.sentences import guess_replicates, say_answer

OPEN = make_level(Verdict.UNDECIDED, cost=(0.008, 0.0, 0.014), sure=False)
BOUND = 0.005


def make_cost(estimate, low, high):
    """A cost that draws lie about evenly, from `low` to `high`, which may be below 0."""
    draws = np.linspace(low, high, 1001)
    ends = np.quantile(draws, [0.025, 0.975])
    interval = Interval(estimate=estimate, low=max(ends[0], 0.0), high=ends[1])
    return Cost(interval=interval, safely_low=draws, safely_high=draws)


def guess(*costs, bound=BOUND, trials=100):
    return guess_more(costs, [OPEN] * len(costs), bound, trials)


def test_intervals_shrink_with_the_root_until_they_leave_the_bound_out():
    above, below = make_cost(0.008, 0.002, 0.014), make_cost(0.002, -0.004, 0.008)
    # Both reach 0.006 * 0.95 far, and have 0.003 to the bound.
    assert guess(above) == pytest.approx(100 * (1.9**2 - 1), abs=1)
    assert guess(below) == pytest.approx(100 * (1.9**2 - 1), abs=1)
    assert guess(above, make_cost(0.009, 0.003, 0.015)) == guess(above)  # the one that takes longer


def test_what_lies_below_zero_counts_though_no_interval_shows_it():
    shown, whole = make_cost(0.008, 0.0, 0.014), make_cost(0.008, -0.004, 0.014)
    assert shown.interval.low < 0.001
    assert whole.interval.low == 0
    assert guess(whole) > 2 * guess(shown)


@pytest.mark.parametrize(
    "cost",
    [
        make_cost(0.00501, 0.002, 0.008),  # too near the bound
        make_cost(0.005, 0.002, 0.008),
        make_cost(40.0, -470.0, 830.0),  # too scattered, on both sides
        make_cost(40.0, -1.0, 830.0),  # and on one
    ],
    ids=str,
)
def test_what_hardly_anything_would_tell_is_no_number(cost):
    assert guess(cost) == math.inf
    assert guess(make_cost(0.008, 0.002, 0.014), cost) == math.inf


def make_experiment(more, *, replicates=10, designs=(2, 3, 4)):
    values = np.zeros((*designs, replicates))
    found = make_findings([OPEN], more=more)
    return replace(
        found,
        source=replace(found.source, kind="experiment", another="archloss confirm digits"),
        experiment=Experiment(
            context="depth",
            choice="ce_weight",
            by=None,
            levels=(None,),
            contexts=(1.0,),
            choices=(0.0,),
            bound=BOUND,
            values=values,
            diverged=values > 0,
        ),
    )


@pytest.mark.parametrize(
    ("more", "replicates"),
    [(24.0, 11), (25.0, 12), (24 * 74.0, 84), (24 * 120.0, 130), (24 * 991.0, None)],
)
def test_after_an_experiment_a_new_one_is_what_would_tell(more, replicates):
    findings = make_experiment(more)
    _, numbers = say_answer(findings)
    document = make_document(findings)
    assert document["more_trials"] is None
    assert document["new_replicates"] == replicates
    if replicates is None:
        assert "even an experiment many times as large may not tell (ranges" in numbers
    else:
        assert numbers.endswith(
            f"and a new experiment with about {replicates} replicates should tell (archloss "
            f"confirm digits --name NAME --replicates {replicates}; ranges are 95% intervals)."
        )
    assert "more trials" not in numbers


def test_an_experiment_that_no_plan_may_have_is_not_asked_for():
    assert guess_replicates(make_experiment(2000.0, designs=(2, 50, 50))) == 11
    assert guess_replicates(make_experiment(50_000.0, designs=(2, 50, 50))) == 20
    assert guess_replicates(make_experiment(60_000.0, designs=(2, 50, 50))) == math.inf
    assert guess_replicates(make_experiment(math.inf)) == math.inf
    assert guess_replicates(make_experiment(None)) is None
    assert guess_replicates(make_findings([OPEN], more=20.0)) is None


def test_the_command_of_a_new_experiment_asks_the_same_question():
    usual = make_planned(plan=make_plan(asked=(6, 7)))
    assert make_another(usual) == "archloss confirm parent"
    plan = make_plan(asked=(2, 9), bound=0.02, confirms="my study")
    assert make_another(make_planned(plan=plan)) == (
        "archloss confirm 'my study' --bound 2 --contexts 2 --choices 9"
    )
    plan = make_plan(context="ce_weight", choice="depth", contexts=(0.0, 0.5, 1.0), choices=(1, 3))
    plan["designs"].sort(key=lambda design: [design[name] for name in ("residual", "ce_weight")])
    other = make_planned(objective="validation_nll", plan=plan)
    assert make_another(other) == (
        "archloss confirm parent --context ce_weight --choice depth --contexts 3 --choices 2"
    )
