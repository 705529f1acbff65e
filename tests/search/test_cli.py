"""The command line without a study: help, documentation, errors and exit codes."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archloss.search.cli.app import app
from archloss.search.cli.commands import COMMANDS
from archloss.search.cli.failures import choose_exit_code
from archloss.search.cli.launching import make_study_name
from archloss.search.launch import FolderError, StudyDiffersError
from archloss.search.loop import StudyStoppedError
from archloss.search.spec import SpecError
from archloss.spaces.catalogue import SPACES
from archloss.spaces.errors import DataError
from archloss.storage.errors import (
    StorageError,
    StorageURLError,
    StudyExistsError,
    StudyNotFoundError,
)
from archloss.workers.cluster import ClusterError
from archloss.workers.executor import WorkerLostError

ROOT = Path(__file__).parents[2]
NAMES = [command.name for command in COMMANDS]
WIDE = {"COLUMNS": "160", "TERM": "dumb"}


def run(*arguments, **options):
    return CliRunner(env=WIDE).invoke(app, [str(part) for part in arguments], **options)


def run_program(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "archloss", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_every_command_has_help_with_its_examples(command):
    result = run(command.name, "--help")
    assert result.exit_code == 0
    assert command.function.__doc__.splitlines()[0] in result.stdout
    for example in command.examples:
        assert example.startswith(f"archloss {command.name}")
        assert f"Example: {example}" in result.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_no_paragraph_of_help_has_a_line_end_of_its_own(command):
    for paragraph in inspect.getdoc(command.function).split("\n\n"):
        assert "\n" not in paragraph  # which would be shown at any width


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_every_command_and_option_is_documented(command):
    document = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert f"## archloss {command.name}\n" in document
    for example in command.examples:
        assert f"\n{example}\n" in document


def test_every_option_is_documented_somewhere():
    document = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for name in NAMES:
        for word in run(name, "--help").stdout.split():
            if word.startswith("--") and word.isascii() and word != "--help":
                assert word.partition("=")[0] in document, f"{word} of {name}"


def test_help_of_the_program_lists_every_command_and_the_exit_codes():
    result = run("--help")
    assert result.exit_code == 0
    for name in NAMES:
        assert f"{name} " in result.stdout
    assert "130" in result.stdout


@pytest.mark.parametrize("name", ["", *NAMES])
def test_help_loads_nothing_heavy(name):
    code = (
        "import sys\n"
        "from archloss.search.cli.app import app\n"
        f"assert not app({[*filter(None, [name]), '--help']}, standalone_mode=False)\n"
        "heavy = {'torch', 'optuna', 'sqlalchemy', 'pandas', 'numpy', 'sklearn', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)


def test_spaces_shows_every_dimension_of_a_space():
    shown = run("spaces", "residual-mlp").stdout
    for name in SPACES["residual-mlp"].dimensions:
        assert name in shown
    [document] = json.loads(run("spaces", "residual-mlp", "--json").stdout)
    assert document["dimensions"]["depth"] == {
        "kind": "integer",
        "low": 1,
        "high": 32,
        "log": True,
        "when": None,
    }


def test_spaces_refuses_an_unknown_name_and_says_which_there_are():
    result = run("spaces", "residual-cnn")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == "error: there is no space 'residual-cnn'; there are: residual-mlp\n"


def test_datasets_lists_the_bundled_ones():
    names = [info["name"] for info in json.loads(run("datasets", "--json").stdout)]
    assert {"digits", "wine", "iris", "breast-cancer"} <= set(names)
    shown = run("datasets").stdout
    for name in names:
        assert name in shown


def test_version_is_the_packages():
    import archloss

    assert run("version").stdout.splitlines()[0] == f"archloss {archloss.__version__}"
    assert json.loads(run("version", "--json").stdout)["archloss"] == archloss.__version__


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lunch"], "Did you mean 'launch'?"),
        (["launch"], "a study file, or --dataset"),
        (["launch", "--trials", "many", "--dataset", "iris"], "--trials"),
        (["show", "digits"], "NUMBER"),
        (["show", "digits", "-1"], "-1"),
        (["trials", "digits", "--format", "xml"], "xml"),
        (["trials", "digits", "--format", "parquet"], "--output FILE"),
        (["status", "--storage", "mysql://host/studies"], "its scheme is 'mysql'"),
        (["trials", "digits", "--sort", "height"], "there is no column 'height'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors_exit_with_2_and_say_what_is_wrong(arguments, said):
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (DataError, 2),
        (SpecError, 2),
        (StudyDiffersError, 2),
        (StudyNotFoundError, 2),
        (StudyExistsError, 2),
        (FolderError, 2),
        (StorageURLError, 2),
        (StorageError, 1),
        (ClusterError, 1),
        (StudyStoppedError, 1),
        (WorkerLostError, 1),
        (PermissionError, 1),
        (KeyError, 1),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value),
)
def test_exit_code_tells_bad_input_from_what_failed_while_running(kind, code):
    assert choose_exit_code(kind("no")) == code


def test_a_defect_is_named_as_one_without_a_traceback(monkeypatch):
    from archloss.spaces import data

    def fail():
        raise KeyError("colour")

    monkeypatch.setattr(data, "list_datasets", fail)
    result = run("datasets")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: KeyError: 'colour'")
    assert "archloss --debug" in result.stderr
    assert "Traceback" not in result.stderr
    assert isinstance(run("--debug", "datasets").exception, KeyError)


@pytest.mark.parametrize("command", ["status", "list", "trials digits", "show digits 0"])
def test_looking_where_nothing_is_makes_nothing(command, tmp_path):
    result = run(*command.split(), "--folder", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "there are no studies yet" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path):
    result = run_program("--debug", "list", "--folder", tmp_path)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    quiet = run_program("list", "--folder", tmp_path)
    assert quiet.returncode == 2
    assert len(quiet.stderr.splitlines()) == 1


def test_a_closed_pipe_says_nothing():
    reading, writing = os.pipe()
    os.close(reading)
    program = subprocess.run(
        [sys.executable, "-m", "archloss", "version"],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert program.stderr == b""
    assert program.returncode == 1


def test_output_that_the_terminal_cannot_spell_is_not_an_error(tmp_path):
    result = run_program("spaces", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert result.returncode == 0
    assert "residual-mlp" in result.stdout


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("digits", "digits"),
        ("digits:label_noise=0.2", "digits-label_noise-0.2"),
        ("/data/my wine.csv", "my-wine"),
        ("openml:credit-g@1", "credit-g-1"),
        ("my.module:load", "my.module-load"),
        ("...", "study"),
    ],
)
def test_study_is_named_after_its_data(dataset, name):
    assert make_study_name(dataset) == name
