"""What is said while a study runs, on a terminal and in a pipe."""

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from archloss.search.cli import live
from archloss.search.cli.launching import was_interrupted
from archloss.search.cli.live import (
    BarObserver,
    Goal,
    LineObserver,
    describe_launch,
    describe_progress,
    estimate_seconds_left,
    make_observer,
)
from archloss.search.cli.sparkline import make_sparkline
from archloss.search.progress import Progress
from archloss.search.report.summary import summarise

GOAL = Goal(objective="validation_error", trials=200, minutes=None)


def make_progress(**rest):
    values = {
        "finished": 50,
        "budget": 200,
        "running": 8,
        "pruned": 12,
        "diverged": 3,
        "failed": 0,
        "best_value": 0.0361,
        "best_number": 41,
        "elapsed_s": 10.0,
        "started_from": 0,
    }
    return Progress(**(values | rest))


def make_spec(**rest):
    values = {"name": "mine", "dataset": "iris", "trials": 200, "minutes": None}
    return SimpleNamespace(**(values | rest), plan=None, space=SimpleNamespace(name="residual-mlp"))


def test_progress_reads_as_one_line():
    assert describe_progress(make_progress(), GOAL) == (
        "50/200 trials, best 3.61% (trial 41), 300 trials/min, 0:30 left, 12 pruned, 3 diverged"
    )


def test_progress_of_a_resumed_study_counts_its_own_trials_in_the_rate():
    text = describe_progress(make_progress(started_from=40, failed=2), GOAL)
    assert "60 trials/min, 2:30 left" in text
    assert text.endswith("2 failed")


def test_progress_before_the_first_trial_has_no_rate_and_no_best():
    nothing = make_progress(finished=0, best_value=None, best_number=None, pruned=0, diverged=0)
    assert describe_progress(nothing, GOAL) == "0/200 trials, 0 pruned, 0 diverged"


@pytest.mark.parametrize(
    ("goal", "seconds"),
    [
        ({"trials": 200, "minutes": None}, 30.0),
        ({"trials": None, "minutes": 1.0}, 50.0),
        ({"trials": 200, "minutes": 0.5}, 20.0),
        ({"trials": 200, "minutes": 0.1}, 0.0),
        ({"trials": None, "minutes": None}, None),
    ],
    ids=str,
)
def test_time_left_is_the_nearer_limit(goal, seconds):
    goal = Goal(objective="validation_error", **goal)
    assert estimate_seconds_left(make_progress(), goal) == seconds


def test_launch_says_its_limits_and_what_it_takes_up():
    assert describe_launch(make_spec(), 0) == (
        "study 'mine': residual-mlp on iris, up to 200 trials"
    )
    text = describe_launch(make_spec(trials=None, minutes=1.5), 4)
    assert text.endswith("no limit of trials, at most 1.5 minutes; 4 unfinished trials go first")


def test_lines_are_few_and_end_with_the_last_progress(monkeypatch):
    clock = iter([100.0, 100.0, 101.0, 104.9, 105.1, 105.1, 106.0])
    monkeypatch.setattr(live.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with LineObserver(Console(file=stream, width=40), GOAL) as observer:
        observer.on_start(make_spec(), 0)
        for finished in (10, 20, 30, 40):
            observer.on_progress(make_progress(finished=finished))
        observer.on_note("[a note] in brackets")
        observer.on_end(make_progress(finished=50))
    lines = stream.getvalue().splitlines()
    assert [re.match(r"\d+|starting|study|\[a note\]", line)[0] for line in lines] == [
        "starting",
        "study",
        "10",
        "40",
        "[a note]",
        "50",
    ]
    assert observer.last.finished == 50


@pytest.mark.parametrize(
    "goal",
    [
        GOAL,
        Goal(objective="validation_nll", trials=None, minutes=1.0),
        Goal(objective="validation_nll", trials=None, minutes=None),
    ],
    ids=str,
)
def test_bar_shows_progress_and_goes_away(goal):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    with BarObserver(console, goal) as observer:
        observer._live.refresh()
        observer.on_start(make_spec(), 0)
        observer.on_progress(make_progress())
        observer._live.refresh()
        observer.on_note("[a note] in brackets")
        observer.on_end(make_progress(finished=200))
    text = stream.getvalue()
    assert "starting" in text
    assert "50/200 trials" in text or goal.trials is None
    assert "[a note] in brackets" in text
    after = text.rpartition("trials/min")[2]
    assert "\x1b[2K" in after, "the bar was not erased"


def test_bar_is_for_terminals_alone():
    assert isinstance(make_observer(Console(file=io.StringIO()), GOAL), LineObserver)
    forced = Console(file=io.StringIO(), force_terminal=True)
    assert isinstance(make_observer(forced, GOAL), LineObserver)


@pytest.mark.parametrize(
    ("endings", "minutes", "interrupted"),
    [
        (["completed"] * 3, None, False),
        (["completed"] * 2 + ["pruned"], None, False),
        (["completed"] * 2 + ["waiting"], None, True),
        (["completed"] * 2 + ["failed"], None, True),
        (["completed"] * 2 + ["running"], None, False),
        (["completed"] * 2, 1.0, True),
        (["completed"] * 2, 0.1, False),
    ],
    ids=str,
)
def test_interrupted_is_before_the_budget_and_before_the_time_is_up(endings, minutes, interrupted):
    from archloss.search.report.points import Point
    from archloss.spaces.design import Design

    points = [
        Point(number=number, design=Design(), ending=ending, value=0.1)
        for number, ending in enumerate(endings)
    ]
    summary = summarise(points, study="s", dataset="d", objective="validation_error", budget=3)
    assert was_interrupted(summary, make_progress(elapsed_s=10.0), minutes) is interrupted
    assert not was_interrupted(summary, None, minutes)


def test_sparkline_thins_long_curves_and_keeps_their_ends():
    line = make_sparkline([float(value) for value in range(100)], width=10)
    assert len(line) == 10
    assert (line[0], line[-1]) == ("▁", "█")
    assert list(line) == sorted(line)
    assert make_sparkline([0.5, 0.5]) == "▁▁"
    assert make_sparkline([float("nan")]) == " "
