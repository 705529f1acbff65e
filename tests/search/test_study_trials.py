"""A study's trials as the analysis takes them."""

from types import SimpleNamespace

import numpy as np
import pytest

from archloss.search.analysis.answer import answer
from archloss.search.analysis.selection import find_selection
from archloss.search.analysis.study import Question, make_trials
from archloss.search.analysis.trials import Kind
from archloss.search.asking import scale_all
from archloss.search.distributions import to_design, to_distributions
from archloss.search.spec import Spec
from archloss.spaces.catalogue import SPACES
from archloss.spaces.outcome import Outcome

MOMENTUM = {"low": 0.8, "high": 0.99, "when": {"parent": "optimizer", "values": ["sgd"]}}
DECAY = {
    "low": 1e-5,
    "high": 0.1,
    "log": True,
    "when": {"parent": "optimizer", "values": ["adamw"]},
}


def make_study(space, get_error, count=200):
    """Return a spec and records of trials at random; `get_error` is of designs."""
    spec = Spec.model_validate(
        {"name": "made", "dataset": "iris", "space": {"optimizer": ["adamw", "sgd"]} | space}
    )
    dimensions, random = spec.dimensions(), np.random.default_rng(0)
    distributions = to_distributions(dimensions)
    records = []
    for number in range(count):
        params = scale_all(distributions, random.random(len(distributions)).tolist())
        design = to_design(SPACES[spec.space.name], dimensions, params)
        records.append(
            SimpleNamespace(
                number=number,
                params=params,
                value=get_error(design) + 0.005 * random.standard_normal(),
                state="COMPLETE",
                outcome=None,
                intermediate={},
            )
        )
    return spec, records


@pytest.mark.parametrize(
    "space",
    [
        {"momentum": MOMENTUM | {"otherwise": 0.0}},
        {"weight_decay": DECAY | {"otherwise": 0.0}},
        {
            "activation": {
                "choices": ["relu", "gelu"],
                "when": MOMENTUM["when"],
                "otherwise": "tanh",
            }
        },
    ],
)
def test_what_a_dimension_is_otherwise_may_lie_outside_of_its_range(space):
    spec, records = make_study(space, lambda design: 0.1 + 0.05 * (design.ce_weight - 0.5) ** 2)
    trials = make_trials(spec, records, Question())
    [name] = space
    places = trials.points[:, trials.names.index(name)]
    assert (places.min(), places.max()) == pytest.approx((0, 1), abs=0.02)
    for level in answer(trials, bound=0.005).levels:
        assert 0 <= level.cost.low <= level.cost.high < 0.02


def test_what_does_not_matter_is_not_tuned_to_what_it_would_be_where_it_does():
    def get_error(design):
        error = 0.1 + 0.05 * (design.ce_weight - 0.5) ** 2
        if design.optimizer == "adamw":  # which has no momentum, and is a little better
            return error - 0.01
        return error + 4 * (design.momentum - 0.8) ** 2

    spec, records = make_study({"momentum": MOMENTUM | {"otherwise": 0.9}}, get_error, 400)
    found = answer(make_trials(spec, records, Question()), bound=0.005)
    for level in found.levels:
        for best in level.bests:
            assert best.objective.low < 0.09 < best.objective.high
            assert best.objective.estimate == pytest.approx(0.09, abs=0.006)


def test_trials_of_which_some_replicates_diverged_count_with_their_mean():
    spec, records = make_study({}, lambda _: 0.1, count=6)
    for record, value in zip(records, (0.9, 0.26, 0.9, 0.5, 0.1, 0.1), strict=True):
        record.value = value
        record.outcome = Outcome.DIVERGED if value > 0.2 else None
    for replicates, diverged in ((1, 4), (5, 2)):
        recipe = spec.recipe.model_copy(update={"replicates": replicates})
        trials = make_trials(spec.model_copy(update={"recipe": recipe}), records, Question())
        assert trials.count(Kind.DIVERGED) == diverged
        assert trials.penalty == 0.9
    assert trials.values[[1, 3]].tolist() == [0.26, 0.5]
    assert np.isnan(trials.values[[0, 2]]).all()


def test_a_design_that_a_study_asked_for_again_counts_once_and_that_is_said():
    spec, records = make_study({}, lambda design: 0.1 + 0.1 * (design.ce_weight - 0.4) ** 2)
    again = [
        SimpleNamespace(**{**vars(one), "number": 200 + place})
        for place, one in enumerate(records[:50])
    ]
    trials = make_trials(spec, [*records, *again], Question())
    assert trials.numbers.tolist() == list(range(200))
    assert trials.values.tolist() == pytest.approx([one.value for one in records])
    said = (
        "50 trials were of a design that had been trained before, with the same seeds: that tells"
    )
    found = answer(trials, bound=0.02)
    assert [said in caveat for caveat in found.caveats].count(True) == 1
    assert find_selection(found.fitted).trainings == ()
    assert "same seeds" not in " ".join(
        answer(make_trials(spec, records, Question()), bound=0.02).caveats
    )
