"""The command line on one small study, from launch to delete."""

import csv
import io
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from plans import make_planned
from typer.testing import CliRunner

from archloss.search.cli.app import app
from archloss.spaces.design import Design

STUDY_FILE = """
name = "flowers"
dataset = "iris"
trials = 12

[space]
name = "residual-mlp"
depth = { low = 0, high = 4, log = true }
width = [8]

[recipe]
epochs = 4
batch_size = 32

[search]
sampler = "random"
pruner = "median"
seed = 3
keep_weights = 2

[workers]
executor = "inline"
pack = 6
device = "cpu"
"""


def run(*arguments, **options):
    runner = CliRunner(env={"COLUMNS": "160", "TERM": "dumb"})
    return runner.invoke(app, [str(part) for part in arguments], **options)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with one launched study, which tests look at and do not change."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "flowers.toml").write_text(STUDY_FILE)
    result = run("launch", folder / "flowers.toml", "--folder", folder / "studies")
    assert result.exit_code == 0, result.stderr
    (folder / "launched.txt").write_text(result.stdout)
    (folder / "talk.txt").write_text(result.stderr)
    return folder


@pytest.fixture
def look(home):
    """Run a command on the study and return what it printed."""

    def look(*arguments, code=0):
        result = run(*arguments, "--folder", home / "studies")
        assert result.exit_code == code, result.stderr
        return result.stdout if code == 0 else result.stderr

    return look


@pytest.fixture
def trials(look):
    return json.loads(look("trials", "flowers", "--format", "json"))


def test_launch_sums_up_and_draws(home, trials):
    shown = (home / "launched.txt").read_text()
    best = min((t for t in trials if t["ending"] == "completed"), key=lambda t: t["value"])
    assert "Study 'flowers' on iris: 12 of 12 trials" in shown
    assert f"Best: trial {best['number']}, validation error {100 * best['value']:.2f}%" in shown
    assert "Best ce_weight seen by depth" in shown
    assert "not an estimate" in shown
    assert "archloss report flowers" in shown
    picture = home / "studies" / "flowers" / "landscape.png"
    assert f"Picture: {picture}" in shown
    assert picture.stat().st_size > 10_000


def test_launch_talks_on_standard_error_alone(home):
    talk = (home / "talk.txt").read_text()
    assert "study 'flowers': residual-mlp on iris, up to 12 trials" in talk
    assert "12/12 trials" in talk
    assert "12/12 trials" not in (home / "launched.txt").read_text()


def test_launch_at_the_budget_says_so_and_sums_up_as_json(home):
    result = run("launch", home / "flowers.toml", "--folder", home / "studies", "--json")
    assert result.exit_code == 0
    assert "nothing was run" in result.stderr
    document = json.loads(result.stdout)
    assert document["finished"] == document["budget"] == 12
    assert document["picture"] == str(home / "studies" / "flowers" / "landscape.png")


def test_launch_with_another_spec_is_refused(home, look):
    said = look("launch", home / "flowers.toml", "--set", "recipe.epochs=5", code=2)
    assert "error: study 'flowers' exists, and was launched with another spec" in said
    assert "recipe.epochs: 4 then, 5 now" in said
    assert "Traceback" not in said


def test_the_way_back_to_a_study_can_be_pasted(tmp_path):
    def launch(*options, code=0):
        result = run("launch", "--dataset", "iris", *options, "--folder", tmp_path)
        assert result.exit_code == code, result.stderr
        return result.stderr

    few = ("--trials", 1, "--epochs", 1, "--executor", "inline", "--device", "cpu", "--pack", 1)
    old = ("space.mse_on=['probabilities', 'logits']", "space.residual=[true]", "space.width=[8]")
    launch(*few, *(word for value in old for word in ("--set", value)))
    said = launch(*few, "--set", "space.width.low=8", "--set", "space.width.high=9", code=2)
    way_back = shlex.split(said.partition("or as it was: ")[2])
    assert way_back[0] == "--set"
    assert 'space.mse_on.choices=["probabilities", "logits"]' in way_back
    assert "space.residual.choices=[true]" in way_back
    assert "nothing was run" in launch(*few, *way_back)
    sometimes = 'space.dropout.when={parent = "mse_on", values = ["logits"]}'
    said = launch(*few, *way_back, "--set", sometimes, "--set", "space.dropout.otherwise=0", code=2)
    lacked = "dropout.otherwise and space.dropout.when.parent and space.dropout.when.values"
    assert said.rstrip().endswith(f"or as it was: without space.{lacked}")


