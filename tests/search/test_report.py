"""`archloss report`: an answer from a table or a stored study, and what it says of bad input."""

import json
import webbrowser

import numpy as np
import pytest
from asked_tables import ask, check_refusal, make_table, run

from archloss.search.cli.questions import make_command
from archloss.search.cli.reporting import ReportOptions
from archloss.search.report import REPORT_FILES
from archloss.search.report.answer.gathering import measure_data
from archloss.spaces.data import load_dataset
from archloss.workers.inline import InlineExecutor


def test_a_table_gets_an_answer_and_a_report(write, tmp_path):
    result = run("--trials", write(make_table()))
    assert result.exit_code == 0, result.stderr
    words = " ".join(result.stdout.split())
    assert words.startswith("Yes: the best ce_weight depends on depth in plain networks; ")
    assert "Plain networks: the best ce_weight depends on depth" in words
    assert "Cost of one ce_weight for every depth" in words
    assert "taken for a share of errors" in words
    folder = tmp_path / "trials-report"
    of_studies = ("pareto", "learning-curves")
    assert {path.name for path in folder.iterdir()} == {
        name for name in REPORT_FILES if not name.startswith(of_studies)
    }
    assert "off the surface: a guess from the model" in words
    assert "The best trial reached" in words
    assert result.stdout.rstrip().endswith("trials-report/report.html")
    document = json.loads((folder / "report.json").read_text())
    plain, residual = document["levels"]
    assert (plain["level"], residual["level"]) == (False, True)
    # 0.3 * the variance of 0.1 + 0.16 * log2(depth), some two accuracy points
    assert plain["cost"]["low"] < 0.02 < plain["cost"]["high"]
    assert document["source"]["command"] == "archloss report --trials trials.csv"
    assert document["trials"] == {"completed": 120, "diverged": 0, "pruned": 0}


def test_other_columns_and_units_are_named(write, tmp_path):
    table = make_table().drop(columns=["residual", "state"])
    table = table.rename(columns={"depth": "layers", "ce_weight": "mix", "value": "wrong"})
    table["wrong"] *= 100
    names = ["--context", "layers", "--choice", "mix", "--error", "wrong", "--unit", "percent"]
    result = run("--trials", write(table), *names, "--json", "--output", "there")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document == json.loads((tmp_path / "there" / "report.json").read_text())
    assert document["question"]["by"] is None
    assert document["question"]["bound"] == 0.5
    assert "accuracy points" in document["sentences"][1]
    assert "for every layers" in document["sentences"][1]


def test_an_accuracy_gets_the_answer_of_its_error(write, tmp_path):
    table = make_table(60)
    errors = ask(write(table))
    accuracies = ask(
        write(table.assign(right=100 - 100 * table.value).drop(columns="value")),
        *("--accuracy", "right", "--bound", "0.5"),
    )
    assert accuracies["question"]["objective"] == "error (100 - right)"
    for ours, theirs in zip(accuracies["levels"], errors["levels"], strict=True):
        assert ours["cost"]["high"] == pytest.approx(100 * theirs["cost"]["high"], rel=0.02)


def test_optunas_names_and_other_separators_make_no_difference(write, tmp_path):
    table = make_table(60)
    plain = ask(write(table))
    prefixed = table.rename(columns={"depth": "params_depth", "ce_weight": "params_ce_weight"})
    named = ask(write(prefixed), "--context", "params_depth", "--choice", "params_ce_weight")
    table.to_csv("semicolons.csv", sep=";", index=False)
    assert named["levels"] == plain["levels"] == ask("semicolons.csv")["levels"]


def test_what_is_taken_for_granted_about_a_table_is_said(write, tmp_path):
    table = make_table(60).rename(columns={"params_learning_rate": "rate"}).drop(columns="state")
    table.loc[3, "value"] = np.inf
    words = " ".join(ask(write(table))["notes"])
    assert "Not used: 'rate'. What was searched besides is named with --tuned" in words
    assert "1 trial counts as diverged: 'value' has no finite number." in words


def test_what_was_not_used_is_said_beside_what_was_named(write, tmp_path):
    table = make_table(60).rename(columns={"params_learning_rate": "rate"})
    days = [f"2026-01-{day % 25}" for day in range(60)]
    table = table.assign(seconds=np.linspace(1, 2, 60), run=np.arange(60), seed=3, day=days)
    words = " ".join(ask(write(table), "--tuned", "rate")["notes"])
    assert "Not used: 'seconds'. What was searched" in words
    table = table.rename(columns={"rate": "params_rate"}).assign(params_width=np.arange(60) % 3)
    words = " ".join(ask(write(table), "--tuned", "rate")["notes"])
    assert "Not used: 'params_width'. What was searched" in words
    assert "Not used" not in " ".join(ask(write(table))["notes"])


