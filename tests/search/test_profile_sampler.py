"""The sampler for the question: where it looks, and what it takes from a study."""

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from archloss.search.asking import ask_many
from archloss.search.distributions import to_distributions
from archloss.search.profile_sampler import ProfileSampler
from archloss.search.samplers import make_sampler
from archloss.search.spec import read_spec
from archloss.spaces.errors import ArchlossError

PENALTY = 0.9


def make_spec(**values):
    given = {key.replace("__", "."): value for key, value in values.items()}
    return read_spec(None, [], {"name": "a", "dataset": "d", "search.sampler": "profile", **given})


def get_error(params):
    """The best mix rises with depth from 0.2 to 0.8; residual networks are better."""
    place = np.log(params["depth"]) / np.log(32)
    rate = np.log10(params["learning_rate"])
    error = 0.1 + 0.2 * (params["ce_weight"] - 0.2 - 0.6 * place) ** 2 + 0.05 * (rate + 2.5) ** 2
    return error + 0.05 * place + 0.05 * (not params["residual"])


def run(spec, packs, *, tell, size=32):
    study = optuna.create_study(sampler=make_sampler(spec, penalty=PENALTY))
    for _ in range(packs):
        for trial in ask_many(study, size, to_distributions(spec.dimensions())):
            tell(study, trial)
    return study


def tell_value(study, trial):
    study.tell(trial.number, get_error(trial.params))


def test_packs_are_spread_until_enough_is_known_and_then_look_where_it_is_good():
    study = run(make_spec(), 5, tell=tell_value)
    values = np.array([trial.value for trial in study.trials])
    assert np.median(values[-32:]) < np.median(values[:32]) - 0.005
    best = get_error({"depth": 1, "ce_weight": 0.2, "learning_rate": 10**-2.5, "residual": True})
    assert values[-64:].min() < best + 0.01


def test_every_depth_is_looked_at_and_near_its_own_best():
    study = run(make_spec(search__startup_trials=30), 6, tell=tell_value)
    late = [trial.params for trial in study.trials[-96:]]
    places = np.log([params["depth"] for params in late]) / np.log(32)
    assert np.histogram(places, bins=4, range=(0, 1))[0].min() >= 12
    off = np.array([params["ce_weight"] for params in late]) - 0.2 - 0.6 * places
    shallow, deep = (
        np.array([p["ce_weight"] for p in late])[which] for which in (places < 0.3, places > 0.7)
    )
    assert np.median(deep) > np.median(shallow)
    assert np.mean(np.abs(off) < 0.15) > 0.45  # of which a quarter by chance


def test_a_quarter_of_it_looks_for_the_best_network():
    late = [trial.params for trial in run(make_spec(), 6, tell=tell_value).trials[-96:]]
    near = [p["depth"] <= 2 and p["residual"] and abs(p["ce_weight"] - 0.2) < 0.15 for p in late]
    assert 12 <= sum(near) <= 48


def test_packs_of_one_look_everywhere_in_turn():
    late = [trial.params for trial in run(make_spec(), 100, tell=tell_value, size=1).trials[-80:]]
    places = np.log([params["depth"] for params in late]) / np.log(32)
    assert np.histogram(places, bins=4, range=(0, 1))[0].min() >= 6
    rates = np.log10([params["learning_rate"] for params in late])
    assert 0.5 < np.mean(np.abs(rates + 2.5) < 0.5) < 0.95  # of which a third by chance


def test_what_diverged_or_was_pruned_is_no_value_and_breaks_nothing():
    def tell(study, trial):
        if trial.params["learning_rate"] > 0.02:
            study.tell(trial.number, PENALTY)
        elif trial.number % 5 == 0:
            trial = optuna.trial.Trial(study, trial._trial_id)
            trial.report(get_error(trial.params) + 0.1, 2)
            study.tell(trial.number, state=TrialState.PRUNED)
        else:
            trial = optuna.trial.Trial(study, trial._trial_id)
            trial.report(get_error(trial.params) + 0.1, 2)
            trial.report(get_error(trial.params), 20)
            study.tell(trial.number, get_error(trial.params))

    study = run(make_spec(), 6, tell=tell)
    first, last = (
        np.mean([trial.params["learning_rate"] > 0.02 for trial in part])
        for part in (study.trials[:32], study.trials[-64:])
    )
    assert last < first or first == 0


def test_the_same_seed_asks_the_same():
    one, other = (run(make_spec(), 3, tell=tell_value) for _ in range(2))
    assert [trial.params for trial in one.trials] == [trial.params for trial in other.trials]


def test_constant_values_are_spread_further():
    study = run(make_spec(), 3, tell=lambda study, trial: study.tell(trial.number, 0.25))
    assert len({trial.params["ce_weight"] for trial in study.trials}) == 96


def test_it_asks_about_other_ranges_and_a_depth_from_0():
    spec = make_spec(space__depth__low=0, search__context="learning_rate", search__choice="depth")
    study = run(
        spec, 3, tell=lambda study, trial: study.tell(trial.number, trial.params["depth_plus_1"])
    )
    assert isinstance(study.sampler, ProfileSampler)
    assert min(trial.params["depth_plus_1"] for trial in study.trials) == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"space__depth": 4}, "search.context must name a range that is searched"),
        ({"search__choice": "residual"}, "search.choice must name a range that is searched"),
        ({"search__choice": "depth"}, "must be two different ranges, but both are 'depth'"),
    ],
)
def test_a_question_that_cannot_be_put_is_refused(values, said):
    with pytest.raises(ArchlossError, match=said):
        make_spec(**values)


def test_the_question_is_part_of_a_profile_studys_identity_alone():
    assert make_spec().digest() != make_spec(search__context="learning_rate").digest()
    one, other = (
        make_spec(search__sampler="tpe", search__context=context)
        for context in ("depth", "learning_rate")
    )
    assert one.digest() == other.digest()