def test_status_is_the_summary_of_the_named_or_the_latest_study(look):
    assert look("status", "flowers") == look("status")
    document = json.loads(look("status", "--json"))
    assert document["study"] == "flowers"
    assert sum(cell["trials"] for cell in document["best_seen_by_depth"]) == 12


def test_status_loads_nothing_that_trains_or_draws(home):
    code = (
        "import sys\n"
        "from archloss.search.cli.app import app\n"
        f"arguments = ['status', 'flowers', '--folder', {str(home / 'studies')!r}]\n"
        "assert not app(arguments, standalone_mode=False)\n"
        "heavy = {'torch', 'ray', 'sklearn', 'matplotlib', 'pandas', 'pyarrow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)


def test_launch_says_what_is_done_to_the_data(tmp_path):
    rows = [f"{number % 7},{number if number % 5 else ''},{number % 2}" for number in range(60)]
    (tmp_path / "gaps.csv").write_text("\n".join(["a,b,y", *rows]))
    small = ["--epochs", 1, "--trials", 2, "--executor", "inline", "--pack", 2]
    options = ["--target", "y", "--folder", tmp_path, *small]
    result = run("launch", "--dataset", tmp_path / "gaps.csv", *options)
    assert result.exit_code == 0
    assert "missing values filled with the training median" in result.stderr
    assert "Study 'gaps' on" in result.stdout


def test_list_counts_trials(look, trials):
    [study] = json.loads(look("list", "--json"))
    assert study["name"] == "flowers"
    assert study["ours"] is True
    assert sum(study["counts"].values()) == 12
    assert study["best_value"] == min(t["value"] for t in trials if t["value"] is not None)
    assert "flowers" in look("list")


def test_list_shows_long_names_whole(tmp_path):
    name = "a-study-that-varies-depth-and-mix-confirm"
    small = ["--epochs", 1, "--trials", 2, "--executor", "inline", "--pack", 2]
    options = ["--name", name, "--folder", tmp_path]
    assert run("launch", "--dataset", "iris", *options, *small).exit_code == 0
    assert name in run("list", "--folder", tmp_path).stdout


def test_trials_as_csv_json_and_parquet_hold_the_same(home, look, trials, tmp_path):
    assert [trial["number"] for trial in trials] == list(range(12))
    rows = list(csv.DictReader(io.StringIO(look("trials", "flowers", "--format", "csv"))))
    assert look("trials", "flowers", "--output", tmp_path / "trials.parquet") == ""
    frame = pd.read_parquet(tmp_path / "trials.parquet")
    assert list(frame.columns) == list(rows[0]) == list(trials[0])
    assert frame["residual"].dtype == bool
    assert frame["depth"].dtype == np.int64
    for trial, row, stored in zip(trials, rows, frame.to_dict("records"), strict=True):
        assert float(row["ce_weight"]) == trial["ce_weight"] == stored["ce_weight"]
        assert row["ending"] == trial["ending"] == stored["ending"]
        assert (row["value"] == "") == (trial["value"] is None) == bool(np.isnan(stored["value"]))
    Design(**{key: trials[0][key] for key in Design.__dataclass_fields__})


def test_trials_are_sorted_with_those_without_a_value_last(look):
    up = json.loads(look("trials", "flowers", "--format", "json", "--sort", "value"))
    down = json.loads(look("trials", "flowers", "--format", "json", "--sort=-value"))
    for rows, sign in ((up, 1), (down, -1)):
        values = [row["value"] for row in rows]
        present = [value for value in values if value is not None]
        assert values == [*present, *[None] * (len(values) - len(present))]
        assert present == sorted(present, key=lambda value: sign * value)


def test_trials_table_has_a_line_per_trial_and_the_searched_dimensions(look):
    lines = look("trials", "flowers", "--limit", 5).splitlines()
    assert len(lines) == 6
    assert "ce_weight" in lines[0]
    assert "depth" in lines[0]
    assert "width" not in lines[0]


def test_trials_output_takes_its_format_from_the_ending(look, tmp_path):
    look("trials", "flowers", "--output", tmp_path / "trials.json", "--limit", 3)
    assert len(json.loads((tmp_path / "trials.json").read_text())) == 3
    look("trials", "flowers", "--output", tmp_path / "trials.txt")
    assert len((tmp_path / "trials.txt").read_text().splitlines()) == 13


def test_trials_to_a_folder_that_is_not_there_is_one_line(look, tmp_path):
    said = look("trials", "flowers", "--output", tmp_path / "no" / "trials.csv", code=1)
    assert said == f"error: {tmp_path / 'no' / 'trials.csv'}: No such file or directory\n"


def test_show_holds_design_curves_and_ending(look, trials):
    number = next(trial["number"] for trial in trials if trial["ending"] == "completed")
    document = json.loads(look("show", "flowers", number, "--json"))
    assert document["value"] == trials[number]["value"]
    assert document["design"]["depth"] == trials[number]["depth"]
    curves = {curve["metric"]: curve["values"] for curve in document["curves"]}
    assert len(curves["validation_error"]) == 4
    assert curves["validation_error"][-1] == document["value"]
    shown = look("show", "flowers", number)
    assert "trained to the last epoch" in shown
    assert "validation_nll" in shown


def test_show_of_a_trial_that_is_not_there_names_the_last(look):
    said = look("show", "flowers", 99, code=2)
    assert said == "error: study 'flowers' has trials 0 to 11, but not 99\n"


def test_show_of_what_has_no_trials_yet_says_what_makes_them(bench):
    for spec in (bench.make_spec(), make_planned()):
        bench.prepare(spec)
    for name, way in (
        ("study", "launch it to make some"),
        ("parent-confirm", "`archloss confirm parent` trains what is planned"),
    ):
        result = run("show", name, 0, "--folder", bench.folder)
        assert result.exit_code == 2
        assert result.stderr == f"error: study '{name}' has no trials yet: {way}\n"


@pytest.mark.parametrize("command", ["status", "trials", "export", "delete"])
def test_an_unknown_study_names_the_nearest(look, command):
    said = look(command, "flower", code=2)
    assert said.startswith("error: ")
    assert "'flowers'" in said


def predict(network, home):
    import torch

    from archloss.spaces.data import load_dataset, split_dataset

    splits = split_dataset(load_dataset("iris"), validation_fraction=0.2, test_fraction=0.2, seed=0)
    x = torch.from_numpy(splits.x_validation.astype(np.float32))
    with torch.no_grad():
        guesses = network(x).argmax(dim=1).numpy()
    return float(np.mean(guesses != splits.y_validation))


def test_export_of_the_best_makes_the_error_that_was_told(home, look, trials, tmp_path):
    from archloss.spaces.export import load_network

    paths = look("export", "flowers", "--output", tmp_path / "net").split()
    assert sorted(paths) == sorted(str(path) for path in (tmp_path / "net").iterdir())
    description = json.loads((tmp_path / "net" / "network.json").read_text())
    best = min((t for t in trials if t["ending"] == "completed"), key=lambda t: t["value"])
    assert description["trial"] == best["number"]
    assert description["classes"] == ["setosa", "versicolor", "virginica"]
    assert len(description["inputs"]) == description["features"] == 4
    error = predict(load_network(tmp_path / "net"), home)
    assert error == pytest.approx(best["value"], abs=1e-6)


def test_export_without_kept_weights_trains_again_to_the_same_error(home, look, trials, tmp_path):
    from archloss.spaces.export import load_network

    completed = [trial for trial in trials if trial["ending"] == "completed"]
    worst = max(completed, key=lambda trial: trial["value"])
    options = ["--trial", worst["number"], "--output", tmp_path, "--folder", home / "studies"]
    result = run("export", "flowers", *options)
    assert result.exit_code == 0
    assert "were not kept: training it again" in result.stderr
    error = predict(load_network(tmp_path), home)
    assert error == pytest.approx(worst["value"], abs=1e-6)


def test_export_of_what_has_no_network_says_why(look, tmp_path):
    assert "has trials 0 to 11" in look("export", "flowers", "--trial", 99, code=2)
    assert "a number or 'best'" in look("export", "flowers", "--trial", "worst", code=2)


def test_delete_asks_and_then_deletes(tmp_path):
    places = ["--folder", tmp_path, "--name", "gone"]
    small = ["--set", "space.depth.high=2", "--epochs", 1, "--trials", 2]
    local = ["--executor", "inline", "--pack", 2, "--device", "cpu", "--pruner", "none"]
    assert run("launch", "--dataset", "iris", *small, *local, *places).exit_code == 0
    (tmp_path / "gone" / "mine.txt").write_text("keep")
    for report in ("report", "report-learning_rate-depth"):
        (tmp_path / "gone" / report).mkdir()
        (tmp_path / "gone" / report / "report.html").write_text("ours")
    (tmp_path / "gone" / "report-mine.txt").write_text("keep")
    refused = run("delete", "gone", "--folder", tmp_path)
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert json.loads(run("list", "--json", "--folder", tmp_path).stdout) != []
    assert run("delete", "gone", "--yes", "--folder", tmp_path).exit_code == 0
    assert json.loads(run("list", "--json", "--folder", tmp_path).stdout) == []
    left = {path.name for path in (tmp_path / "gone").iterdir()}
    assert left == {"mine.txt", "report-mine.txt"}


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("y", 0)])
def test_delete_takes_an_answer_from_a_terminal(tmp_path, monkeypatch, answer, left):
    from archloss.search.cli import deleting
    from archloss.storage.database import Database

    database = Database(f"sqlite:///{tmp_path / 'studies.db'}")
    database.create_study(name="gone", spec="{}", digest="d", fingerprint="f", environment={})
    database.close()
    monkeypatch.setattr(deleting, "is_terminal", lambda: True)
    result = run("delete", "gone", "--folder", tmp_path, input=f"{answer}\n")
    assert "with its 0 trials, for good?" in result.stderr
    assert result.exit_code == (0 if answer == "y" else 1)
    assert len(json.loads(run("list", "--json", "--folder", tmp_path).stdout)) == left


