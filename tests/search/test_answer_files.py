"""The files of a report: JSON, Markdown, pictures, and a page that needs nothing else."""

import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from answers import CHOICES, CONTEXTS, make_findings, make_level
from matplotlib.image import imread
from rich.console import Console

from archloss.search.analysis.axes import Numeric
from archloss.search.analysis.verdict import Interval, Verdict
from archloss.search.dashboard.note import make_note
from archloss.search.report import REPORT_FILES
from archloss.search.report.answer import writing
from archloss.search.report.answer.captions import make_captions
from archloss.search.report.answer.caveats import list_caveats
from archloss.search.report.answer.document import make_document
from archloss.search.report.answer.evidence import make_tables
from archloss.search.report.answer.figures import PAPER, choose_look, draw_best
from archloss.search.report.answer.markdown import make_markdown
from archloss.search.report.answer.page import make_page
from archloss.search.report.answer.surfaces import draw_surface
from archloss.search.report.answer.terminal import print_answer
from archloss.search.report.answer.ticks import list_ticks
from archloss.search.report.answer.writing import ReportError, write_report

HOSTILE = '<b>"x"</b> & $a$|`'
VOID = {"meta", "link", "br", "img", "hr", "input"}
ALONE = {"path", "use", "rect", "image", "stop"}


@pytest.fixture(scope="module")
def findings():
    levels = [make_level(Verdict.INTERACTION, False), make_level(Verdict.NONE, True)]
    return make_findings(levels, by="residual", caveats=["Mind the <gap>."], notes=["It goes on."])


