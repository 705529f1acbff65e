"""The two sentences of an answer, in every case: what is said, and that it is never too much."""

import itertools
import math

import pytest
from answers import make_findings, make_level

from archloss.search.analysis.verdict import Verdict
from archloss.search.report.answer.sentences import describe_more, name_level, say_answer

YES, NO, OPEN = Verdict.INTERACTION, Verdict.NONE, Verdict.UNDECIDED
SMALL = (0.001, 0.0, 0.003)
WIDE = (0.005, 0.001, 0.012)
TAIL = "a cost matters from 0.5 accuracy points on"


def say(*levels, **options):
    return say_answer(make_findings(levels, **options))


def test_an_interaction_is_said_with_where_it_moves_and_what_it_costs():
    verdict, numbers = say(make_level(YES))
    assert verdict == "Yes: the best ce_weight depends on depth."
    assert numbers == (
        "It moves from 0.20 (0.10 to 0.30) at depth 1 to 0.80 (0.70 to 0.90) at depth 32, and one "
        "for every depth, 0.50, would cost 2.00 accuracy points (1.00 to 3.00); "
        f"{TAIL} (ranges are 95% intervals)."
    )


def test_an_interaction_that_goes_there_and_back_is_said_by_its_extremes():
    _, numbers = say(make_level(YES, bests=(0.2, 0.5, 0.9, 0.9, 0.5, 0.3)))
    assert numbers.startswith("It moves from 0.20 (0.10 to 0.30) at depth 1 to 0.90 (0.80 to 1.00)")
    assert "at depth 4" in numbers


def test_none_that_matters_is_said_with_the_cost_and_the_one_choice():
    verdict, numbers = say(make_level(NO, cost=SMALL, sure=False))
    assert (
        verdict == "No: if the best ce_weight depends on depth at all, it is too little to matter."
    )
    assert numbers == (
        "One ce_weight for every depth, 0.50, would cost 0.10 accuracy points (0.00 to 0.30); "
        f"{TAIL} (ranges are 95% intervals)."
    )


def test_none_that_matters_is_not_said_to_be_none_at_all_where_the_best_moves():
    verdict, _ = say(make_level(NO, cost=SMALL))
    assert verdict == "No: the best ce_weight seems to move with depth, but too little to matter."


def test_what_cannot_be_told_is_said_with_its_range_and_how_many_more_trials():
    verdict, numbers = say(make_level(OPEN, cost=WIDE, sure=False), more=312.0)
    assert verdict == (
        "It cannot be told yet whether the best ce_weight depends on depth enough to matter."
    )
    assert numbers == (
        "One ce_weight for every depth, 0.50, would cost 0.10 to 1.20 accuracy points; "
        f"{TAIL}, and about 320 more trials should tell (ranges are 95% intervals)."
    )


def test_what_lies_too_near_the_bound_promises_nothing():
    _, numbers = say(make_level(OPEN, cost=WIDE, sure=False), more=math.inf)
    assert "even many times as many trials may not tell" in numbers
    assert "inf" not in numbers


def test_what_moves_but_may_not_matter_is_said_to_do_so():
    verdict, numbers = say(make_level(OPEN, cost=WIDE), more=50.0)
    assert verdict == (
        "It cannot be told yet whether it matters, but the best ce_weight seems to move with depth."
    )
    assert numbers.startswith("It seems to move from 0.20 (0.10 to 0.30) at depth 1 to 0.80")


def test_what_was_left_out_is_said_with_the_verdict():
    verdict, numbers = say(make_level(NO, True, sure=False), by="residual", left_out=(False,))
    assert verdict == (
        "No: if the best ce_weight depends on depth at all, it is too little to matter in residual "
        "networks; in plain networks there are too few trials to tell."
    )
    assert numbers.startswith("In residual networks one ce_weight for every depth, 0.50,")


@pytest.mark.parametrize(
    ("plain", "residual", "said"),
    [
        (
            YES,
            YES,
            "Yes: the best ce_weight depends on depth, in plain networks and in residual networks "
            "alike.",
        ),
        (
            YES,
            NO,
            "Yes: the best ce_weight depends on depth in plain networks; in residual networks, if "
            "at all, too little to matter.",
        ),
        (
            OPEN,
            YES,
            "Yes: the best ce_weight depends on depth in residual networks; in plain networks that "
            "cannot be told yet.",
        ),
        (
            NO,
            NO,
            "No: if the best ce_weight depends on depth at all, it is too little to matter, in "
            "plain networks and in residual networks alike.",
        ),
        (
            OPEN,
            OPEN,
            "It cannot be told yet whether the best ce_weight depends on depth enough to matter, "
            "in plain networks and in residual networks alike.",
        ),
        (
            OPEN,
            NO,
            "It cannot be told yet whether the best ce_weight depends on depth enough to matter in "
            "plain networks; in residual networks, if at all, too little to matter.",
        ),
    ],
    ids=str,
)
def test_residual_and_plain_networks_are_told_apart(plain, residual, said):
    levels = [make_level(plain, False, sure=False), make_level(residual, True, sure=False)]
    verdict, numbers = say(*levels, by="residual", more=100.0)
    assert verdict == said
    assert "plain networks" in numbers
    assert "residual networks" in numbers