def launch_long(folder, **options):
    """Start a launch that would take minutes."""
    command = [
        *(sys.executable, "-m", "archloss", "launch", "--dataset", "digits"),
        *("--trials", "5000", "--pack", "2", "--device", "cpu", "--executor", "inline"),
        *("--folder", str(folder)),
    ]
    return subprocess.Popen(command, **options)


def wait_for_trials(folder):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        result = run("list", "--json", "--folder", folder)
        studies = json.loads(result.stdout) if result.exit_code == 0 else []
        if studies and studies[0]["counts"].get("COMPLETE", 0) > 0:
            return
        time.sleep(0.5)
    raise AssertionError("the launch finished no trial")


def test_ctrl_c_pauses_sums_up_and_exits_with_130(tmp_path):
    program = launch_long(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_trials(tmp_path)
    program.send_signal(signal.SIGINT)
    shown, talk = program.communicate(timeout=120)
    assert program.returncode == 130
    assert "paused: launch it again to go on" in talk
    assert "Study 'digits' on digits:" in shown
    assert "Traceback" not in talk
    [study] = json.loads(run("list", "--json", "--folder", tmp_path).stdout)
    assert study["counts"].get("RUNNING", 0) == 0


def test_ctrl_c_twice_says_how_to_go_on(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("archloss.search.launch.run_study", stop)
    local = ["--executor", "inline", "--pack", 2, "--device", "cpu"]
    result = run("launch", "--dataset", "iris", *local, "--folder", tmp_path)
    assert result.exit_code == 130
    assert result.stderr.endswith("stopped at once; run it again to take up what was running\n")


def test_a_terminal_gets_a_bar(tmp_path):
    master, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    program = launch_long(
        tmp_path, stdout=subprocess.PIPE, stderr=terminal, env=environment, text=True
    )
    os.close(terminal)
    wait_for_trials(tmp_path)
    program.send_signal(signal.SIGINT)
    seen = b""
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:  # how a terminal says that the other end is closed
        pass
    os.close(master)
    assert program.wait(timeout=120) == 130
    program.stdout.close()
    text = seen.decode()
    assert "\x1b[2K" in text
    assert "/5000 trials" in text