@pytest.fixture(scope="module")
def folder(findings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    (folder / "mine.txt").write_text("keep")
    write_report(findings, folder)
    return folder


class Page(HTMLParser):
    """Reads a page, and holds it to what a page must be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def get(self, tag, name):
        return [value for t, n, value in self.attributes if t == tag and n == name]


def test_all_files_are_written_and_nothing_else_is_touched(folder):
    answers = {name for name in REPORT_FILES if name.startswith(("report", "best", "surface"))}
    assert {path.name for path in folder.iterdir()} == {*answers, "mine.txt"}
    assert (folder / "mine.txt").read_text() == "keep"


def test_a_report_that_cannot_be_finished_leaves_the_old_one_whole(folder, findings, monkeypatch):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(writing, "make_files", lambda _: {"report.md": b"new", "report.json": None})
    with pytest.raises(TypeError):
        write_report(findings, folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_report_takes_away_what_only_the_one_before_had(findings, tmp_path, monkeypatch):
    whole = ("report.json", "report.md", "pareto.png", "pareto.svg")
    monkeypatch.setattr(writing, "make_files", lambda _: dict.fromkeys(whole, b"old"))
    write_report(findings, tmp_path)
    (tmp_path / "mine.png").write_text("keep")
    monkeypatch.setattr(writing, "make_files", lambda _: {"report.md": b"new", "report.json": None})
    with pytest.raises(TypeError):
        write_report(findings, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*whole, "mine.png"}
    few = ("report.json", "report.md")
    monkeypatch.setattr(writing, "make_files", lambda _: dict.fromkeys(few, b"new"))
    assert write_report(findings, tmp_path) == tuple(tmp_path / name for name in few)
    assert {path.name for path in tmp_path.iterdir()} == {*few, "mine.png"}


def test_a_folder_without_a_report_keeps_files_that_are_called_as_a_reports(
    findings, tmp_path, monkeypatch
):
    (tmp_path / "pareto.png").write_text("a person's own")
    monkeypatch.setattr(writing, "make_files", lambda _: {"report.json": b"new"})
    write_report(findings, tmp_path)
    assert (tmp_path / "pareto.png").read_text() == "a person's own"


def test_a_folder_that_cannot_be_made_is_refused(findings, folder, monkeypatch):
    monkeypatch.setattr(writing, "make_files", lambda _: {})
    with pytest.raises(ReportError, match="the folder of the report must be one that can"):
        write_report(findings, folder / "mine.txt")


def test_the_document_holds_every_number_in_the_objectives_units(folder, findings):
    document = json.loads((folder / "report.json").read_text())
    assert document == make_document(findings)
    assert document["format"] == 1
    assert document["verdict"] == "interaction"
    assert document["question"] == {
        "context": "depth",
        "choice": "ce_weight",
        "by": "residual",
        "objective": "validation error",
        "unit": "fraction",
        "bound": 0.005,
    }
    assert document["contexts"] == list(CONTEXTS)
    assert document["choices"] == pytest.approx(CHOICES)
    plain, residual = document["levels"]
    assert (plain["level"], plain["verdict"]) == (False, "interaction")
    assert (residual["name"], residual["verdict"]) == ("residual networks", "none")
    assert plain["cost"] == {"estimate": 0.02, "low": 0.01, "high": 0.03}
    assert len(plain["profile"]["mean"]) == len(CONTEXTS)
    # 0.1 * (0.5 - 0.2)^2 more than at the best choice, which is on the grid
    assert plain["bests"][0]["extra_with_common"] == pytest.approx(0.009)
    assert document["source"]["digest"] == "0123abcd"


@pytest.mark.parametrize("more", [None, 120.0, math.inf])
def test_the_document_is_json_whatever_more_trials_are(more):
    findings = make_findings([make_level(Verdict.UNDECIDED)], more=more)
    document = json.loads(json.dumps(make_document(findings), allow_nan=False))
    assert document["more_trials"] == (120.0 if more == 120.0 else None)


def test_tables_say_what_is_known_of_each_context(findings):
    plain, _ = make_tables(findings)
    assert plain.name == "plain networks"
    assert plain.columns == ("depth", "best ce_weight", "validation error", "with 0.50")
    row = plain.rows[0]
    assert (row.context, row.choice, row.choice_range) == ("1", "0.20", "0.10 to 0.30")
    assert (row.value, row.value_range, row.extra) == ("4.00%", "3.50 to 4.70", "+0.90")
    assert dict(plain.facts)["Change of the best ce_weight, depth 1 to 32"] == (
        "+0.60 (+0.50 to +0.70)"
    )


def test_the_change_of_a_choice_whose_ratios_count_is_a_factor():
    ratio = Interval(estimate=0.31623, low=0.1, high=1.0)
    level = make_level(Verdict.UNDECIDED)
    level = replace(level, change=replace(level.change, ratio=ratio))
    name = "Change of the best learning_rate, depth 1 to 32"
    plain = make_findings([level], choice="learning_rate")
    [table] = make_tables(plain)
    assert dict(table.facts)[name] == "+0.60 (+0.50 to +0.70)"
    context, choice = plain.trials.axes
    trials = replace(plain.trials, axes=(context, replace(choice, low=1e-4, log=True)))
    [table] = make_tables(replace(plain, trials=trials))
    assert dict(table.facts)[name] == "× 0.316 (× 0.1 to × 1)"
    [shown] = make_document(plain)["levels"]
    assert shown["ratio"] == {"estimate": 0.31623, "low": 0.1, "high": 1.0}


def test_a_level_may_be_known_at_fewer_contexts_than_others(tmp_path):
    few = make_level(Verdict.NONE, True, bests=(0.4, 0.6, 0.8), contexts=CONTEXTS[1:4])
    findings = make_findings([make_level(Verdict.INTERACTION, False), few], by="residual")
    plain, residual = make_tables(findings)
    assert "Change of the best ce_weight, depth 1 to 32" in dict(plain.facts)
    assert "Change of the best ce_weight, depth 2 to 8" in dict(residual.facts)
    assert [row.context for row in residual.rows] == ["2", "4", "8"]
    plain, residual = make_document(findings)["levels"]
    assert plain["contexts"] == list(CONTEXTS)
    assert residual["contexts"] == list(CONTEXTS[1:4])
    assert len(residual["profile"]["mean"]) == 3
    panel = draw_surface(findings, [1], width=4, height=3).axes[0]
    assert len(panel.lines[-1].get_xdata()) == 3
    assert (tmp_path / "report.html") in write_report(findings, tmp_path)


def test_markdown_has_the_answer_first_and_escapes_names(findings):
    text = make_markdown(findings)
    assert text.splitlines()[2].startswith("**Yes: the best ce\\_weight depends on depth in plain")
    assert "| 1 | 0.20 (0.10 to 0.30) | 4.00% (3.50 to 4.70) | +0.90 |" in text
    assert "- Mind the \\<gap\\>." in text
    for name in re.findall(r"\]\((.+?)\)", text):
        assert name in REPORT_FILES
    hostile = make_markdown(make_findings([make_level(Verdict.NONE)], name=HOSTILE))
    assert hostile.splitlines()[0] == r'# \<b\>"x"\</b\> & \$a\$\|\`'


def test_the_page_is_whole_and_needs_no_network(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert "@import" not in text
    for tag, name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "srcset", "action"):
            assert value.startswith(("#", "data:")), (tag, name, value)
    assert not re.search(r"url\((?!#)", text)


def test_the_page_can_be_read_by_all(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.get("html", "lang") == ["en"]
    assert "width=device-width, initial-scale=1" in page.get("meta", "content")
    assert "light dark" in page.get("meta", "content")
    assert page.tags.count("title") == 1
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert page.tags.count("svg") == 3
    assert page.get("svg", "role") == ["img"] * 3
    best, *surfaces = page.get("svg", "aria-label")
    assert best.startswith("Best ce_weight over depth. plain networks: 0.20 at 1, ")
    assert all(surface.startswith("Expected validation error over") for surface in surfaces)
    assert set(page.get("th", "scope")) == {"col", "row"}
    assert page.tags.count("th") == len(page.get("th", "scope"))


def test_the_page_has_each_id_once_and_links_to_ids_that_are_there(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = [value for tag, name, value in page.attributes if name == "xlink:href"]
    assert {value.removeprefix("#") for value in used} <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_the_page_says_the_answer_before_anything_else(folder, findings):
    words = " ".join(Page((folder / "report.html").read_text()).words)
    answer = words.index("Yes: the best ce_weight depends on depth in plain networks")
    assert answer < words.index("The surface under it") < words.index("Evidence")
    assert "It goes on." in words
    assert "Mind the <gap>." in words
    for said in ("archloss report digits", "0123abcd", "40 completed, 10 diverged, 10 pruned"):
        assert said in words


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("study", '"archloss confirm digits" puts the question to an experiment'),
        ("table", "An experiment that is designed for the question is the way to be sure."),
    ],
)
def test_caveats_are_the_same_wherever_the_answer_is_read(findings, kind, said):
    source = replace(findings.source, kind=kind)
    known = list_caveats(replace(findings, source=source))
    assert known[0] == "Mind the <gap>."
    assert len(known) == 2
    assert said in known[1]
    told = replace(findings, source=source)
    console = Console(file=io.StringIO(), width=500)
    print_answer(console, told, [])
    assert make_document(told)["caveats"] == known
    for text in (
        " ".join(Page(make_page(told)).words),
        make_markdown(told),
        make_note(told),
        console.file.getvalue(),
    ):
        assert said in text


def test_captions_say_which_axes_are_no_scales(findings):
    context, choice, by = findings.trials.axes
    uneven = replace(choice, steps=(0.0, 0.05, 0.2, 1.0))
    trials = replace(findings.trials, axes=(context, uneven, by))
    captions = make_captions(replace(findings, trials=trials))
    said = " Values of ce_weight that were tried are drawn equally far apart."
    assert captions.best.endswith(said)
    assert captions.surface.endswith(said)
    even = replace(choice, steps=(0.0, 0.5, 1.0))
    trials = replace(findings.trials, axes=(context, even, by))
    assert "equally" not in make_captions(replace(findings, trials=trials)).surface


def test_names_are_escaped_in_the_page():
    levels = [make_level(Verdict.INTERACTION, HOSTILE), make_level(Verdict.NONE, "</svg>")]
    text = make_page(make_findings(levels, by="<i>", name="<b>", choice=HOSTILE))
    page = Page(text)
    assert not {"b", "i"} & set(page.tags)
    assert "<b>: does the best" in "".join(page.words)


def test_figures_of_the_page_take_its_colours(folder):
    text = (folder / "report.html").read_text()
    best = text[text.index("<svg") : text.index("</svg>")]
    assert not re.search(r"#[0-9a-f]{6}", best)
    for variable in ("--ink", "--grid", "--hue-0", "--hue-1"):
        assert f"var({variable})" in best
        assert text.count(f"{variable}: #") == 2  # by day and by night
    assert "DejaVu" not in text


def test_a_best_choice_that_may_be_anything_is_drawn_hollow():
    level = make_level(Verdict.UNDECIDED)
    first = level.bests[0]
    anything = replace(first, choice=Interval(estimate=0.2, low=0.0, high=0.97))
    levels = [replace(level, bests=(anything, *level.bests[1:]))]
    [axis] = draw_best(make_findings(levels, more=10.0), width=4, height=3).axes
    hollow = [line for line in axis.lines if line.get_markerfacecolor() == PAPER]
    assert [len(line.get_xdata()) for line in hollow] == [1]
    assert hollow[0].get_ydata() == [0.2]


def test_many_levels_look_different_and_keep_their_room():
    levels = [make_level(Verdict.NONE, width) for width in (4, 8, 16, 32, 64, 128, 256)]
    few, many = make_findings(levels[:2], by="width"), make_findings(levels, by="width")
    looks = {
        (look.hue, look.line, look.marker) for look in (choose_look(many, i) for i in range(7))
    }
    assert len(looks) == 7
    heights = []
    for findings in (few, many):
        figure = draw_best(findings, width=4.2, height=3.4)
        figure.draw_without_rendering()
        heights.append(figure.axes[0].get_position().height * figure.get_size_inches()[1])
    assert heights[1] == pytest.approx(heights[0], abs=0.1)


def test_the_legend_of_the_surface_can_be_seen_on_paper(findings):
    [legend] = draw_surface(findings, [0], width=3.0, height=3.4).legends
    edges = {line.get_markeredgecolor() for line in legend.get_lines()}
    assert len(legend.get_lines()) == 4
    assert "white" not in edges


def test_the_legend_of_the_surface_has_no_marker_that_only_some_levels_have(findings):
    figure = draw_surface(findings, [0, 1], width=4.3, height=4.4)
    [legend] = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    best = legend.get_lines()[names.index("best ce_weight")]
    assert (best.get_linestyle(), best.get_marker()) == ("-", "None")


@pytest.mark.filterwarnings("error")
def test_panels_of_many_levels_stand_in_rows_of_two():
    # Some of these levels have no trials that diverged.
    names = [f"{width} and a long name that needs more than a line" for width in range(7)]
    levels = [make_level(Verdict.NONE, name) for name in names]
    figure = draw_surface(make_findings(levels, by="width"), range(7), width=4.3, height=4.4)
    figure.draw_without_rendering()
    *panels, unused, _ = figure.axes
    assert not unused.get_visible()
    lefts = [panel.get_position().x0 for panel in panels]
    tops = [panel.get_position().y1 for panel in panels]
    assert lefts[::2] == pytest.approx([lefts[0]] * 4)
    assert lefts[0] < lefts[1]
    assert tops[0] == pytest.approx(tops[1])
    assert tops[1] > tops[2] > tops[4]
    assert figure.get_size_inches().tolist() == pytest.approx([2 * 4.3 + 1.2, 4 * 4.4])
    [legend] = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert sorted(labels) == ["best ce_weight", "diverged", "pruned", "trial"]


@pytest.mark.parametrize("name", ["best-mix", "surface"])
def test_pictures_are_there_and_of_a_size_to_print(folder, name):
    pixels = imread(folder / f"{name}.png")
    assert min(pixels.shape[:2]) >= 800
    assert pixels[..., :3].std() > 0.05
    vector = (folder / f"{name}.svg").read_text()
    assert 10_000 < len(vector) < 1_000_000
    assert vector.rstrip().endswith("</svg>")


@pytest.mark.parametrize(("objective", "levels"), [("validation_nll", 1), ("validation_brier", 3)])
def test_other_objectives_and_numbers_of_levels_are_drawn(objective, levels, tmp_path):
    made = [make_level(Verdict.UNDECIDED, width) for width in (8, 16, 32)[:levels]]
    by = None if levels == 1 else "width"
    findings = make_findings(made, by=by, objective=objective, more=30.0)
    text = (write_report(findings, tmp_path)[-1]).read_text()
    assert Page(text).tags.count("svg") == 1 + levels
    assert "accuracy points" not in text
    assert "%" not in make_document(findings)["sentences"][1].replace("95%", "")


@pytest.mark.parametrize(
    ("axis", "ends", "ticks"),
    [
        ({"low": 1, "high": 64, "log": True, "whole": True}, (1, 64), [1, 2, 4, 8, 16, 32, 64]),
        ({"low": 0, "high": 4, "log": True, "whole": True}, (0, 4), [0, 1, 2, 4]),
        ({"low": 0.0, "high": 1.0}, (0.0004, 0.999), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ({"low": 1e-4, "high": 1e-1, "log": True}, (1e-4, 1e-1), [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]),
        ({"low": 3, "high": 4, "whole": True}, (3, 4), [3, 4]),
    ],
    ids=str,
)
def test_ticks_are_round(axis, ends, ticks):
    found = list_ticks(Numeric(name="axis", **axis), *ends)
    assert found[: len(ticks)] == pytest.approx(ticks)
    assert len(found) <= 8
