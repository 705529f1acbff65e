"""An experiment's cells in its report: the tables, and the tiles of the picture."""

from dataclasses import replace

import numpy as np
import pytest
from answers import make_findings, make_level

from archloss.search.analysis.axes import Numeric
from archloss.search.analysis.confirmation import confirm
from archloss.search.analysis.experiment import Experiment
from archloss.search.analysis.verdict import Change, Interval, Verdict
from archloss.search.dashboard.plots import plot_surface
from archloss.search.report.answer.caveats import list_caveats
from archloss.search.report.answer.cells import make_cell_tables
from archloss.search.report.answer.colours import choose_colours
from archloss.search.report.answer.evidence import make_tables
from archloss.search.report.answer.findings import format_place
from archloss.search.report.answer.markdown import make_markdown
from archloss.search.report.answer.page import make_page
from archloss.search.report.answer.surfaces import draw_surface

DEPTHS, MIXES, REPLICATES = (1.0, 6.0, 32.0), (0.0, 0.3, 0.62, 1.0), 6
GUESS = 0.9


def make_experiment():
    """Errors of 3% to 5%, but for deep plain networks, of which two diverge in one cell."""
    random = np.random.default_rng(2)
    values = 0.04 + 0.01 * random.random((2, len(DEPTHS), len(MIXES), REPLICATES))
    values[0, 2] += 0.6
    diverged = np.zeros(values.shape, dtype=bool)
    diverged[0, 2, 1, :2] = True
    return Experiment(
        context="depth",
        choice="ce_weight",
        by="residual",
        levels=(False, True),
        contexts=DEPTHS,
        choices=MIXES,
        bound=0.005,
        values=np.where(diverged, GUESS, values),
        diverged=diverged,
    )


@pytest.fixture(scope="module")
def experiment():
    return make_experiment()


@pytest.fixture(scope="module")
def findings(experiment):
    confirmed = confirm(experiment)
    known = make_findings([make_level(Verdict.NONE)])
    return replace(
        known,
        answer=confirmed.answer,
        trials=confirmed.trials,
        experiment=experiment,
        p_values=confirmed.p_values,
        source=replace(known.source, kind="experiment", name="digits-confirm"),
    )


def test_the_change_of_a_logarithmic_choice_is_how_many_times_it_is(findings):
    def get_change(one):
        return dict(make_tables(one)[0].facts)["Change of the best ce_weight, depth 1 to 32"]

    assert "×" not in get_change(findings)
    answer = findings.answer
    change = Change(
        difference=Interval(estimate=-0.09, low=-0.09, high=0.0),
        ratio=Interval(estimate=0.1, low=0.1, high=1.0),
    )
    levels = tuple(replace(level, change=change) for level in answer.levels)
    logarithmic = replace(
        findings,
        answer=replace(answer, levels=levels),
        experiment=replace(findings.experiment, logarithmic=True),
    )
    assert get_change(logarithmic) == "× 0.1 (× 0.1 to × 1)"


def test_close_choices_are_told_apart(findings):
    axis = Numeric(name="ce_weight", low=0.0, high=1.0, steps=(0.0, 0.005, 0.015, 0.3, 1.0))
    assert [format_place(axis, step) for step in axis.steps] == [
        *("0.000", "0.005", "0.015", "0.300", "1.000")
    ]


def test_tables_have_a_row_for_each_context_and_a_column_for_each_choice(experiment, findings):
    plain, residual = make_cell_tables(findings)
    assert (plain.name, residual.name) == ("plain networks", "residual networks")
    assert plain.choices == ("0.00", "0.30", "0.62", "1.00")
    assert [row.context for row in residual.rows] == ["1", "6", "32"]
    mean = f"{100 * experiment.means[0, 2, 1]:.2f}%"
    assert plain.rows[2].cells[1] == (mean, "2 diverged")
    assert plain.rows[2].cells[2][1] == ""


