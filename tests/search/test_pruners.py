"""Pruners decide at rungs, for a pack at once, and remember by the trials alone."""

import optuna
import pytest
from optuna.trial import TrialState

from archloss.search.pruners import HalvingPruner, make_pruner, rung_epochs
from archloss.search.spec import read_spec


def make_spec(pruner, **recipe_and_search):
    values = {key.replace("__", "."): value for key, value in recipe_and_search.items()}
    return read_spec(None, [], {"name": "a", "dataset": "d", "search.pruner": pruner, **values})


def make_study(pruner, count):
    study = optuna.create_study(pruner=pruner)
    return study, [study.ask() for _ in range(count)]


def report_all(trials, values, epoch):
    for trial, value in zip(trials, values, strict=True):
        trial.report(value, epoch)
    return [trial.should_prune() for trial in trials]


@pytest.mark.parametrize(
    ("epochs", "factor", "first", "rungs"),
    [
        (9, 3, None, (1, 3, 9)),
        (20, 3, None, (2, 7, 20)),
        (100, 2, None, (12, 25, 50, 100)),
        (100, 3, 30, (33, 100)),
        (81, 3, 1, (1, 3, 9, 27, 81)),
        (2, 3, None, (1, 2)),
    ],
)
def test_rung_epochs_are_a_factor_apart_and_end_with_the_last(epochs, factor, first, rungs):
    spec = make_spec(
        "successive-halving",
        recipe__epochs=epochs,
        search__reduction_factor=factor,
        search__min_epochs=first,
    )
    assert rung_epochs(spec) == rungs


def test_rung_epochs_without_a_pruner_are_the_last_alone():
    assert rung_epochs(make_spec("none")) == (20,)


def test_halving_keeps_the_best_third_of_a_pack_in_whatever_order_it_is_asked():
    _, trials = make_study(HalvingPruner((1, 3, 9), factor=3), 6)
    assert report_all(trials, [0.6, 0.5, 0.4, 0.3, 0.2, 0.1], 1) == [True] * 4 + [False] * 2


def test_halving_keeps_one_of_too_few_and_lets_ties_go_on_together():
    _, trials = make_study(HalvingPruner((1, 3, 9), factor=3), 2)
    assert report_all(trials, [0.2, 0.3], 1) == [False, True]
    _, trials = make_study(HalvingPruner((1, 3, 9), factor=3), 4)
    assert report_all(trials, [0.2, 0.3, 0.2, 0.3], 1) == [False, True, False, True]


def test_halving_compares_with_earlier_packs_at_the_same_rung_alone():
    study, trials = make_study(HalvingPruner((1, 3, 9), factor=2), 4)
    assert report_all(trials, [0.1, 0.2, 0.3, 0.4], 1) == [False, False, True, True]
    assert report_all(trials[:2], [0.01, 0.02], 3) == [False, True]
    later = [study.ask() for _ in range(2)]
    assert report_all(later, [0.25, 0.2], 1) == [True, False]  # of 0.1, 0.2, 0.2, 0.25, 0.3, 0.4


def test_halving_decides_the_same_for_trials_that_were_read_back():
    values = [0.1, 0.2, 0.3, 0.4]
    study = optuna.create_study(pruner=HalvingPruner((1, 3, 9), factor=2))
    for value in values:
        study.add_trial(
            optuna.trial.create_trial(state=TrialState.PRUNED, intermediate_values={1: value})
        )
    trials = [study.ask() for _ in range(2)]
    assert report_all(trials, [0.15, 0.35], 1) == [False, True]


def test_halving_never_prunes_at_the_last_rung_or_between_rungs():
    _, trials = make_study(HalvingPruner((1, 3, 9), factor=3), 6)
    assert report_all(trials, [0.6, 0.5, 0.4, 0.3, 0.2, 0.1], 9) == [False] * 6
    _, trials = make_study(HalvingPruner((1, 3, 9), factor=3), 6)
    assert report_all(trials, [0.6, 0.5, 0.4, 0.3, 0.2, 0.1], 2) == [False] * 6


def test_hyperband_has_a_bracket_for_every_rung_and_the_last_prunes_nothing():
    pruner = make_pruner(make_spec("hyperband", recipe__epochs=9))
    brackets = [pruner.find_bracket(number) for number in range(170)]
    # Of 3 brackets: 3 * 3**2 / 3 start at the first rung, 3 * 3 / 2 at the second, 3 / 1 at none.
    assert [brackets.count(bracket) for bracket in range(3)] == [90, 50, 30]
    _, trials = make_study(pruner, 17)
    pruned = report_all(trials, [1 - number / 100 for number in range(17)], 1)
    assert pruned == [b == 0 and number < 6 for number, b in enumerate(brackets[:17])]
    pruned = report_all(trials, [1 - number / 100 for number in range(17)], 3)
    assert {brackets[number] for number in range(17) if pruned[number]} == {0, 1}


def test_median_prunes_what_is_worse_than_the_completed_trials_at_the_rung():
    study = optuna.create_study(pruner=make_pruner(make_spec("median", search__startup_trials=3)))
    for value in (0.1, 0.2, 0.3):
        trial = study.ask()
        trial.report(value, 2)
        assert not trial.should_prune()
        study.tell(trial, value)
    good, bad = study.ask(), study.ask()
    assert report_all([good, bad], [0.19, 0.21], 2) == [False, True]


def test_make_pruner_of_none_prunes_nothing():
    _, trials = make_study(make_pruner(make_spec("none")), 2)
    assert report_all(trials, [1.0, 0.0], 1) == [False, False]
