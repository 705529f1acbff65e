"""The evidence in a report's files: figures, tables, sentences, and the keys of its JSON."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations

import pytest
from answers import make_findings, make_level
from evidences import (
    EPOCHS,
    make_curves,
    make_dependence,
    make_evidence,
    make_importance,
    make_selection,
    make_share,
    make_spread,
)
from matplotlib.image import imread

from archloss.search.analysis.axes import Category, Numeric
from archloss.search.analysis.evidence import Evidence
from archloss.search.analysis.verdict import Verdict
from archloss.search.report import REPORT_FILES
from archloss.search.report.answer.captions import make_captions
from archloss.search.report.answer.dependences import draw_dependence
from archloss.search.report.answer.document import make_document
from archloss.search.report.answer.fronts import draw_front, list_front
from archloss.search.report.answer.importances import draw_importance, list_shares
from archloss.search.report.answer.learning import draw_curves
from archloss.search.report.answer.markdown import make_markdown
from archloss.search.report.answer.measure import Measure
from archloss.search.report.answer.page import make_page
from archloss.search.report.answer.trust import list_trust, say_selection, say_spread
from archloss.search.report.answer.writing import write_report

HOSTILE = '<b>"x"</b> & $a$|`'
FIGURES = ("importance", "partial-dependence", "pareto", "learning-curves")
SECTIONS = (
    "What the validation error depends on",
    "Along each axis",
    "The best of each size",
    "Learning curves",
    "Seeds and luck",
)


def make_whole(*, by="residual", levels=(False, True), **rest):
    findings = make_findings(
        [make_level(Verdict.INTERACTION, level) for level in levels], by=by, **rest
    )
    return replace(findings, evidence=make_evidence(findings))


@pytest.fixture(scope="module")
def findings():
    return make_whole()


@pytest.fixture(scope="module")
def folder(findings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(findings, folder)
    return folder


class Page(HTMLParser):
    """Reads a page's tags, words, ids and what is read to those who do not see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.ids, self.labels = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        known = dict(attrs)
        self.ids += [known["id"]] if "id" in known else []
        self.labels += [known["aria-label"]] if tag == "svg" else []

    def handle_data(self, data):
        self.words.append(data)


def test_all_figures_are_written(folder):
    assert {path.name for path in folder.iterdir()} == set(REPORT_FILES)


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_there_and_of_a_size_to_print(folder, name):
    pixels = imread(folder / f"{name}.png")
    assert pixels.shape[0] >= 450
    assert pixels.shape[1] >= 1000
    assert pixels[..., :3].std() > 0.05
    vector = (folder / f"{name}.svg").read_text()
    assert 10_000 < len(vector) < 1_000_000
    assert vector.rstrip().endswith("</svg>")


def test_what_is_not_known_is_left_out(tmp_path):
    findings = make_whole()
    table = replace(findings.evidence, front=None, curves=None, remarks=())
    paths = write_report(replace(findings, evidence=table), tmp_path)
    assert [path.name for path in paths] == [
        name for name in REPORT_FILES if not name.startswith(("pareto", "learning"))
    ]
    words = " ".join(Page(paths[-1].read_text()).words)
    assert SECTIONS[0] in words
    assert SECTIONS[2] not in words
    assert SECTIONS[3] not in words
    document = json.loads((tmp_path / "report.json").read_text())
    assert (document["front"], document["learning_curves"]) == (None, None)
    nothing = replace(findings, evidence=Evidence())
    assert "Seeds and luck" not in make_page(nothing) + make_markdown(nothing)
    assert make_document(nothing)["partial_dependence"] == []


