"""Pruners decide at rungs, for a pack at once, and remember by the trials alone."""

import numpy as np
import optuna
import pytest

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


def report_pack(pruner, values, epoch, *, first=0):
    """Report a pack's values at an epoch, all before any is asked about."""
    for number, value in enumerate(values, first):
        pruner.report(number, epoch=epoch, value=value)
    return [
        pruner.is_pruned(number, epoch=epoch, value=value)
        for number, value in enumerate(values, first)
    ]


def test_halving_keeps_the_best_third_of_a_pack_in_whatever_order_it_is_asked():
    pruner = HalvingPruner((1, 3, 9), factor=3)
    assert report_pack(pruner, [0.6, 0.5, 0.4, 0.3, 0.2, 0.1], 1) == [True] * 4 + [False] * 2


def test_halving_keeps_one_of_too_few_and_lets_ties_go_on_together():
    assert report_pack(HalvingPruner((1, 3, 9), factor=3), [0.2, 0.3], 1) == [False, True]
    pruned = report_pack(HalvingPruner((1, 3, 9), factor=3), [0.2, 0.3, 0.2, 0.3], 1)
    assert pruned == [False, True, False, True]


def test_halving_compares_with_earlier_packs_at_the_same_rung_alone():
    pruner = HalvingPruner((1, 3, 9), factor=2)
    assert report_pack(pruner, [0.1, 0.2, 0.3, 0.4], 1) == [False, False, True, True]
    assert report_pack(pruner, [0.01, 0.02], 3) == [False, True]
    later = report_pack(pruner, [0.25, 0.2], 1, first=4)
    assert later == [True, False]  # of 0.1, 0.2, 0.2, 0.25, 0.3, 0.4


def test_halving_never_prunes_at_the_last_rung_or_between_rungs():
    for epoch in (9, 2):
        pruner = HalvingPruner((1, 3, 9), factor=3)
        assert report_pack(pruner, [0.6, 0.5, 0.4, 0.3, 0.2, 0.1], epoch) == [False] * 6


def decide_by_definition(known, pack, epoch, *, pruner, rungs, factor):
    """Sort all that reported at the epoch in a trial's bracket, and look where it stands."""
    pruned = []
    for number, value in pack.items():
        bracket = pruner.find_bracket(number)
        rivals = [v for n, v in known[epoch].items() if pruner.find_bracket(n) == bracket]
        limit = sorted(rivals)[max(1, len(rivals) // factor) - 1]
        pruned.append(epoch in rungs[bracket:-1] and value > limit)
    return pruned


@pytest.mark.parametrize(("factor", "brackets"), [(2, 1), (3, 1), (4, 1), (3, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_halving_decides_as_if_it_sorted_everything_each_time(factor, brackets, seed):
    """With ties, with trials of other drivers in between, and after a restart."""
    rng = np.random.default_rng(seed)
    rungs = (1, 3, 9)
    pruner = HalvingPruner(rungs, factor=factor, brackets=brackets)
    known = {epoch: {} for epoch in rungs}
    for _ in range(60):
        epoch = int(rng.choice(rungs, p=[0.7, 0.2, 0.1]))
        fresh = [n for n in rng.permutation(2000).tolist() if n not in known[epoch]][:12]
        reached = {number: float(rng.integers(0, 40)) for number in fresh}
        known[epoch] |= reached
        for number, value in reached.items():
            pruner.report(number, epoch=epoch, value=value)
        pack = dict(list(reached.items())[:8])  # the last four are another driver's
        expected = decide_by_definition(
            known, pack, epoch, pruner=pruner, rungs=rungs, factor=factor
        )
        assert [pruner.is_pruned(n, epoch=epoch, value=v) for n, v in pack.items()] == expected
        if rng.random() < 0.1:  # launched again: what the study holds is read back, by number
            pruner = HalvingPruner(rungs, factor=factor, brackets=brackets)
            for rung, values in known.items():
                for number in sorted(values):
                    pruner.report(number, epoch=rung, value=values[number])


def test_hyperband_has_a_bracket_for_every_rung_and_the_last_prunes_nothing():
    pruner = make_pruner(make_spec("hyperband", recipe__epochs=9))
    brackets = [pruner.find_bracket(number) for number in range(170)]
    # Of 3 brackets: 3 * 3**2 / 3 start at the first rung, 3 * 3 / 2 at the second, 3 / 1 at none.
    assert [brackets.count(bracket) for bracket in range(3)] == [90, 50, 30]
    pruned = report_pack(pruner, [1 - number / 100 for number in range(17)], 1)
    assert pruned == [b == 0 and number < 6 for number, b in enumerate(brackets[:17])]
    pruned = report_pack(pruner, [1 - number / 100 for number in range(17)], 3)
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
