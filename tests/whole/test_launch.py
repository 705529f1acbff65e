"""`archloss.launch` on real data: what it makes, and what it refuses."""

import os
import subprocess
import sys

import pytest

import archloss
from archloss.search.launch import FolderError, StudyDiffersError, open_study
from archloss.search.spec import Spec
from archloss.spaces.errors import DataError


def make_spec(**rest):
    return Spec.model_validate(
        {
            "name": "flowers",
            "dataset": "iris",
            "trials": 6,
            "space": {"name": "residual-mlp", "depth": {"low": 1, "high": 3}, "width": [8]},
            "recipe": {"epochs": 2, "batch_size": 32},
            "search": {"sampler": "random", "pruner": "none", "seed": 3},
            "workers": {"executor": "inline", "pack": 3, "device": "cpu"},
        }
        | rest
    )


class Notes:
    def __init__(self):
        self.notes, self.ended = [], None

    def on_start(self, spec, resumed):
        pass

    def on_progress(self, progress):
        pass

    def on_note(self, text):
        self.notes.append(text)

    def on_end(self, progress):
        self.ended = progress


def test_launch_makes_a_study_that_optuna_reads(tmp_path):
    study = archloss.launch(make_spec(), folder=tmp_path)
    assert study.folder == tmp_path / "flowers"
    assert study.folder.is_dir()
    assert len(study.trials()) == 6
    plain = study.optuna_study()
    assert [trial.value for trial in plain.trials] == [trial.value for trial in study.trials()]
    assert plain.best_value == study.summary().best_value
    record = study.database.get_study("flowers")
    assert record.environment["archloss"] == archloss.__version__
    assert {"python", "torch", "platform"} <= set(record.environment)
    study.database.close()


def test_launch_at_the_budget_says_so_and_runs_nothing(tmp_path):
    before = archloss.launch(make_spec(), folder=tmp_path)
    notes = Notes()
    after = archloss.launch(make_spec(), folder=tmp_path, observer=notes)
    assert "has its 6 trials already" in notes.notes[0]
    assert notes.ended is None
    assert after.trials() == before.trials()
    before.database.close()
    after.database.close()


def test_launch_with_another_spec_names_the_key_and_the_way_out(tmp_path):
    archloss.launch(make_spec(), folder=tmp_path).database.close()
    other = make_spec(recipe={"epochs": 3, "batch_size": 32})
    with pytest.raises(StudyDiffersError) as caught:
        archloss.launch(other, folder=tmp_path)
    assert "recipe.epochs: 2 then, 3 now" in str(caught.value)
    assert "--set recipe.epochs=2" in str(caught.value)


def test_launch_with_changed_data_is_refused(tmp_path):
    table = tmp_path / "table.csv"
    rows = [f"{number % 3},{number},{number * number % 7}" for number in range(60)]
    table.write_text("\n".join(["kind,a,b", *rows]))
    spec = make_spec(dataset=str(table), target="kind")
    archloss.launch(spec, folder=tmp_path).database.close()
    table.write_text(table.read_text().replace("0,57,", "0,58,"))
    with pytest.raises(DataError, match=r"the data of study 'flowers' have changed"):
        archloss.launch(spec, folder=tmp_path)


def test_launch_in_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="ARCHLOSS_FOLDER"):
        archloss.launch(make_spec(), folder=tmp_path / "file")


def test_launch_takes_folder_and_storage_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHLOSS_FOLDER", str(tmp_path / "here"))
    monkeypatch.setenv("ARCHLOSS_STORAGE", f"sqlite:///{tmp_path / 'there.db'}")
    archloss.launch(make_spec(), observer=None).database.close()
    assert (tmp_path / "here" / "flowers").is_dir()
    assert (tmp_path / "there.db").exists()
    study = open_study("flowers")
    assert len(study.trials()) == 6
    study.database.close()


def test_launch_on_two_processes_gives_each_design_what_inline_gives(tmp_path):
    inline = archloss.launch(make_spec(trials=8), folder=tmp_path / "inline")
    local = archloss.launch(
        make_spec(trials=8, workers={"executor": "local", "processes": 2, "pack": 2}),
        folder=tmp_path / "local",
    )
    expected = {tuple(sorted(t.params.items())): t.value for t in inline.trials()}
    found = {tuple(sorted(t.params.items())): t.value for t in local.trials()}
    assert found == pytest.approx(expected)  # the random sampler draws the same eight designs
    inline.database.close()
    local.database.close()


def test_launch_from_a_script_without_a_main_guard_loads_no_torch_in_the_driver(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, archloss\n"
        f"spec = archloss.Spec.from_json({make_spec().to_json()!r})\n"
        "spec = spec.model_copy(update={'workers': spec.workers.model_copy("
        "update={'executor': 'local', 'processes': 1})})\n"
        "study = archloss.launch(spec)\n"
        "print(len(study.trials()), 'torch' in sys.modules)\n"
    )
    environment = {**os.environ, "ARCHLOSS_FOLDER": str(tmp_path)}
    answer = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert answer.stdout.strip() == "6 False", answer.stderr