def test_cells_stand_in_the_page_and_in_markdown(experiment, findings):
    mean = f"{100 * experiment.means[0, 2, 1]:.2f}%"
    page = make_page(findings)
    assert f"<td>{mean}<small>2 diverged</small></td>" in page
    assert page.index("The cells under it") < page.index(mean) < page.index("Evidence")
    text = make_markdown(findings)
    assert f"| {mean} (2 diverged) |" in text
    assert "| depth | 0.00 | 0.30 | 0.62 | 1.00 |" in text
    assert "mean validation error of 6 trainings" in text
    other = make_findings([make_level(Verdict.NONE)])
    assert "## Cells" not in make_markdown(other)
    assert "trainings" not in make_page(other)


@pytest.mark.parametrize(
    ("verdict", "p_value", "said"),
    [
        (Verdict.UNDECIDED, 0.0004, "p < 0.001; how much worse others are than the best ce_weight"),
        (Verdict.NONE, 0.04, "p = 0.040; how much worse"),
        (Verdict.UNDECIDED, 0.031, "p = 0.031, the lowest that so few replicates can give; how"),
        (Verdict.INTERACTION, 0.0004, "p < 0.001"),
        (Verdict.UNDECIDED, 0.06, "p = 0.060"),
    ],
)
def test_a_test_that_finds_more_than_the_verdict_says_what_it_is_of(verdict, p_value, said):
    known = make_findings([make_level(verdict)])
    [table] = make_tables(replace(known, p_values=(p_value,), smallest_p=0.03125))
    name, text = table.facts[-1]
    assert name == "Test that differences between choices are the same at every depth"
    assert text.startswith(said)
    clause = "changes with depth, which says neither that the best one moves nor that it matters"
    assert text.endswith(clause) == (";" in said)
    assert (text == said) == (";" not in said)


def test_an_experiment_is_not_referred_to_another_one(findings):
    assert list_caveats(findings) == list(findings.answer.caveats)
    caveats = list_caveats(make_findings([make_level(Verdict.NONE)]))
    assert "archloss confirm" in caveats[-1]


def test_cells_are_tiles_with_nothing_between_them(experiment, findings):
    panel = draw_surface(findings, [0], width=3.0, height=3.4).axes[0]
    [tiles] = panel.collections
    assert tiles.get_array().tolist() == pytest.approx(experiment.means[0].T)
    low, high = panel.get_xlim()
    assert (low, high) == pytest.approx((-0.25, 1.25))
    labels = [line.get_label() for line in panel.lines]
    assert "trial" not in labels
    assert "diverged" in labels


def test_cells_are_tiles_in_the_dashboard(experiment, findings):
    plain, best, *_ = plot_surface(findings).data
    assert plain["type"] == "heatmap"
    assert plain["x"] == best["x"] == ["1", "6", "32"]
    assert plain["y"] == ["0.00", "0.30", "0.62", "1.00"]
    assert plain["text"][1][2] == pytest.approx(100 * experiment.means[0, 2, 1], rel=1e-2)


def test_the_scale_says_where_its_colours_end(findings):
    bar = draw_surface(findings, [0], width=3.0, height=3.4).axes[-1]
    ticks = [label.get_text() for label in bar.get_yticklabels()]
    colours = choose_colours(findings)
    assert colours.capped
    assert 0.04 < colours.bands[-1] < 0.6
    assert ticks[-1] == f"\N{GREATER-THAN OR EQUAL TO} {100 * colours.bands[-1]:.3g}%"
    assert not any("\N{GREATER-THAN OR EQUAL TO}" in tick for tick in ticks[:-1])
    flat = choose_colours(make_findings([make_level(Verdict.NONE, bests=(0.5,) * 6)]))
    assert not flat.capped
    assert "\N{GREATER-THAN OR EQUAL TO}" not in "".join(text for _, text in flat.ticks)