def test_the_page_has_the_evidence_below_the_answer(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    words = " ".join(" ".join(page.words).split())
    places = [words.index(said) for said in ("Yes: the best", "Evidence", *SECTIONS)]
    assert places == sorted(places)
    assert len(page.ids) == len(set(page.ids))
    # the best choice, two surfaces, shares, three axes, two kinds of size, and curves
    assert page.tags.count("svg") == len(page.labels) == 3 + 1 + 3 + 2 + 1
    assert "Lowest validation error over parameters: 4.00% with 1,000, 2.00% with 8,000" in (
        page.labels
    )
    assert "Mean validation error over depth: 5.00% at 1, 20.00% at 32" in page.labels
    assert "Something <is> missing." in words


def test_figures_of_the_page_take_its_colours(folder):
    text = (folder / "report.html").read_text()
    for figure in re.findall(r"<svg.*?</svg>", text[text.index("Evidence") :], re.DOTALL):
        assert not re.search(r"#[0-9a-f]{6}", figure)


def test_names_are_escaped_in_the_evidence():
    findings = make_whole(by="<i>", levels=(HOSTILE, "</svg>"), context="<b>", choice=HOSTILE)
    page = Page(make_page(findings))
    assert not {"b", "i"} & set(page.tags)
    text = make_markdown(findings)
    assert "<b>" not in text.replace(r"\<b\>", "")
    row = next(line for line in text.splitlines() if " \N{MULTIPLICATION SIGN} " in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 4


def test_markdown_has_tables_and_pictures(findings):
    text = make_markdown(findings)
    assert [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")][
        2:
    ] == list(SECTIONS)
    assert "| other\\_1 | 50.0% | 45.0 to 60.0 |" in text
    assert "| 6 | 1,000 | 2,000 | 4.00% | 1 | 32 | no |" in text
    for name in re.findall(r"\]\((.+?)\)", text):
        assert name in REPORT_FILES


def test_the_document_has_every_number(folder, findings):
    document = json.loads((folder / "report.json").read_text())
    assert document["format"] == 1
    assert document["importance"]["scale"] == "logarithm"
    assert document["importance"]["terms"][0] == {
        "axes": ["other_1"],
        "share": {"estimate": 0.5, "low": 0.45, "high": 0.6},
    }
    assert len(document["importance"]["terms"]) == 13
    assert [one["axes"] for one in document["importance"]["orders"]] == [1, 2]
    assert document["importance"]["orders"][1]["share"]["estimate"] == pytest.approx(0.0001)
    assert [one["axes"] for one in document["importance"]["totals"]] == [["depth"], ["ce_weight"]]
    assert document["partial_dependence"][2] == {
        "axis": "residual",
        "values": [False, True],
        "mean": [0.05, 0.2],
        "low": [0.04, 0.19],
        "high": [0.07, 0.22],
    }
    assert document["front"]["features"] == 60
    assert [trial["trial"] for trial in document["front"]["trials"]] == [6, 4]
    assert document["front"]["trials"][1] == {
        "trial": 4,
        "depth": 8,
        "width": 32,
        "residual": True,
        "objective": 0.02,
        "parameters": 8000,
        "flops": 16000,
        "on_parameters": True,
        "on_flops": True,
    }
    curves = document["learning_curves"]
    assert [level["level"] for level in curves["levels"]] == [False, True]
    assert len(curves["levels"][0]["median"]) == len(curves["best"]["values"]) == EPOCHS
    assert document["seed_spread"]["deviation"]["estimate"] == 0.007
    assert document["seed_spread"]["better_half"]["estimate"] == 0.003
    assert document["seed_spread"]["parts"][2]["high"] == 32.0
    assert document["selection"]["test_above_validation"] == -0.0013
    assert "Something <is> missing." in document["caveats"]


def test_the_table_of_shares_has_the_largest_the_asked_and_the_rest(findings):
    rows = list_shares(findings, findings.evidence.importance)
    assert [row.name for row in rows[:2]] == ["other_1", "other_2"]
    assert rows[-2].name == "depth \N{MULTIPLICATION SIGN} ce_weight"
    assert rows[-2].share == "0.0%"
    assert rows[-1].name.endswith(" others together")
    assert sum(float(row.share.removesuffix("%")) for row in rows) == pytest.approx(100, abs=0.3)
    # 1/256 + 1/512 + ... + 1/4096, from half of that to half as much again
    assert (rows[-1].name, rows[-1].share) == ("5 others together", "0.8%")
    assert rows[-1].share_range == "0.4 to 1.1"


def test_shares_of_one_axis_two_and_more_are_said(findings):
    said = make_captions(findings).importance
    assert "Axes alone make 100% (52 to 147), two together 0% (0 to 0). " in said


def test_shares_of_what_is_hardly_known_are_called_a_guess(findings):
    assert "a guess" not in make_captions(findings).importance
    little = replace(
        findings.evidence,
        importance=make_importance(findings.trials.axes[:2], explained=0.1, known=0.4),
    )
    said = make_captions(replace(findings, evidence=little)).importance
    assert "explains 10% (5 to 100)" in said
    assert "its shares are a guess" in said


def test_spread_says_which_of_the_two_it_is(findings):
    said = say_spread(findings, make_spread(True))
    assert said == (
        "Training the same design again with another seed moves its validation error by about "
        "0.70 points (0.60 to 0.80): the standard deviation between the replicates of 150 designs, "
        "0.30 points in the better half of them. It is least in residual networks, depth 1 to 2, "
        "0.40 points, and most in residual networks, depth 16 to 32, 1.10 points."
    )
    assert say_spread(findings, make_spread(True, kind="surface")).startswith(
        "Trials lie about 0.70 points (0.60 to 0.80) off the surface: a guess from the model"
    )


def test_luck_is_said_where_there_is_some(findings):
    assert say_selection(findings, make_selection()) == (
        "The best trial, 4, reached 2.00% in validation and 3.00% on the test split, where a "
        "typical trial is 0.13 points lower than in validation. The surface expects 2.60% (2.40 to "
        "2.90) of its design: about 0.60 points (0.40 to 0.90) are the luck of being the best of "
        "150 trials."
    )
    alone = make_selection((0.001, -0.002, 0.003), number=None, test=None, shift=None)
    assert say_selection(findings, alone) == (
        "The best trial reached 2.00%. The surface expects 2.10% (1.80 to 2.30) of its design: no "
        "luck with its seed shows, though it is the best of 150 trials."
    )


def test_a_best_design_of_several_trainings_is_their_mean(findings):
    selection = make_selection(test=None, shift=None, trainings=(0.015, 0.025))
    told = say_selection(findings, selection)
    assert told.startswith(
        "The best design reached 2.00%, the mean of its 2 trainings. The surface"
    )
    assert told.endswith("the best of 150 designs.")
    told = replace(findings, evidence=make_evidence(findings, selection=selection))
    assert make_document(told)["selection"]["trainings"] == [0.015, 0.025]


def test_other_objectives_are_said_without_points():
    findings = make_whole(objective="validation_nll")
    told = " ".join(list_trust(findings))
    assert "points" not in told
    assert "by about 0.007 (0.006 to 0.008)" in told
    assert "2.00%" not in make_page(findings)


def test_the_front_is_drawn_as_steps_over_dots(findings):
    front = findings.evidence.front
    figure = draw_front(findings, front, ["parameters", "flops"], width=8, height=4)
    for panel, cost in zip(figure.axes, ("parameters", "flops"), strict=True):
        dots, steps, best = panel.lines
        assert len(dots.get_xdata()) == 3
        assert steps.get_drawstyle() == "steps-post"
        assert best.get_ydata().tolist() == [0.04, 0.02]
        assert best.get_xdata().tolist() == [getattr(t.size, cost) for t in front.list_best()]
    assert [row.number for row in list_front(findings, front)] == ["6", "4"]


def test_each_axis_has_a_panel_with_its_own_ticks(findings):
    steps = Numeric(name="width", low=16, high=64, whole=True, steps=(16.0, 24.0, 64.0))
    words = Category(name="activation", levels=("relu", "gelu"))
    shown = [*findings.evidence.dependence, make_dependence(steps), make_dependence(words)]
    figure = draw_dependence(findings, shown, width=2.3, height=1.64)
    panels = {panel.get_xlabel(): panel for panel in figure.axes if panel.get_visible()}
    ticks = {
        name: [label.get_text() for label in panel.get_xticklabels()]
        for name, panel in panels.items()
    }
    assert ticks["width"] == ["16", "24", "64"]
    assert ticks["activation"] == ["relu", "gelu"]
    assert ticks["residual"] == ["no", "yes"]
    assert ticks["depth"] == ["1", "2", "4", "8", "16", "32"]


LONG = "a_very_long_name_that_a_column_has_" * 3


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize(("label", "factor"), [("validation_error", 1.0), (LONG, 1.3e4)])
def test_nothing_of_the_panels_is_cut_or_hidden(findings, count, label, factor):
    rate = Numeric(name=LONG, low=1e-4, high=1e-1, log=True)
    words = Category(name="activation", levels=("relu, as ever", "gelu", LONG))
    axes = [rate, words, *findings.trials.axes][:count]
    shown = [
        replace(one, mean=factor * one.mean, low=factor * one.low, high=factor * one.high)
        for one in map(make_dependence, axes)
    ]
    findings = replace(
        findings,
        measure=Measure(label=label, unit="number"),
        evidence=replace(findings.evidence, dependence=tuple(shown)),
    )
    figure = draw_dependence(findings, shown, width=2.3, height=1.64)
    [name] = figure.texts
    assert name.get_text().replace("\n", "").startswith(f"mean {label}"[:20])
    figure.draw_without_rendering()
    whole, beside = figure.bbox, name.get_window_extent()
    panels = [panel for panel in figure.axes if panel.get_visible()]
    boxes = [panel.get_tightbbox() for panel in panels]
    for box in [beside, *boxes]:
        assert whole.x0 <= box.x0
        assert whole.y0 <= box.y0
        assert box.x1 <= whole.x1
        assert box.y1 <= whole.y1
    for one, other in combinations([beside, *boxes], 2):
        assert not one.overlaps(other)
    for panel in panels:
        size = panel.get_window_extent()
        assert size.width / figure.dpi == pytest.approx(2.3)
        assert size.height / figure.dpi == pytest.approx(1.64)
        assert panel.get_ylabel() == ""


def test_long_terms_are_wrapped_so_that_their_bars_have_room(findings):
    long = make_share("depth", "ce_weight", "learning_rate", "residual", share=0.6)
    importance = make_importance(findings.trials.axes[:2])
    importance = replace(importance, terms=(long, *importance.terms[1:]))
    figure = draw_importance(findings, importance, width=4.2)
    figure.draw_without_rendering()
    [axis] = figure.axes
    lines = [label.get_text() for label in axis.get_yticklabels()]
    times = "\N{MULTIPLICATION SIGN}"
    assert lines[-3:] == [
        f"depth {times} ce_weight {times}",
        f"learning_rate {times}",
        "residual",
    ]
    assert axis.get_position().width > 0.5
    low, high = axis.get_xlim()
    assert 2 <= sum(low <= tick <= high for tick in axis.get_xticks()) <= 3
    assert len({bar.get_y() for bar in axis.patches}) == len(axis.patches)


def test_curves_and_shares_are_drawn_for_what_there_is(findings):
    curves = make_curves([False, True])
    [axis] = draw_curves(findings, curves, width=5, height=4).axes
    labels = [line.get_label() for line in axis.lines]
    assert labels == ["plain networks", "residual networks", "best trial (4)"]
    unknown = replace(curves, best=curves.best[:0])
    [axis] = draw_curves(findings, unknown, width=5, height=4).axes
    assert len(axis.lines) == 2
    [axis] = draw_importance(findings, findings.evidence.importance, width=6).axes
    shown = list_shares(findings, findings.evidence.importance)[:-1]
    assert [bar.get_width() for bar in axis.patches[::-1]][:2] == [0.5, 0.25]
    assert len(axis.patches) == len(shown)
