"""Tables of an experiment on a narrow terminal: nothing is cut, and too much is not shown."""

import io

import numpy as np
import pytest
from plans import make_plan, make_planned
from rich.console import Console

from archloss.search.analysis.experiment import Experiment
from archloss.search.cli.blocks import split_columns
from archloss.search.cli.experiments import print_cells, print_plan

WIDTH = 80


def shown(show, *arguments, width=WIDTH):
    console = Console(file=io.StringIO(), width=width)
    show(console, *arguments)
    return console.file.getvalue()


def test_columns_stand_beside_each_other_as_far_as_they_fit():
    columns = [["a", "12345"], ["b", "1\n12345"], ["c", "1"], ["wide", "x" * 30], ["d", "1"]]
    first = ["depth", "1"]
    blocks = list(split_columns(first, columns, width=22))
    assert blocks == [columns[:3], [columns[3]], [columns[4]]]
    assert list(split_columns(first, columns, width=80)) == [columns]
    # The first takes 5, and each other 2 between them and its own.
    assert len(next(split_columns(first, columns, width=21))) == 2


def make_experiment(choices, *, levels=(False, True), contexts=(1.0, 6.0)):
    values = np.random.default_rng(0).uniform(0.1, 0.2, (len(levels), len(contexts), choices, 6))
    return Experiment(
        context="depth",
        choice="ce_weight",
        by="residual",
        levels=levels,
        contexts=contexts,
        choices=tuple(np.linspace(0, 1, choices).tolist()),
        bound=0.005,
        values=values,
        diverged=values > 0.19,
    )


@pytest.mark.parametrize("choices", [3, 14, 24])
def test_cells_are_whole_on_a_narrow_terminal(choices):
    experiment = make_experiment(choices)
    text = shown(print_cells, experiment, "validation_error")
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" not in text
    words = text.split()
    for mean in experiment.means.ravel():
        assert f"{100 * mean:.2f}%" in words
    assert words.count("diverged") == (experiment.diverged.sum(axis=3) > 0).sum()
    assert "\n\n\n" not in text
    assert words.count("no:") == words.count("yes:") == 1


def test_cells_that_nobody_would_compare_are_in_the_page_alone():
    text = shown(print_cells, make_experiment(100), "validation_error")
    assert text.endswith(
        "\nThe 400 cells are too many to be shown here: report.html and report.md have them.\n"
    )
    assert len(text.splitlines()) == 3
    assert "too many" not in shown(print_cells, make_experiment(100), "validation_error", width=300)


def test_a_plan_is_whole_on_a_narrow_terminal_or_elsewhere():
    plan = make_plan(confirms="parent")
    spec = make_planned(plan=plan, space={"name": "residual-mlp", "width": 8})
    text = shown(print_plan, spec, width=24)
    rates = [line for line in text.splitlines() if line.strip().startswith(("1 ", "3 "))]
    assert len(rates) == 8  # two depths of two kinds of networks, in two blocks each
    many = replace_choices(plan, 90)
    text = shown(print_plan, make_planned(plan=many))
    assert "The 360 cells are too many to be shown here: once the plan is stored, " in text
    assert "`archloss confirm parent --show --json` has them." in text


def replace_choices(plan, count):
    choices = tuple(np.linspace(0, 1, count).round(4).tolist())
    first = plan["designs"][0]
    return plan | {
        "choices": choices,
        "designs": [
            first | {"residual": level, "depth": context, "ce_weight": choice}
            for level in plan["levels"]
            for context in plan["contexts"]
            for choice in choices
        ],
    }
