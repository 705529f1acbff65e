"""Tables of trials: what is read, what is refused, and what is said to be taken for granted."""

import json
import re
import shlex
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from asked_tables import ask, check_refusal, make_table, run
from typer.testing import CliRunner

from archloss.search.analysis.answer import answer
from archloss.search.analysis.axes import Numeric
from archloss.search.analysis.columns import Columns
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.study import Question, make_trials
from archloss.search.analysis.table_files import drop_copies, read_table
from archloss.search.analysis.tables import make_table_trials
from archloss.search.analysis.trials import Kind
from archloss.search.cli.app import app
from archloss.spaces.outcome import Outcome
from archloss.workers.inline import InlineExecutor


def read(table, **columns):
    return make_table_trials(table, Columns(question=Question(), **columns), name="trials.csv")


def make_diverged(count=60, **changes):
    """Trials of which the fifth and sixth have no error, and the worst of the others has 0.5."""
    table = make_table(count, **changes).drop(columns="state")
    table.loc[3, "value"] = 0.5
    table.loc[[4, 5], "value"] = [np.nan, np.inf]
    return table


def test_what_diverged_counts_as_the_worst_that_is_known_or_as_is_said():
    table = make_diverged()
    assert read(table).penalty == 0.5
    assert read(table, penalty=0.9).penalty == 0.9
    states = np.where(np.arange(60) == 7, "diverged", "complete")
    assert read(table.assign(state=states)).penalty == table.value[7] < 0.5
    assert read(table.assign(state=states), penalty=0.9).penalty == 0.9
    assert read(make_table(60), penalty=0.9).penalty < 0.9  # none diverged
    accuracies = table.assign(value=100 - 100 * table.value)
    assert read(accuracies, whole=100, penalty=10).penalty == 90


@pytest.mark.parametrize("columns", [{"penalty": 0.02}, {"penalty": 0.98, "whole": 1}])
def test_what_diverged_is_worse_than_the_best(columns):
    table = make_diverged()
    if "whole" in columns:
        table = table.assign(value=1 - table.value)
    best = 1 - np.nanmin(1 - table.value) if "whole" in columns else np.nanmin(table.value)
    said = (
        f"--penalty must be worse than the best trial that completed, whose 'value' is {best:.4g}, "
        f"but got {columns['penalty']}: give it in the units of that column, such as what"
    )
    with pytest.raises(AnalysisError, match=said):
        read(table, **columns)


def test_what_a_trial_that_diverged_counts_as_is_said(write):
    words = " ".join(ask(write(make_diverged()))["notes"])
    assert (
        "2 trials count as diverged: 'value' has no finite number. Each counts as 50.00% ('value' "
        "of 0.5), the worst that any trial reached: --penalty says what it should be, such as what "
        "guessing reaches." in words
    )
    states = np.where(np.arange(60) == 7, "diverged", "complete")
    changes = {"state": states, "value": make_table(60).value.where(states == "complete", 0.9)}
    words = " ".join(ask(write(make_table(60, **changes)))["notes"])
    assert "('value' of 0.9), the worst that the table has of one that diverged: --" in words


def test_what_diverged_is_said_to_count_as_makes_designs_that_diverge_worse(write):
    table = make_table(120).drop(columns="state")
    table["value"] = table["value"].mask(table.ce_weight > 0.7)
    mild, right = ask(write(table)), ask(write(table), "--penalty", "0.9")
    assert "Each counts as 90.00% ('value' of 0.9), as --penalty says." in " ".join(right["notes"])
    assert right["source"]["command"] == "archloss report --trials trials.csv --penalty 0.9"
    (less,), (more,) = (
        [one["mean"][-1] for one in document["partial_dependence"] if one["axis"] == "ce_weight"]
        for document in (mild, right)
    )
    assert less < 0.3 < 0.6 < more


def test_a_penalty_that_changes_nothing_is_said_to(write):
    document = ask(write(make_table(60)), "--penalty", "0.9")
    assert "No trial diverged, so that --penalty changes nothing." in document["notes"]


