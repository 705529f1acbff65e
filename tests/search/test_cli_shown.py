"""The summary as it is printed."""

import io

from rich.console import Console

from archloss.search.cli.shown import print_summary
from archloss.search.report.points import Point
from archloss.search.report.summary import summarise
from archloss.spaces.design import Design


def show(*endings, objective="validation_error", residual=(False,)):
    points = [
        Point(
            number=number,
            design=Design(depth=3, residual=kind, ce_weight=0.25),
            ending=ending,
            value=0.5 if ending == "diverged" else 0.125,
        )
        for kind in residual
        for number, ending in enumerate(endings)
    ]
    summary = summarise(points, study="mine", dataset="iris", objective=objective, budget=9)
    stream = io.StringIO()
    print_summary(Console(file=stream, width=100), summary)
    return stream.getvalue()


def find_row(text):
    return next(line.split() for line in text.splitlines() if line.split()[:1] == ["3-4"])


def test_cell_counts_what_completed_of_what_finished():
    assert find_row(show("completed", "completed"))[1:] == ["0.25", "12.50%", "2"]
    text = show("completed", "pruned", "diverged", "diverged", "failed", "running")
    assert find_row(text)[1:] == ["0.25", "12.50%", "1", "of", "4", "(2", "diverged)"]
    assert "4 of 9 trials (1 completed, 1 pruned, 2 diverged, 1 failed, 1 running)" in text


def test_both_kinds_of_network_have_their_columns():
    row = find_row(show("completed", residual=(False, True)))
    assert row == ["3-4", "0.25", "12.50%", "1", "0.25", "12.50%", "1"]


def test_another_objective_is_a_number():
    assert find_row(show("completed", objective="validation_nll"))[2] == "0.1250"


def test_summary_claims_nothing_without_a_completed_trial():
    for endings, said in (
        (("diverged", "diverged"), "all diverged"),
        (("pruned", "running"), "No trial was trained to the end yet."),
        ((), "No trial was trained to the end yet."),
    ):
        text = show(*endings)
        assert said in text
        assert "Best: trial" not in text
