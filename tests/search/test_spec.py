"""Reading a study file: what it may leave out, what is laid over it, and what a study is."""

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from archloss.search.errors import SpecError
from archloss.search.spec import Spec, differing_keys, read_spec
from archloss.spaces.catalogue import SPACES
from archloss.spaces.dimensions import Choice, Float, Integer, When
from archloss.spaces.recipe import Recipe

MINIMAL = {"name": "a", "dataset": "digits"}
FILE = """
name = "digits-depth-mix"
dataset = "digits"
trials = 400

[space]
depth = { low = 1, high = 64, log = true }
residual = [true]
width = 16
ce_weight = { low = 0, high = 1 }

[recipe]
epochs = 30
validation_fraction = 0.25
"""


@pytest.fixture
def study_file(tmp_path):
    path = tmp_path / "digits.toml"
    path.write_text(FILE)
    return path


def test_two_keys_make_a_study():
    spec = read_spec(None, [], MINIMAL)
    assert spec == Spec(name="a", dataset="digits")
    assert spec.dimensions() == dict(SPACES["residual-mlp"].dimensions)
    assert spec.make_recipe() == Recipe(dataset="digits")
    assert (spec.trials, spec.minutes, spec.objective) == (200, None, "validation_error")
    assert (spec.search.sampler, spec.search.pruner, spec.search.keep_weights) == (
        "tpe",
        "none",
        10,
    )
    workers = spec.workers
    assert (workers.executor, workers.processes, workers.pack) == ("local", "auto", "auto")
    assert workers.device == "auto"


def test_a_file_is_laid_over_the_defaults(study_file):
    spec = read_spec(study_file)
    assert spec.trials == 400
    assert spec.recipe.epochs == 30
    assert spec.recipe.batch_size == 128
    dimensions = spec.dimensions()
    assert dimensions["depth"] == Integer(low=1, high=64, log=True)
    assert dimensions["residual"] == Choice(values=(True,))
    assert dimensions["width"] == Choice(values=(16,))
    assert dimensions["ce_weight"] == Float(low=0.0, high=1.0)
    assert dimensions["learning_rate"] == SPACES["residual-mlp"].dimensions["learning_rate"]
    assert spec.make_recipe() == Recipe(dataset="digits", epochs=30, validation_fraction=0.25)


def test_options_are_laid_over_the_file_and_overrides_over_both(study_file):
    values = {"recipe.epochs": 3, "search.sampler": "gp", "workers.processes": "2"}
    spec = read_spec(study_file, ["recipe.epochs=4"], values)
    assert (spec.recipe.epochs, spec.search.sampler, spec.workers.processes) == (4, "gp", 2)
    assert spec.trials == 400


@pytest.mark.parametrize(
    ("override", "name", "dimension"),
    [
        ("space.depth.high=8", "depth", Integer(low=1, high=8, log=True)),
        ("space.learning_rate.log=false", "learning_rate", Float(low=3e-4, high=3e-2)),
        ("space.depth=8", "depth", Choice(values=(8,))),
        ("space.width.choices=[16, 32]", "width", Choice(values=(16, 32))),
        ("space.activation=gelu", "activation", Choice(values=("gelu",))),
        ('space.activation=["relu", "gelu"]', "activation", Choice(values=("relu", "gelu"))),
        ("space.depth.choices=[1, 2]", "depth", Choice(values=(1, 2))),
        ("space.depth={low=2, high=4}", "depth", Integer(low=2, high=4)),
        ("space.dropout={low=0, high=0.5}", "dropout", Float(low=0.0, high=0.5)),
        ("space.depth.low=0", "depth", Integer(low=0, high=32, log=True)),
    ],
)
def test_an_override_starts_from_the_default_dimension(override, name, dimension):
    assert read_spec(None, [override], MINIMAL).dimensions()[name] == dimension


def test_an_override_starts_from_the_files_dimension(study_file):
    spec = read_spec(study_file, ["space.depth.low=0"])
    assert spec.dimensions()["depth"] == Integer(low=0, high=64, log=True)