def test_trials_that_did_not_end_are_left_out_in_the_words_of_other_tools(write, tmp_path):
    words = ["finished", "COMPLETED", "TERMINATED", "succeeded", "TrialState.COMPLETE"]
    states = ["crashed", "crashed", "Killed", "ERROR", "running", "PENDING", "diverged"]
    states += [words[number % len(words)] for number in range(60 - len(states))]
    table = make_table(60).drop(columns="state").assign(State=states)
    document = ask(write(table))
    assert document["trials"] == {"completed": 53, "diverged": 1, "pruned": 0}
    said = " ".join(document["notes"])
    assert "1 trial counts as diverged: the table says so." in said
    assert (
        "Rows left out, whose trials did not come to an end: 2 crashed, 1 killed, 1 error, "
        "1 running, 1 pending." in said
    )
    named = ask(write(table.rename(columns={"State": "how"})), "--state", "how")
    assert named["trials"] == document["trials"]


@pytest.mark.parametrize("unit", ["fraction", "percent"])
def test_a_unit_that_cannot_be_is_refused(write, tmp_path, unit):
    table = write(make_table(60).assign(value=np.linspace(-2, 300, 60)))
    said = "reaches from -2 to 300: name another column or --unit"
    check_refusal(run("--trials", table, "--unit", unit), said, tmp_path)


def test_a_stored_study_gets_an_answer_and_is_told_to_go_on(bench, monkeypatch):
    spec = bench.make_spec(trials=240, pack=40, recipe={"epochs": 1})
    bench.run(spec, executor=InlineExecutor())
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or False)
    lease = bench.database.open_lease(bench.prepare(spec).study_id)
    places = ["--folder", bench.folder, "--open", "--bound", 2]
    result = run("study", *places)
    assert result.exit_code == 0, result.stderr
    words = " ".join(result.stdout.split())
    assert "The study goes on, and 0 trials are under way" in words
    assert "Residual networks: no dependence on depth that matters" in words
    folder = bench.folder / "study" / "report"
    document = json.loads((folder / "report.json").read_text())
    # What these trainings report is |ce_weight - 0.3|, whatever the depth.
    for level in document["levels"]:
        assert level["common"] == pytest.approx(0.3, abs=0.1)
    assert document["question"]["bound"] == pytest.approx(0.02)
    assert document["source"]["digest"] == spec.digest()
    assert document["source"]["command"] == "archloss report study --bound 2"
    assert opened == [(folder / "report.html").as_uri()]
    assert "no web browser was found here" in result.stderr
    assert lease


