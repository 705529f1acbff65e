"""The picture: what is drawn over what, and that every kind of study gets one."""

import random

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from archloss.search.report.landscape import choose_axes, draw_landscape
from archloss.search.report.points import Point
from archloss.search.report.scales import find_colour_range
from archloss.search.report.summary import summarise
from archloss.spaces.design import Design

OBJECTIVES = ("validation_error", "validation_nll", "validation_brier")


def make_points(count=30, *, endings=("completed", "pruned", "diverged"), **fixed):
    draw = random.Random(7)
    points = []
    for number in range(count):
        values = {
            "depth": draw.choice([0, 1, 2, 5, 17, 64]),
            "residual": draw.random() < 0.5,
            "ce_weight": draw.random(),
            "learning_rate": 10 ** draw.uniform(-4, -1),
        }
        ending = endings[number % len(endings)]
        value = 0.9 if ending == "diverged" else draw.uniform(0.03, 0.2)
        design = Design(**(values | fixed))
        points.append(Point(number=number, design=design, ending=ending, value=value))
    return points


def draw(points, path, objective="validation_error"):
    summary = summarise(points, study="mine", dataset="digits", objective=objective, budget=30)
    return draw_landscape(points, summary, path)


@pytest.fixture
def figures(monkeypatch):
    """The figures that were saved, to look into."""
    saved = []
    save = Figure.savefig

    def remember(figure, *arguments, **options):
        saved.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", remember)
    return saved


@pytest.mark.parametrize(
    "fixed",
    [
        {},
        {"residual": True},
        {"depth": 4},
        {"ce_weight": 0.5},
        {"depth": 0, "ce_weight": 1.0},
        {"depth": 4, "ce_weight": 1.0, "learning_rate": 1e-3},
    ],
    ids=str,
)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_landscape_is_drawn_whatever_is_fixed(tmp_path, fixed, objective):
    path = tmp_path / "study" / "landscape.png"
    assert draw(make_points(**fixed), path, objective)
    pixels = imread(path)
    assert pixels.shape[0] > 500
    assert np.ptp(pixels[..., :3]) > 0.5


@pytest.mark.parametrize(
    "endings", [("completed",), ("pruned",), ("diverged",), ("completed", "running")], ids=str
)
@pytest.mark.parametrize("count", [1, 2, 30])
def test_landscape_is_drawn_however_trials_ended(tmp_path, endings, count):
    assert draw(make_points(count, endings=endings), tmp_path / "landscape.png")


@pytest.mark.parametrize("endings", [("running",), ("failed", "waiting")], ids=str)
def test_landscape_is_not_drawn_without_a_finished_trial(tmp_path, endings):
    assert not draw(make_points(endings=endings), tmp_path / "landscape.png")
    assert not draw([], tmp_path / "landscape.png")
    assert list(tmp_path.iterdir()) == []


def test_landscape_has_a_panel_per_kind_of_network_and_says_how_many_trials(tmp_path, figures):
    points = make_points(30)
    residual = sum(point.design.residual for point in points)
    draw(points, tmp_path / "landscape.png")
    titles = [axis.get_title() for axis in figures[0].axes[:2]]
    assert titles == [f"plain, {30 - residual} trials", f"residual, {residual} trials"]
    assert figures[0].get_suptitle() == (
        "mine: digits\n30 trials (10 completed, 10 pruned, 10 diverged)"
    )


def test_landscape_shows_every_finished_trial_once_and_a_star(tmp_path, figures):
    draw(make_points(30), tmp_path / "landscape.png")
    drawn = [len(dots.get_offsets()) for axis in figures[0].axes[:2] for dots in axis.collections]
    assert sum(drawn) == 30 + 1


def test_landscape_of_one_kind_has_one_panel(tmp_path, figures):
    draw(make_points(residual=False), tmp_path / "landscape.png")
    assert figures[0].axes[0].get_title() == "plain, 30 trials"
    assert [axis.get_label() for axis in figures[0].axes[1:]] == ["<colorbar>"]


@pytest.mark.parametrize(
    ("fixed", "axes"),
    [
        ({}, ("depth", "ce_weight")),
        ({"ce_weight": 1.0}, ("depth", "value")),
        ({"depth": 2}, ("ce_weight", "value")),
        ({"depth": 2, "ce_weight": 1.0}, ("learning_rate", "value")),
    ],
    ids=str,
)
def test_axes_are_what_varies(fixed, axes):
    assert choose_axes(make_points(**fixed)) == axes


def test_colours_are_not_stretched_by_an_outlier():
    usual = [0.03 + 0.001 * k for k in range(20)]
    low, high = find_colour_range([*usual, 0.9])
    assert low == 0.03
    assert high < 0.1


@pytest.mark.parametrize("values", [[0.0], [0.25, 0.25, 0.25]], ids=str)
def test_colours_have_a_range_where_all_values_are_equal(values):
    low, high = find_colour_range(values)
    assert low == values[0] < high
