"""The answer on a study's page in the dashboard: what is written, when, and how much of it."""

import json
from dataclasses import replace

import numpy as np
import optuna
import optuna_dashboard
import pytest
from answers import make_findings, make_level

from archloss.search import launch as launching
from archloss.search.analysis.verdict import Verdict
from archloss.search.dashboard import publishing
from archloss.search.dashboard.note import make_note
from archloss.search.dashboard.plots import plot_best, plot_nothing, plot_surface
from archloss.search.dashboard.publishing import PLOTS, PUBLISHED, compose, publish
from archloss.search.report.answer.colours import choose_colours
from archloss.search.report.answer.figures import DODGE
from archloss.search.spec import Spec
from archloss.storage.database import Database
from archloss.workers.inline import InlineExecutor

MOST_BYTES = 13_000
"""Of a study, all told: each poll of each page reads those of all studies."""


@pytest.fixture
def answered(bench):
    """A bench with a study of enough trials for an answer."""
    spec = bench.make_spec(trials=240, pack=40, recipe={"epochs": 1})
    bench.run(spec, executor=InlineExecutor())
    return bench


def read_note(database, name="study"):
    study = optuna.load_study(study_name=name, storage=database.optuna_storage())
    return optuna_dashboard.get_note(study)


def read_plots(attributes):
    """Return the plots as the dashboard's page gets them."""
    from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

    return {name: json.loads(text) for name, text in get_plotly_graph_objects(attributes).items()}


def make_two_levels():
    levels = [
        make_level(Verdict.INTERACTION, False),
        make_level(Verdict.NONE, True, cost=(0.0, 0.0, 0.001)),
    ]
    return make_findings(levels, by="residual")


def test_a_study_gets_its_answer_and_plots(answered):
    record = answered.database.get_study("study")
    assert publish(answered.database, record) is None
    note = read_note(answered.database)
    assert note.startswith("**No: ")
    assert "`archloss report study`" in note
    attributes = answered.database.read_attributes(record.study_id)
    plots = read_plots(attributes)
    assert set(plots) == set(PLOTS)
    assert sum(len(json.dumps([key, value])) for key, value in attributes.items()) < MOST_BYTES
    assert not any(":" in name for name in PLOTS)


def test_nothing_is_written_again_before_something_has_changed(answered, monkeypatch):
    record = answered.database.get_study("study")
    publish(answered.database, record)
    before = answered.database.read_attributes(record.study_id)
    monkeypatch.setattr(publishing, "ask", lambda *_: pytest.fail("asked again"))
    assert publish(answered.database, record) is None
    assert answered.database.read_attributes(record.study_id) == before


def test_a_note_that_a_person_emptied_is_written_though_nothing_has_changed(answered):
    record = answered.database.get_study("study")
    publish(answered.database, record)
    note = read_note(answered.database, "study")
    attributes = answered.database.read_attributes(record.study_id)
    emptied = {key: "" for key in attributes if key.startswith("dashboard:note_str:")}
    answered.database.write_attributes(record.study_id, emptied)
    assert publish(answered.database, record) is None
    again = read_note(answered.database, "study")
    assert again.splitlines()[:-1] == note.splitlines()[:-1]  # the last one has the time


@pytest.mark.parametrize("place", ["sqlite", "postgresql"])
def test_a_study_that_cannot_answer_says_why(place, request, tmp_path):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    if place == "postgresql":
        url = request.getfixturevalue("postgres_url")
    spec = Spec(name="small", dataset="iris")
    database = Database(url)
    record = database.create_study(
        name="small", spec=spec.to_json(), digest="d", fingerprint="f", environment={}
    )
    publish(database, record)
    note = read_note(database, "small")
    assert note.startswith("**There is no answer yet:** at least 40 trials must have been trained")
    assert read_plots(database.read_attributes(record.study_id)) == {}
    database.close()


def test_a_shorter_note_and_plot_leave_nothing_behind():
    long, short = "long " * 2000, "short"
    first, _ = compose(
        {}, stamp="1", note=long, plots={"a": plot_surface(make_two_levels()), "b": plot_nothing()}
    )
    assert len(first) > 8
    second, remark = compose(first, stamp="2", note=short, plots={"a": plot_nothing()})
    after = first | second
    assert remark is None
    assert after[PUBLISHED]["of"] == "2"
    assert read_plots(after) == {name: json.loads(plot_nothing().to_json()) for name in "ab"}
    study = publishing._make_study(after)
    assert optuna_dashboard.get_note(study) == short


def test_a_note_that_a_person_edited_is_left_alone():
    attributes, _ = compose({}, stamp="1", note="ours", plots={})
    edited = attributes | {"dashboard:note_str:0": "theirs"}
    changed, remark = compose(edited, stamp="2", note="new", plots={})
    assert "edited by hand" in remark
    assert set(changed) == {PUBLISHED}
    again, remark = compose(edited | changed, stamp="3", note="newer", plots={})
    assert "edited by hand" in remark
    emptied = edited | again | {"dashboard:note_str:0": ""}
    changed, remark = compose(emptied, stamp="4", note="newest", plots={})
    assert changed["dashboard:note_str:0"] == "newest"
    assert remark is None