@pytest.mark.parametrize(
    ("plain", "residual", "said"),
    [
        (
            (YES, True),
            (NO, True),
            "Yes: the best ce_weight depends on depth in plain networks; in residual networks it "
            "seems to move, but too little to matter.",
        ),
        (
            (OPEN, False),
            (NO, True),
            "It cannot be told yet whether the best ce_weight depends on depth enough to matter in "
            "plain networks; in residual networks it seems to move, but too little to matter.",
        ),
        (
            (NO, False),
            (NO, True),
            "No: the best ce_weight seems to move with depth, but too little to matter in residual "
            "networks; in plain networks, if at all, too little to matter.",
        ),
        (
            (NO, True),
            (NO, True),
            "No: the best ce_weight seems to move with depth, but too little to matter, in plain "
            "networks and in residual networks alike.",
        ),
        (
            (OPEN, True),
            (YES, True),
            "Yes: the best ce_weight depends on depth in residual networks; in plain networks it "
            "seems to move, but whether that matters cannot be told yet.",
        ),
        (
            (OPEN, True),
            (OPEN, False),
            "It cannot be told yet whether the best ce_weight depends on depth enough to matter, "
            "in plain networks and in residual networks alike.",
        ),
    ],
    ids=str,
)
def test_no_sentence_denies_a_move_that_is_clear_of_nothing(plain, residual, said):
    levels = [
        make_level(verdict, level, cost=SMALL, sure=sure)
        for (verdict, sure), level in ((plain, False), (residual, True))
    ]
    assert say(*levels, by="residual", more=100.0)[0] == said


def test_what_decides_is_told_first():
    _, numbers = say(make_level(NO, False, cost=SMALL), make_level(YES, True), by="residual")
    assert numbers.startswith("In residual networks it moves from")
    assert "; in plain networks one ce_weight for every depth, 0.50, would cost 0.10" in numbers


def test_another_by_is_named_by_its_values():
    levels = [make_level(YES, "relu"), make_level(NO, "tanh", cost=SMALL)]
    verdict, _ = say(*levels, by="activation")
    assert verdict == (
        "Yes: the best ce_weight depends on depth with activation relu; with activation tanh it "
        "seems to move, but too little to matter."
    )


@pytest.mark.parametrize(
    ("levels", "names"),
    [
        ((0, 1), ["plain networks", "residual networks"]),
        ((0, 1, 2), ["residual 0", "residual 1", "residual 2"]),
        (("none", "add"), ["residual none", "residual add"]),
    ],
)
def test_residual_networks_are_called_so_where_there_are_no_others(levels, names):
    made = [make_level(NO, level, cost=SMALL) for level in levels]
    findings = make_findings(made, by="residual")
    assert [name_level(findings, level) for level in levels] == names
    left_out = make_findings(made, by="residual", left_out=(5,))
    assert name_level(left_out, levels[0]) == f"residual {levels[0]}"
    assert say_answer(left_out)[1].startswith(f"With residual {levels[0]}")


def test_of_many_levels_the_one_that_may_cost_most_is_told():
    levels = [
        make_level(NO, width, cost=(0.001, 0.0, high), sure=False)
        for width, high in ((8, 0.002), (16, 0.004), (32, 0.003))
    ]
    verdict, numbers = say(*levels, by="width")
    assert verdict.endswith("it is too little to matter, whatever the width.")
    assert numbers.startswith(
        "With width 16, where it may cost most, one ce_weight for every depth"
    )


def test_other_axes_and_objectives_have_their_own_names_and_units():
    _, numbers = say(
        make_level(NO, cost=SMALL, sure=False),
        context="width",
        choice="dropout",
        objective="validation_nll",
    )
    assert numbers == (
        "One dropout for every width, 0.50, would cost 0.001 in validation negative "
        "log-likelihood (0 to 0.003); a cost matters from 0.005 in validation negative "
        "log-likelihood on (ranges are 95% intervals)."
    )


def test_there_are_two_sentences_in_every_case():
    for first, second, sure in itertools.product(Verdict, Verdict, (True, False)):
        levels = [make_level(first, False, sure=sure), make_level(second, True, sure=sure)]
        for sentence in say(*levels, by="residual", more=40.0):
            assert sentence.endswith(".")
            assert ". " not in sentence
            assert sentence[0].isupper()
            assert "  " not in sentence
            assert "{" not in sentence


@pytest.mark.parametrize(("more", "said"), [(1.0, "10"), (101.0, "110"), (45_123.0, "46,000")])
def test_more_trials_are_rounded_up_to_what_is_known_of_them(more, said):
    assert describe_more(more) == f"about {said} more trials should tell"