def test_what_diverged_counts_as_an_error_rate_where_errors_are(write, tmp_path):
    table = make_diverged(60)
    said = "but --penalty says 90: say with --penalty what it counts as, such as what guessing"
    check_refusal(run("--trials", write(table), "--penalty", "90"), said, tmp_path)
    told = table.assign(state=np.where(table.value.isna(), "diverged", "complete"))
    told.loc[4, "value"] = 999
    said = "must count as a 'value' between 0 and 1 where its unit is a fraction, but the table has"
    check_refusal(run("--trials", write(told)), said, tmp_path)


@pytest.mark.parametrize("penalty", [float("nan"), float("inf"), -1e200])
def test_a_penalty_is_a_number_that_can_be_computed_with(penalty):
    said = f"--penalty must be a number from -1e+100 to 1e+100, but got {penalty:g}: give what"
    with pytest.raises(AnalysisError, match=re.escape(said)):
        read(make_diverged(), penalty=penalty)


def test_a_penalty_of_nothing_is_about_a_table_too(tmp_path):
    check_refusal(run("digits", "--penalty", "0"), "--penalty is about a table", tmp_path)


def test_rows_that_agree_in_every_column_are_read_once_and_that_is_said(write):
    table = make_table(60).assign(seconds=np.r_[np.nan, np.arange(59)])
    joined = pd.concat([table, table.head(20)])
    document = ask(write(joined))
    assert document["trials"]["completed"] == 60
    assert document["seed_spread"]["kind"] == "surface"
    said = "20 rows agree with another in every column and were left out as copies"
    assert said in " ".join(document["notes"])
    alone = ask(write(table))
    assert document["levels"] == alone["levels"]
    assert "left out as copies" not in " ".join(alone["notes"])


def test_rows_of_one_design_that_differ_elsewhere_are_trainings_of_one_trial(write):
    table = make_table(60)
    again = table.assign(value=table.value + np.where(np.arange(60) % 2, 0.003, -0.003))
    document = ask(write(pd.concat([table, again])))
    assert document["trials"]["completed"] == 60
    assert document["seed_spread"]["deviation"]["estimate"] == pytest.approx(0.003 / 2**0.5)
    assert len(document["selection"]["trainings"]) == 2
    words = " ".join(document["notes"])
    assert "agree" not in words
    said = "120 rows are of 60 designs that were trained more than once. A design counts once, as"
    assert f"{said} the mean of its trainings: what else is true of it, such as" in words


def test_replicates_without_a_difference_are_no_spread_and_that_is_said(write):
    table = make_table(60)
    numbered = pd.concat([table, table]).assign(number=range(120))
    document = ask(write(numbered))
    assert document["trials"]["completed"] == 60
    assert document["seed_spread"]["kind"] == "surface"
    assert document["selection"]["trainings"] == []
    said = "here all of a design reached the same, and say nothing of how far a seed moves it."
    assert said in " ".join(document["notes"])


def test_a_design_is_the_mean_of_its_trainings_and_what_diverged_counts_with_the_penalty():
    table = pd.concat([make_table(60)] * 3, ignore_index=True)
    table["value"] += 0.01 * np.repeat([0.0, 1.0, 2.0], 60)
    table.loc[[60, 61, 1, 121], "value"] = np.nan  # one of three of the first, all of the second
    table.loc[[2, 63], "state"] = "PRUNED"
    trials = read(table, penalty=0.9)
    assert [trials.count(kind) for kind in Kind] == [59, 1, 2]
    ended = np.flatnonzero(trials.kinds != Kind.PRUNED.value)
    first, second, fourth, *_ = ended
    third = ended[59]  # its first row was pruned
    assert trials.values[first] == pytest.approx((table.value[0] + 0.9 + table.value[120]) / 3)
    assert trials.kinds[second] == Kind.DIVERGED.value
    assert trials.values[third] == pytest.approx((table.value[62] + table.value[122]) / 2)
    assert trials.values[fourth] == pytest.approx((table.value[3] + table.value[123]) / 2)
    counts = [len(trials.trainings[place]) for place in (first, second, third, fourth)]
    assert counts == [2, 0, 2, 2]


