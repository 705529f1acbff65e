"""A space in a Ray Tune run of the user's own: checked against a real `tune.Tuner`."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from archloss.spaces.catalogue import RESIDUAL_MLP
from archloss.spaces.dimensions import Choice, Float, Integer, When
from archloss.spaces.errors import SpaceError
from archloss.spaces.jobs import guess, train
from archloss.spaces.pack import Member, Pack
from archloss.spaces.recipe import Recipe
from archloss.workers.tune import make_design, make_param_space, make_trainable

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("tune_run.py")
# A Ray that listens on this machine alone, whatever cluster the user's settings name; its token
# and results stay out of the user's home.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_ADDRESS": "",
}
DIMENSIONS = {
    **RESIDUAL_MLP.dimensions,
    "depth": Integer(low=0, high=4, log=True),
    "width": Choice(values=(8,)),
    "learning_rate": Float(low=1e-3, high=1e3, log=True),
    "optimizer": Choice(values=("sgd",)),
    "normalisation": Choice(values=("none",)),
}


def write_rings(path):
    """Two rings, one around the other, with noise: a linear classifier cannot tell them apart."""
    generator = np.random.default_rng(0)
    angle, side = generator.uniform(0, 2 * np.pi, 240), generator.integers(0, 2, 240)
    radius = 1 + side + generator.normal(0, 0.1, 240)
    points = zip(radius, angle, side, strict=True)
    rows = [f"{r * np.cos(a):.6f},{r * np.sin(a):.6f},{s}" for r, a, s in points]
    path.write_text("\n".join(["x,y,class", *rows]) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def outcome():
    # A short path: those of Ray's sockets may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="tune-") as name:
        folder = Path(name)
        write_rings(folder / "rings.csv")
        result = subprocess.run(
            [sys.executable, str(PROGRAM), name],
            cwd=folder,
            env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT), "HOME": name},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert result.returncode == 0, result.stderr[-4000:]
        outcome = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
        outcome["recipe"] = Recipe(
            dataset=str(folder / "rings.csv"), target="class", epochs=9, batch_size=32, replicates=2
        )
        yield outcome


def train_alone(trial, recipe):
    """Train a Tune trial's design as archloss does; return its reports."""
    design = make_design(DIMENSIONS, trial["config"])
    members = tuple(Member(trial_number=0, replicate=r, design=design) for r in range(2))
    pack = Pack(members=members, recipe=recipe, until_epoch=trial["metrics"]["epoch"], device="cpu")
    return train(pack).reports


def test_no_trial_fails_though_steep_learning_rates_diverge(outcome):
    trials = outcome["asha"] + outcome["optuna"]
    assert [trial["error"] for trial in trials] == [None] * 11
    assert any(trial["metrics"]["diverged"] == 2 for trial in trials)


def test_asha_stops_some_trials_early_and_lets_the_best_reach_the_end(outcome):
    finite = [trial for trial in outcome["asha"] if not trial["metrics"]["diverged"]]
    epochs = [trial["metrics"]["epoch"] for trial in finite]
    assert max(epochs) == 9
    assert min(epochs) < 9
    assert all(
        trial["metrics"]["training_iteration"] == trial["metrics"]["epoch"]
        for trial in outcome["asha"]
    )


def test_a_trial_of_tune_computes_what_archloss_computes(outcome):
    finite = [trial for trial in outcome["asha"] if not trial["metrics"]["diverged"]]
    for trial in finite:
        reports = train_alone(trial, outcome["recipe"])
        for metric, value in reports[0].curves.items():
            expected = np.mean([value[-1], reports[1].curves[metric][-1]])
            assert trial["metrics"][metric] == pytest.approx(expected, rel=1e-4)


def test_a_trial_that_diverges_scores_as_guessing(outcome):
    guessed = guess(outcome["recipe"])
    trials = [t for t in outcome["asha"] + outcome["optuna"] if t["metrics"]["diverged"] == 2]
    for trial in trials:
        assert {key: trial["metrics"][key] for key in guessed} == pytest.approx(guessed)
        assert trial["metrics"]["done"]


def test_a_trial_goes_on_from_its_checkpoint_as_if_never_stopped(outcome):
    recipe = outcome["recipe"]
    stopped = [
        trial
        for trial in outcome["asha"]
        if trial["metrics"]["epoch"] < 9 and not trial["metrics"]["diverged"]
    ]
    trial = stopped[0]
    resumed = make_trainable(DIMENSIONS, recipe, device="cpu")(config=trial["config"])
    resumed.restore(trial["checkpoint"])
    result = resumed.train()
    assert result["epoch"] == trial["metrics"]["epoch"] + 1
    trial["metrics"]["epoch"] += 1
    reports = train_alone(trial, recipe)
    errors = [report.curves["validation_nll"][-1] for report in reports]
    assert result["validation_nll"] == pytest.approx(np.mean(errors), rel=1e-4)


def test_optuna_search_stays_inside_the_space(outcome):
    for trial in outcome["optuna"]:
        design = make_design(DIMENSIONS, trial["config"])
        assert 0 <= design.depth <= 4
        assert 0.0 <= design.ce_weight <= 1.0
        assert 1e-3 <= design.learning_rate <= 1e3


def test_param_space_draws_every_value_of_a_dimension_and_no_other():
    space = make_param_space(
        {
            "depth": Integer(low=0, high=3, log=True),
            "width": Integer(low=2, high=4),
            "residual": Choice(values=(False, True)),
            "momentum": Choice(values=(0.9,)),
            "dropout": Float(low=0.1, high=0.1),
        }
    )
    assert {space["depth_plus_1"].sample() for _ in range(200)} == {1, 2, 3, 4}
    assert {space["width"].sample() for _ in range(200)} == {2, 3, 4}
    assert {space["residual"].sample() for _ in range(50)} == {False, True}
    assert (space["momentum"], space["dropout"]) == (0.9, 0.1)


def test_make_design_undoes_the_shift_and_keeps_conditions():
    condition = When(parent="ce_weight", values=(1.0,), otherwise="logits")
    dimensions = {
        "depth": Integer(low=0, high=8, log=True),
        "ce_weight": Choice(values=(0.5, 1.0)),
        "mse_on": Choice(values=("probabilities", "logits"), when=condition),
        "learning_rate": Float(low=1, high=10),
    }
    config = {"depth_plus_1": 1, "ce_weight": 0.5, "mse_on": "probabilities", "learning_rate": 2.5}
    design = make_design(dimensions, config)
    assert (design.depth, design.mse_on, design.learning_rate) == (0, "logits", 2.5)
    assert asdict(make_design(dimensions, config | {"ce_weight": 1.0}))["mse_on"] == "probabilities"


def test_make_design_names_keys_that_are_missing_or_unknown():
    with pytest.raises(SpaceError, match=r"lacks \['depth_plus_1'\] and has \['deep'\]"):
        make_design({"depth": Integer(low=0, high=8, log=True)}, {"deep": 3})


def test_make_trainable_refuses_an_unknown_space():
    with pytest.raises(SpaceError, match=r"residual-mlp.*'conv'"):
        make_trainable(DIMENSIONS, Recipe(dataset="digits"), space="conv")


def test_tune_that_is_missing_is_named_with_the_way_to_install_it():
    code = "import sys; sys.modules['ray'] = None; import archloss.workers.tune"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert "pip install 'archloss[tune]'" in result.stderr.splitlines()[-1]