def test_the_plots_hold_plain_numbers_and_few():
    findings = make_two_levels()
    for plot, most in ((plot_best(findings), 3000), (plot_surface(findings), 9000)):
        text = plot.to_json()
        assert len(text) < most
        assert "bdata" not in text
        assert json.loads(text, parse_constant=pytest.fail)["data"]
    best, surface = plot_best(findings), plot_surface(findings)
    plain, residual = best.data
    assert (plain["name"], residual["name"]) == ("plain networks", "residual networks")
    assert plain["customdata"] == [1, 2, 4, 8, 16, 32]
    assert plain["y"] == [0.2, 0.2, 0.4, 0.6, 0.8, 0.8]
    assert plain["error_y"]["arrayminus"] == [0.1] * 6
    assert best.layout["xaxis"]["type"] == "log"
    assert [trace["type"] for trace in surface.data] == ["contour", "scatter"] * 2
    # In percent: 0.04 at the best choice.
    assert min(min(row) for row in surface.data[0]["z"]) == pytest.approx(4.0)
    assert surface.layout["xaxis2"]["domain"][1] == 1


def test_intervals_of_levels_stand_apart_but_are_named_by_their_context():
    plain, residual = plot_best(make_two_levels()).data
    ratios = [right / left for left, right in zip(plain["x"], residual["x"], strict=True)]
    assert ratios == pytest.approx([32**DODGE] * 6, rel=1e-3)
    assert plain["customdata"] == residual["customdata"] == [1, 2, 4, 8, 16, 32]
    assert "depth %{customdata}" in plain["hovertemplate"]


@pytest.mark.parametrize("worst", [0.15, 5.0])
def test_colours_change_where_those_of_the_report_do_and_end_as_they_do(worst):
    level = make_level(Verdict.NONE)
    profile = level.profile.copy()
    profile[-1, -1] = worst
    findings = make_findings([replace(level, profile=profile)])
    colours = choose_colours(findings)
    contour = plot_surface(findings).data[0]
    assert contour["colorbar"]["ticktext"] == [text for _, text in colours.ticks]
    assert contour["colorbar"]["ticktext"][-1].startswith("\N{GREATER-THAN OR EQUAL TO} ")
    ends = 100 * np.array([colours.bands[0], colours.bands[-1]])
    found = [contour["zmin"], contour["zmax"]]
    assert colours.log is (worst == 5.0)
    assert found == pytest.approx(list(np.log10(ends) if colours.log else ends), abs=1e-3)
    assert contour["contours"]["size"] == pytest.approx((found[1] - found[0]) / 11, rel=1e-3)
    shown = contour["text"] if colours.log else contour["z"]
    assert max(map(max, shown)) == pytest.approx(100 * worst)


def test_many_levels_are_laid_out_in_rows_of_two():
    levels = [make_level(Verdict.NONE, width) for width in (8, 16, 32, 64, 128)]
    layout = plot_surface(make_findings(levels, by="width")).layout
    across = [layout[f"xaxis{number}"]["domain"] for number in ("", 2, 3, 4, 5)]
    up = [layout[f"yaxis{number}"]["domain"] for number in ("", 2, 3, 4, 5)]
    assert across[0] == across[2] == across[4] != across[1]
    assert up[0] == up[1] != up[2] == up[3]
    assert up[0][0] > up[2][1] > up[2][0] > up[4][1] > up[4][0] == 0


def test_a_level_is_plotted_at_the_contexts_where_it_is_known():
    few = make_level(Verdict.NONE, True, bests=(0.4, 0.6, 0.8), contexts=(2.0, 4.0, 8.0))
    findings = make_findings([make_level(Verdict.NONE, False), few], by="residual")
    contour, best = plot_surface(findings).data[2:]
    assert contour["x"] == best["x"] == [2, 4, 8]
    assert {len(row) for row in contour["z"]} == {3}


def test_the_note_says_the_answer_and_its_caveats():
    findings = make_findings(
        [make_level(Verdict.UNDECIDED)], caveats=["Be careful."], notes=["It goes on."], more=200.0
    )
    note = make_note(findings)
    assert note.startswith("**It cannot be told yet")
    assert "about 200 more trials" in note
    assert "- It goes on.\n- Be careful." in note
    assert "| depth | \N{EM SPACE}best ce\\_weight |" in note
    assert "| 1 | \N{EM SPACE}0.20 (0.10 to 0.30) | \N{EM SPACE}4.00%" in note
    assert "its order may differ from the report's" in note


def launch_small(folder, observer):
    spec = Spec.model_validate(
        {
            "name": "small",
            "dataset": "iris",
            "trials": 2,
            "recipe": {"epochs": 1},
            "workers": {"executor": "inline", "pack": 2},
            "search": {"sampler": "random"},
        }
    )
    return launching.launch(
        spec, storage=f"sqlite:///{folder / 's.db'}", folder=folder, observer=observer
    )


class Notes(launching.SilentObserver):
    def __init__(self):
        self.notes = []

    def on_note(self, text):
        self.notes.append(text)


def test_a_launch_publishes_when_it_ends(tmp_path):
    observer = Notes()
    study = launch_small(tmp_path, observer)
    assert "at least 40 trials" in read_note(study.database, "small")
    assert not [note for note in observer.notes if "dashboard" in note]
    study.database.close()


@pytest.mark.parametrize("error", [RuntimeError("no room"), KeyboardInterrupt()])
def test_a_launch_does_not_fail_where_publishing_does(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(publishing, "publish", fail)
    observer = Notes()
    study = launch_small(tmp_path, observer)
    (said,) = [note for note in observer.notes if "dashboard" in note]
    assert str(error) in said
    assert study.summary().counts == {"COMPLETE": 2}
    study.database.close()


def test_a_launch_without_the_dashboard_says_and_publishes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(launching.importlib.util, "find_spec", lambda name: None)
    observer = Notes()
    study = launch_small(tmp_path, observer)
    assert not [note for note in observer.notes if "dashboard" in note]
    record = study.database.get_study("small")
    assert PUBLISHED not in study.database.read_attributes(record.study_id)
    study.database.close()