def test_what_trainings_of_a_design_share_is_no_dependence():
    """As a hyperparameter that was not named; each as a trial, they said "yes" (cost 0)."""
    random = np.random.default_rng(8)
    designs = make_table(150)
    designs["value"] = 0.1 + 0.1 * (designs.ce_weight - 0.4) ** 2
    designs["value"] += 0.03 * random.random(150)
    rows = designs.loc[designs.index.repeat(8)].reset_index(drop=True)
    rows["value"] += 0.001 * random.standard_normal(len(rows))
    found = answer(read(rows), bound=0.005)
    means = rows.groupby(rows.index // 8)["value"].mean()
    assert np.allclose(read(rows).values, means)
    for level in found.levels:
        assert level.cost.low == 0
        errors = [best.objective.high - best.objective.low for best in level.bests]
        assert min(errors) > 0.005


def test_too_few_designs_are_refused_however_often_they_were_trained():
    table = pd.concat([make_table(30)] * 4).assign(seed=np.arange(120))
    said = "at least 40 designs must have been trained to the end, but 30 were, as trainings of"
    with pytest.raises(AnalysisError, match=said):
        answer(read(table), bound=0.005)


def test_a_row_for_each_epoch_is_refused(write, tmp_path):
    table = pd.concat([make_table(60).assign(epoch=epoch) for epoch in (1, 2, 3)])
    table["value"] /= table.epoch
    said = "column 'epoch' of trials.csv must be the same in all rows of a design, but differs, as"
    check_refusal(run("--trials", write(table)), said, tmp_path)
    last = ask(write(table[table.epoch == 3]))
    assert "goes from" not in " ".join(last["notes"])


def test_trials_that_were_stopped_early_are_refused_or_told(write, tmp_path):
    budgets = np.array([1, 3, 9, 27])
    table = make_table(60).assign(**{"train/training_iteration": budgets[np.arange(60) % 4]})
    said = (
        "column 'train/training_iteration' of trials.csv must be about the same in all trials that "
        "completed, but 45 of 60 have less than half of the 27 that others have, as where they were"
    )
    check_refusal(run("--trials", write(table)), said, tmp_path)
    pruned = table.assign(state=np.where(np.arange(60) % 4 == 3, "COMPLETE", "PRUNED"))
    with pytest.raises(AnalysisError, match="at least 40 trials"):
        answer(read(pruned), bound=0.005)
    few = make_table(60).assign(epoch=np.where(np.arange(60) % 4, 27, 9))
    assert "'epoch' goes from 9 to 27 among trials that count as complete." in " ".join(
        ask(write(few))["notes"]
    )


def test_a_word_may_stand_for_what_diverged(write):
    states = np.where(np.arange(60) < 9, "TrialState.FAIL", "TrialState.COMPLETE")
    table = make_table(60, state=states)
    table.loc[:8, "value"] = np.nan
    survivors = ask(write(table))
    assert survivors["trials"]["diverged"] == 0
    assert survivors["notes"][-1].endswith("say --diverged fail, and --penalty.")
    told = ask(write(table), "--diverged", "FAIL", "--penalty", "0.9")
    assert told["trials"] == {"completed": 51, "diverged": 9, "pruned": 0}
    assert "--diverged FAIL" in told["source"]["command"]
    assert "fail" not in " ".join(told["notes"])


def test_a_word_that_does_not_say_how_trials_ended_is_refused(write, tmp_path):
    table = make_table(60)
    said = "--diverged must be a word of column 'state' of trials.csv, but got 'LOST': it says 'com"
    check_refusal(run("--trials", write(table), "--diverged", "LOST"), said, tmp_path)
    nameless = write(make_table(60).drop(columns="state"))
    said = "--diverged must be a word of the column that says how trials ended, but trials.csv has"
    check_refusal(run("--trials", nameless, "--diverged", "FAIL"), said, tmp_path)


def test_numbers_that_a_parquet_file_has_as_words_are_numbers(tmp_path):
    cells = {"depth": ["1", None, "2.5"], "cost": [Decimal("0.1")] * 3, "mode": ["1", "a", "2"]}
    pd.DataFrame(cells).to_parquet(tmp_path / "trials.pq")
    table = read_table(tmp_path / "trials.pq")
    assert table.depth.dropna().tolist() == [1.0, 2.5]
    assert table.cost.tolist() == [0.1] * 3
    assert table["mode"].tolist() == ["1", "a", "2"]


def test_a_parameter_is_not_taken_for_a_column_of_its_name():
    table = make_table(60).assign(number=np.arange(60), params_number=np.arange(60) % 7)
    assert "params_number" in read(table).names
    assert "number" not in read(table).names


def test_a_parquet_file_may_have_any_index_and_lists(tmp_path):
    cells = {"depth": [1, 1, 2], "layers": [[8, 8], [8, 8], None], "mode": ["a", "a", "b"]}
    table = pd.DataFrame(cells, index=[*"aba"])
    table.to_parquet(tmp_path / "trials.parquet")
    read = read_table(tmp_path / "trials.parquet")
    assert read.index.tolist() == [0, 1, 2]
    assert drop_copies(read).index.tolist() == [0, 2]


@pytest.mark.parametrize("name", ["val_acc", "valAcc", "val/accuracy", "testacc", "AUROC", "R2"])
def test_an_accuracy_by_its_name_is_no_error(name):
    table = make_table(60).rename(columns={"value": name})
    said = f"say --accuracy {name} instead of --error, or, if less is better all the same, give the"
    with pytest.raises(AnalysisError, match=said):
        read(table, error=name)
    assert read(table, error=name, whole=1).count(Kind.COMPLETED) == 60
    assert read(table.assign(**{name: -table[name]}), error=name).count(Kind.COMPLETED) == 60


@pytest.mark.parametrize("name", ["1 - accuracy", "acc_error", "accumulated", "neg_auc", "vaccine"])
def test_an_error_by_its_name_is_no_accuracy(name):
    table = make_table(60).rename(columns={"value": name})
    assert read(table, error=name).count(Kind.COMPLETED) == 60


@pytest.mark.parametrize(("times", "options"), [(1, []), (100, ["--unit", "percent"])])
def test_errors_that_look_like_accuracies_are_doubted_before_all_else(write, times, options):
    table = make_table(60)
    table["value"] = times * (1 - table.value)
    said = (
        "'value' is taken for an error, of which less is better, though more than half of the "
        f"trials that completed have more than {times / 2:g}. If it is an accuracy, this answer is "
        "wrong: say --accuracy value."
    )
    assert ask(write(table), *options)["notes"][0] == said
    accuracies = ask(write(table), "--accuracy", "value")["notes"]
    wrong = ask(write(table.rename(columns={"value": "wrong"})), "--error", "wrong", *options)[
        "notes"
    ]
    assert "is taken for an error" not in " ".join([*accuracies, *wrong])


def find_scales(trials):
    return {axis.name: axis.log for axis in trials.axes if isinstance(axis, Numeric)}


def test_a_column_is_logarithmic_where_it_looks_so_or_is_said_to_be():
    table = make_table(60).assign(params_width=np.linspace(20, 60, 60))
    found = {"depth": True, "ce_weight": False, "width": False, "learning_rate": True}
    assert find_scales(read(table)) == found
    said = read(table, log=("params_width",), linear=("learning_rate",))
    assert find_scales(said) == found | {"width": True, "learning_rate": False}
    concentrated = table.assign(ce_weight=table.ce_weight**4 + 0.001)
    assert find_scales(read(concentrated))["ce_weight"]
    assert not find_scales(read(concentrated, linear=("ce_weight",)))["ce_weight"]


def test_which_columns_are_taken_as_logarithmic_is_said(write):
    table = make_table(60).assign(params_width=8 * 2 ** (np.arange(60) % 3))
    document = ask(write(table))
    assert (
        "Taken as logarithmic: depth, learning_rate. Taken as they are: ce_weight. Taken as a "
        "grid, each value as far from the next: width. --log and --linear say otherwise of what "
        "is no grid."
    ) in document["notes"]
    document = ask(write(table), "--linear", "depth", "--linear", "learning_rate")
    assert "Taken as they are: depth, ce_weight, learning_rate. " in " ".join(document["notes"])
    said = "--linear depth --linear learning_rate"
    assert document["source"]["command"] == f"archloss report --trials trials.csv {said}"


def test_of_grids_alone_no_scale_is_said(write):
    numbers = np.arange(200)
    table = make_table(200, depth=2 ** (numbers % 5), ce_weight=numbers // 5 % 8 / 7)
    table["value"] = 0.1 + 0.1 * (table.ce_weight - 0.5) ** 2 + table.value / 10
    document = ask(write(table.drop(columns="params_learning_rate")))
    assert "aken as" not in " ".join(document["notes"])


def test_archlosss_own_column_says_how_trials_ended_unless_another_is_named(write):
    endings = ["diverged", "failed", "pruned", *["completed"] * 57]
    table = make_table(60, state=["COMPLETE", "FAIL", *["COMPLETE"] * 58]).assign(ending=endings)
    assert read(table).count(Kind.DIVERGED) == 1
    assert read(table, state="state").count(Kind.DIVERGED) == 0
    document = ask(write(table))
    assert document["trials"] == {"completed": 57, "diverged": 1, "pruned": 1}
    words = " ".join(document["notes"])
    assert "How trials ended is read from 'ending', archloss's own column; --state names" in words
    assert "Not used" not in words
    other = table.assign(ending=["at dawn", *["at dusk"] * 59])
    assert read(other).count(Kind.DIVERGED) == 0
    named = ask(write(table), "--state", "ending")
    assert named["trials"] == document["trials"]
    assert "archloss's own column" not in " ".join(named["notes"])


def test_what_the_document_shows_reads_a_studys_file_as_the_study(bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "report.md").read_text().replace("\\\n", "")
    [block] = re.findall(r"^(archloss trials .*)\n(archloss report .*)\n", text, re.MULTILINE)
    make, ask_of_it = [shlex.split(line)[1:] for line in block]
    spec = bench.make_spec(make[1], trials=120, pack=60, recipe={"epochs": 1})

    def train(pack):
        return bench.trainings.finish(
            pack,
            lambda member: (
                Outcome.DIVERGED
                if member.design.depth > 8 and member.design.ce_weight > 0.7
                else Outcome.TRAINED
            ),
        )

    bench.run(spec, train=train, executor=InlineExecutor())
    made = CliRunner().invoke(app, [*make, "--folder", str(bench.folder)])
    assert made.exit_code == 0, made.stderr
    result = run(*ask_of_it[1:], "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    own = make_trials(spec, bench.trials(spec.name), Question())
    assert found["trials"]["diverged"] == own.count(Kind.DIVERGED) > 0
    scales = [
        [axis.name for axis in own.axes if isinstance(axis, Numeric) and axis.log is log]
        for log in (True, False)
    ]
    told = next(note for note in found["notes"] if note.startswith("Taken as"))
    first, second = (set(part.split(": ")[1].split(", ")) for part in told.split(". ")[:2])
    assert [first, second] == [set(names) for names in scales]
    assert "Each counts as 75.00%" in " ".join(found["notes"])
    result = run(spec.name, "--folder", bench.folder, "--json")
    for ours, theirs in zip(json.loads(result.stdout)["levels"], found["levels"], strict=True):
        assert ours["cost"]["estimate"] == pytest.approx(theirs["cost"]["estimate"], abs=0.005)


def test_pruned_trials_of_a_table_are_left_out_and_what_that_does_is_said(write):
    states = np.where(np.arange(80) % 4 == 0, "PRUNED", "COMPLETE")
    words = " ".join(ask(write(make_table(80, state=states)))["caveats"])
    assert (
        "20 pruned trials were left out, as it is not said what they had reached. Those left are "
        "the lucky ones of what was tried: errors may look better, and effects smaller, than they "
        "are." in words
    )
    assert "went on" not in words
    states[1:] = "COMPLETE"
    words = " ".join(ask(write(make_table(80, state=states)))["caveats"])
    assert "1 pruned trial was left out, as it is not said" in words


def test_a_parameter_of_some_trials_alone_is_refused_with_the_others_to_name():
    table = make_table(60).assign(
        params_momentum=[np.nan, *np.linspace(0, 0.9, 59)], params_width=np.arange(60)
    )
    said = (
        r"column 'momentum' of trials.csv must have a value in each row to count as tuned, but has "
        r"none in row 1 \(of the data, from 1\), like a parameter that only some trials have: name "
        r"the others, --tuned learning_rate --tuned width, or fill it in"
    )
    with pytest.raises(AnalysisError, match=said):
        read(table)
    trials = read(table, tuned=("learning_rate", "width"))
    assert trials.names == ["depth", "ce_weight", "residual", "learning_rate", "width"]
    with pytest.raises(AnalysisError, match="fill it in, or leave the row or the column out"):
        read(table, tuned=("momentum",))
    with pytest.raises(AnalysisError, match="leave that column out, or fill it in"):
        read(table.drop(columns=["params_learning_rate", "params_width"]))


def test_decimal_commas_between_semicolons_are_read_as_numbers(tmp_path):
    table = make_table(60).assign(mode=[*"ab"] * 30)
    table.loc[3, "value"] = np.nan
    table.to_csv(tmp_path / "points.csv", sep=";", index=False)
    table.to_csv(tmp_path / "commas.csv", sep=";", decimal=",", index=False)
    assert "0,0" in (tmp_path / "commas.csv").read_text()
    points, commas = (read_table(tmp_path / f"{name}.csv") for name in ("points", "commas"))
    pd.testing.assert_frame_equal(commas, points, check_dtype=False)


def test_an_odd_word_among_decimal_commas_is_the_one_that_is_named(tmp_path):
    cells = make_table(60).value.map(lambda value: f"{value:.4e}".replace(".", ","))
    table = make_table(60).assign(value=["#DIV/0!", *cells[1:]])
    table.to_csv(tmp_path / "trials.csv", sep=";", decimal=",", index=False)
    with pytest.raises(AnalysisError, match="must have numbers, but has '#DIV/0!' in row 1"):
        read(read_table(tmp_path / "trials.csv"))


def test_commas_are_no_decimal_ones_where_numbers_have_points(tmp_path):
    make_table(60).assign(layers=["64,32", "64,64"] * 30).to_csv(
        tmp_path / "trials.csv", sep=";", index=False
    )
    assert set(read_table(tmp_path / "trials.csv").layers) == {"64,32", "64,64"}


@pytest.mark.parametrize(
    ("cell", "columns", "said"),
    [
        ("9.92%", {}, "write 9.92 there, and likewise in every row, and say --unit percent"),
        ("90.1 %", {"whole": 100}, "write 90.1 there, and likewise in every row$"),
        ("0,09", {}, "write 0.09 there, and likewise in every row$"),
    ],
)
def test_a_cell_that_is_nearly_a_number_is_refused_with_what_to_write(cell, columns, said):
    with pytest.raises(AnalysisError, match=f"but has '{cell}' in row 1 .*: {said}"):
        read(make_table(60, value=cell), **columns)


@pytest.mark.parametrize(("role", "column"), [("context", "depth"), ("choice", "ce_weight")])
def test_words_where_a_range_of_numbers_is_asked_about_are_refused_with_one(role, column):
    table = make_table(60)
    table[column] = table[column].astype(str) + " units"
    said = (
        f"--{role} must name a range of numbers, but column '{column}' of trials.csv holds words, "
        rf"such as '{table[column][0]}' in row 1 \(of the data, from 1\): write bare numbers in"
    )
    with pytest.raises(AnalysisError, match=said):
        read(table)


def test_errors_that_cannot_be_computed_with_are_refused():
    table = make_table(60)
    said = (
        r"no larger than 1e\+100, but has .*e\+298 in row 1 .*: leave the cell empty if it stands"
    )
    with pytest.raises(AnalysisError, match=said):
        read(table.assign(value=1e300 * table.value))
    with pytest.raises(
        AnalysisError, match=r"no smaller than 1e-09, but has .*: write the column in"
    ):
        read(table.assign(value=1e-12 * table.value))
    with pytest.raises(
        AnalysisError, match=r"'ce_weight' .* no larger than 1e\+100, but has -1e\+2"
    ):
        read(table.assign(ce_weight=[-1e200, *table.ce_weight[1:]]))
    diverged = table.assign(state=["diverged", *["complete"] * 59])
    diverged.loc[0, "value"] = 1e300
    with pytest.raises(AnalysisError, match="no larger than"):
        read(diverged)
    assert read(diverged, penalty=0.9).penalty == 0.9


@pytest.mark.parametrize("times", [1e-6, 1e90])
def test_errors_of_any_size_that_can_be_computed_with_have_the_same_answer(times):
    table = make_table(60)
    plain, scaled = (
        answer(read(table.assign(value=factor * table.value)), bound=0.005 * factor)
        for factor in (1, times)
    )
    for ours, theirs in zip(plain.levels, scaled.levels, strict=True):
        assert theirs.cost.estimate / times == pytest.approx(ours.cost.estimate, rel=1e-6)