@pytest.mark.parametrize("name", ["2026", "1.5", "2026-01-01", "true", "'quoted'"])
def test_text_needs_no_quotes(name):
    spec = read_spec(None, [f"name={name}", "target=3"], {"dataset": "digits"})
    assert spec.name == name.strip("'")
    assert spec.target == "3"


def test_a_condition_becomes_one_of_the_space():
    momentum = {
        "low": 0.5,
        "high": 0.99,
        "when": {"parent": "optimizer", "values": ["sgd"]},
        "otherwise": 0.9,
    }
    values = {**MINIMAL, "space.optimizer": ["adamw", "sgd"], "space.momentum": momentum}
    assert read_spec(None, [], values).dimensions()["momentum"] == Float(
        low=0.5, high=0.99, when=When(parent="optimizer", values=("sgd",), otherwise=0.9)
    )


@pytest.mark.parametrize(
    ("given", "trials"),
    [
        ({}, 200),
        ({"minutes": 3}, None),
        ({"minutes": 3, "trials": 5}, 5),
        ({"search.sampler": "grid"}, 5 * 2 * 5 * 5 * 5),
        ({"search.sampler": "grid", "trials": 7}, 7),
        ({"search.sampler": "grid", "minutes": 1}, None),
    ],
)
def test_the_budget_that_is_left_out(given, trials):
    assert read_spec(None, [], {**MINIMAL, **given}).trials == trials


def test_a_spec_survives_json(study_file):
    for spec in (read_spec(study_file), read_spec(None, [], {**MINIMAL, "minutes": 3.5})):
        assert Spec.from_json(spec.to_json()) == spec
        assert Spec.from_json(spec.to_json()).digest() == spec.digest()


def test_json_that_is_no_spec_is_refused_by_its_key():
    document = json.loads(Spec(name="a", dataset="digits").to_json())
    with pytest.raises(SpecError, match=r"unknown key 'later': .*\(the stored spec\)"):
        Spec.from_json(json.dumps({**document, "later": 1}))


def test_a_spec_is_frozen():
    spec = read_spec(None, [], MINIMAL)
    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "b"


def test_defaults_that_are_spelled_out_change_no_digest():
    spelled_out = {
        "objective": "validation_error",
        "recipe": {"epochs": 20, "gradient_clip": 0},
        "space": {"depth": {"log": True, "high": 32, "low": 1}, "width": [32], "dropout": 0},
        "search": {"sampler": "tpe"},
    }
    digest = read_spec(None, [], MINIMAL).digest()
    assert read_spec(None, [], {**MINIMAL, **spelled_out}).digest() == digest


def test_a_fixed_dimension_is_the_same_however_it_is_written():
    ways = (8, [8], {"low": 8, "high": 8}, {"low": 8.0, "high": 8, "log": True}, {"choices": [8]})
    assert len({read_spec(None, [], {**MINIMAL, "space.depth": way}).digest() for way in ways}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "b"},
        {"trials": 7},
        {"minutes": 7},
        {"workers.executor": "inline"},
        {"workers.device": "cpu"},
        {"search.keep_weights": 0},
    ],
)
def test_what_may_change_between_launches_changes_no_digest(change):
    one, other = read_spec(None, [], MINIMAL), read_spec(None, [], {**MINIMAL, **change})
    assert one.digest() == other.digest()
    assert differing_keys(one, other) == []


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ({"dataset": "iris"}, ["dataset"]),
        ({"objective": "validation_nll"}, ["objective"]),
        ({"recipe.epochs": 5, "search.seed": 3}, ["recipe.epochs", "search.seed"]),
        ({"space.depth": {"low": 2, "high": 32, "log": True}}, ["space.depth.low"]),
    ],
)
def test_what_makes_another_study_changes_the_digest_and_is_named(change, keys):
    one, other = read_spec(None, [], MINIMAL), read_spec(None, [], {**MINIMAL, **change})
    assert one.digest() != other.digest()
    assert differing_keys(one, other) == keys


def test_the_digest_is_the_same_in_another_process():
    code = "from archloss.search.spec import Spec; print(Spec(name='x', dataset='digits').digest())"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == read_spec(None, [], MINIMAL).digest()


def test_a_spec_is_read_without_torch_and_optuna():
    code = "import sys, archloss.search.spec; print({'torch', 'optuna'} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == "set()"