def report_on(bench, spec):
    bench.run(spec, executor=InlineExecutor())
    result = run(spec.name, "--folder", bench.folder, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_stored_study_has_sizes_curves_replicates_and_tests(bench):
    spec = bench.make_spec(
        trials=90, pack=60, recipe={"epochs": 3, "replicates": 2}, space={"width": [8, 16]}
    )
    bench.database.create_study(
        name=spec.name,
        spec=spec.to_json(),
        digest=spec.digest(),
        fingerprint=load_dataset("iris").fingerprint,
        environment={},
    )
    document = report_on(bench, spec)
    trials = {trial.number: trial for trial in bench.trials()}
    values = {number: trial.value for number, trial in trials.items()}
    best = min(values, key=values.get)
    # These trainings report |ce_weight - 0.3| / epoch + 0.01 * replicate, and tests of 0.5.
    curves = document["learning_curves"]
    assert [level["trials"] for level in curves["levels"]] == [
        sum(trial.params["residual"] is residual for trial in trials.values())
        for residual in (False, True)
    ]
    away = abs(trials[best].params["ce_weight"] - 0.3)
    assert curves["best"]["trial"] == best
    assert curves["best"]["values"] == pytest.approx([away / n + 0.005 for n in (1, 2, 3)])
    spread = document["seed_spread"]
    assert (spread["kind"], spread["designs"]) == ("replicates", 90)
    assert spread["deviation"]["estimate"] == pytest.approx(0.01 / 2**0.5)
    assert document["selection"]["trial"] == best
    assert document["selection"]["validation"] == pytest.approx(values[best])
    assert document["selection"]["test"] == 0.5
    gaps = [0.5 - value for number, value in values.items() if number != best]
    assert document["selection"]["test_above_validation"] == pytest.approx(np.median(gaps))
    front = document["front"]
    assert (front["features"], front["classes"]) == (4, 3)
    smallest, last = front["trials"][0], front["trials"][-1]
    assert last["trial"] == best
    assert last["objective"] == pytest.approx(values[best])
    width, depth = smallest["width"], smallest["depth"]
    assert smallest["parameters"] == 5 * width + 3 * (width + 1) + depth * width * (width + 1)
    assert smallest["flops"] == 2 * (4 * width + 3 * width + depth * width**2)
    sizes = [trial["parameters"] for trial in front["trials"]]
    assert sizes == sorted(sizes)
    folder = bench.folder / spec.name / "report"
    assert {path.name for path in folder.iterdir()} == set(REPORT_FILES)


def test_columns_that_are_constant_in_training_are_no_inputs(bench):
    spec = bench.make_spec(dataset="digits")
    widths = measure_data(spec, load_dataset("digits").fingerprint)
    assert (widths.features, widths.classes) == (60, 10)  # of 64 pixels, four are always empty


def test_a_study_whose_data_have_changed_is_reported_on_without_sizes(bench):
    document = report_on(bench, bench.make_spec(trials=60, pack=60, recipe={"epochs": 1}))
    assert document["front"] is None
    assert document["learning_curves"] is None  # one epoch is no curve
    [said] = [caveat for caveat in document["caveats"] if "sizes of networks" in caveat]
    assert "the data 'iris' have changed since the study was launched" in said
    assert document["seed_spread"]["kind"] == "surface"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to report on"),
        (["digits", "--trials", "trials.csv"], "leave the others out"),
        (["--example", "--trials", "trials.csv"], "leave the others out"),
        (["--example", "--tuned", "depth"], "the example's columns are known"),
        (["digits", "--error", "value"], "--error is about a table"),
        (["digits", "--log", "width"], "--log is about a table"),
        (["digits", "--linear", "width"], "--linear is about a table"),
        (["digits", "--bound", "0"], "--bound must be above 0, but got 0"),
        (["--trials", "nowhere.csv"], "'nowhere.csv' does not exist"),
        (["--trials", "trials.csv", "--context", "height"], "must have a column 'height'"),
        (["--trials", "trials.csv", "--tuned", "height"], "must have a column 'height'"),
        (["--trials", "trials.csv", "--context", "dept"], "did you mean 'depth'?"),
        (["--trials", "trials.csv", "--state", "ending"], "must have a column 'ending'"),
        (
            ["--trials", "trials.csv", "--error", "x"],
            "--accuracy, --tuned, --state, --log and --lin",
        ),
        (["--trials", "trials.csv", "--tuned", "value"], "is named as both: leave one out"),
        (["--trials", "trials.csv", "--accuracy", "value", "--error", "value"], "leave one out"),
        (["--trials", "trials.csv", "--choice", "residual"], "a range of numbers"),
        (
            ["--trials", "trials.csv", "--by", "ce_weight", "--tuned", "residual"],
            ": there is depth",
        ),
        (["--trials", "trials.csv", "--choice", "residual"], "there are depth, learning_rate"),
        (["--trials", "trials.csv", "--choice", "depth"], "two different axes"),
        (["--trials", "trials.csv", "--unit", "number"], "--bound must say which difference"),
        (["--trials", "trials.csv", "--bound", "100"], "must be below 100 accuracy points"),
        (
            ["--trials", "trials.csv", "--log", "value"],
            "--log must name a column that was searched",
        ),
        (["--trials", "trials.csv", "--log", "residual"], "--log must name a column of numbers"),
        (["--trials", "trials.csv", "--linear", "residual"], "--linear must name a column of nu"),
        (["--trials", "trials.csv", "--linear", "value"], "--linear must name a column that was"),
        (
            ["--trials", "trials.csv", "--linear", "depth", "--log", "depth"],
            "--log and --linear both name it: leave one out",
        ),
        (["digits", "--bound", "much"], "'--bound': must be a number, but got 'much'"),
        (["digits", "--unit", "miles"], "'--unit': 'miles' is not one of 'fraction', 'percent'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage_is_refused_with_the_way_out(write, tmp_path, arguments, said):
    write(make_table(60))
    check_refusal(run(*arguments), said, tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ce_weight": 0.5}, "'ce_weight' of trials.csv must have several values"),
        ({"depth": 4}, "'depth' of trials.csv must have several values"),
        ({"depth": np.arange(60) % 2 + 1}, "depth must have at least 3 values"),
        ({"state": "pruned"}, "must have trials that completed, but all 60 that came to an end"),
        ({"state": "diverged"}, "must have trials that completed, but all 60 that came"),
        ({"value": np.nan}, "must have the trials' errors, but has no finite number"),
        ({"value": 0.25}, "the trials must differ in what they reached"),
        ({"ce_weight": [np.nan, *np.linspace(0, 1, 59)]}, "has none in row 1"),
        ({"depth": [np.inf, *range(59)]}, "must have finite values"),
        ({"state": "RUNNING"}, "must have a row for each trial that has ended, but has none"),
        ({"state": "sleeping"}, "but says 'sleeping' in row 1 (of the data, from 1). It may say"),
        ({"state": ["complete"] * 59 + [None]}, "but says 'nan' in row 60"),
        ({"value": "high"}, "must have numbers, but has 'high' in row 1 (of the data, from 1)"),
        ({"value": [0.1] * 58 + ["n/a?", 0.2]}, "but has 'n/a?' in row 59 (of the data, from 1)"),
        ({"ce_weight": ["half", *np.linspace(0, 1, 59)]}, "but has 'half' in row 1 (of the data"),
        ({"residual": np.arange(60) % 4}, "at least 20 trials of one residual must have been"),
        ({"params_run": [f"run-{n}" for n in range(60)]}, "'run' of trials.csv must have at most"),
        (
            {"params_run": [f"run-{n % 21}" for n in range(60)]},
            "but has 21, such as 'run-0': leave it out",
        ),
        ({"residual": np.arange(60) % 30}, "'residual' of trials.csv must have at most 20 values"),
        ({"depth": [f"deep-{n}" for n in range(60)]}, "--context must name a range of numbers"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(*value),
)
def test_trials_that_cannot_answer_are_refused_with_the_reason(write, tmp_path, changes, said):
    result = run("--trials", write(make_table(60, **changes)))
    check_refusal(result, said, tmp_path)


def test_the_example_answers_at_the_values_of_its_grid(tmp_path):
    result = run("--example", "--json", "-o", tmp_path / "made")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["trials"]["completed"] == 2106  # of four trainings each
    assert document["contexts"] == [1, 2, 3, 4, 6, 8, 12, 16, 24]
    assert document["choices"] == pytest.approx([0, 0.02, 0.05, *np.arange(0.1, 1.05, 0.1)])
    residual = next(level for level in document["levels"] if level["level"] is True)
    deepest = residual["bests"][-1]
    assert 0 < deepest["choice"]["low"] <= deepest["choice"]["high"] < 0.3
    assert document["source"]["command"] == "archloss report --example"


def test_a_level_with_too_few_trials_is_left_out_and_that_is_said(write, tmp_path):
    result = run("--trials", write(make_table(60, residual=[True, *[False] * 59])))
    assert result.exit_code == 0, result.stderr
    assert "residual = True was left out" in " ".join(result.stdout.split())


def test_too_few_trials_and_files_that_are_no_table_are_refused(write, tmp_path):
    check_refusal(run("--trials", write(make_table(5))), "at least 40 trials", tmp_path)
    (tmp_path / "trials.csv").write_text("")
    check_refusal(run("--trials", "trials.csv"), "cannot be read as one", tmp_path)
    (tmp_path / "trials.parquet").write_bytes(b"no")
    said = "cannot be read as one: its contents are neither"
    check_refusal(run("--trials", "trials.parquet"), said, tmp_path)


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"", "it is empty"),
        (b"depth\xff\n1\n", "it is no text in UTF-8. Save it as such"),
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 values where the first has 2. Mend that line"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_plain_words(tmp_path, contents, said):
    (tmp_path / "bad.csv").write_bytes(contents)
    result = run("--trials", tmp_path / "bad.csv", "-o", tmp_path / "made")
    check_refusal(result, f"cannot be read as one: {said}", tmp_path)


def test_a_bound_of_a_study_is_below_all_accuracy_points(bench):
    spec = bench.make_spec()
    bench.prepare(spec)
    result = run(spec.name, "--folder", bench.folder, "--bound", 100)
    assert result.exit_code == 2
    assert "must be below 100 accuracy points" in result.stderr


@pytest.mark.parametrize("folder", ["/proc/report", "trials.csv", "trials.csv/below"])
def test_a_folder_that_cannot_be_written_to_is_refused_before_the_analysis(
    write, tmp_path, monkeypatch, folder
):
    table = write(make_table(60))
    monkeypatch.setattr("archloss.search.cli.table_questions.answer", None)
    said = f"--output must be a folder that can be written to, but '{folder}' cannot: "
    check_refusal(run("--trials", table, "--output", folder), said, tmp_path)


def test_the_command_says_what_was_asked_and_no_place():
    options = ReportOptions(
        study="digits",
        context="width",
        bound=0.25,
        storage="postgresql://me:secret@host/studies",
    )
    assert make_command(options) == "archloss report digits --context width --bound 0.25"
