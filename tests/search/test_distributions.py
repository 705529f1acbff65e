"""From dimensions to Optuna's distributions, and from parameters to designs and back."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from archloss.search.distributions import to_design, to_distributions, to_params
from archloss.search.spec import read_spec
from archloss.spaces.catalogue import SPACES
from archloss.spaces.dimensions import Choice, Float, Integer, When

SPACE = SPACES["residual-mlp"]


def make_dimensions(**space):
    values = {f"space.{name}": value for name, value in space.items()}
    return read_spec(None, [], {"name": "a", "dataset": "digits", **values}).dimensions()


def test_to_distributions_leaves_single_values_out():
    names = set(to_distributions(make_dimensions(depth=4, residual=True)))
    assert names == {"ce_weight", "learning_rate", "weight_decay"}


def test_to_distributions_keeps_ranges_logarithms_and_choices():
    distributions = to_distributions(
        {
            "depth": Integer(low=1, high=32, log=True),
            "ce_weight": Float(low=0.0, high=1.0),
            "width": Choice(values=(16, 32)),
        }
    )
    assert distributions == {
        "depth": IntDistribution(1, 32, log=True),
        "ce_weight": FloatDistribution(0.0, 1.0),
        "width": CategoricalDistribution((16, 32)),
    }


def test_to_distributions_shifts_a_logarithm_from_zero():
    assert to_distributions({"depth": Integer(low=0, high=32, log=True)}) == {
        "depth_plus_1": IntDistribution(1, 33, log=True)
    }


@pytest.mark.parametrize(("parameter", "depth"), [(1, 0), (2, 1), (33, 32)])
def test_to_design_takes_the_shift_back(parameter, depth):
    dimensions = make_dimensions(
        depth={"low": 0, "high": 32, "log": True},
        residual=True,
        ce_weight=0.5,
        learning_rate=0.01,
        weight_decay=0.0,
    )
    design = to_design(SPACE, dimensions, {"depth_plus_1": parameter})
    assert (design.depth, design.ce_weight, design.width) == (depth, 0.5, 32)


def test_to_design_resolves_conditions_on_asked_and_on_fixed_dimensions():
    when = {"parent": "optimizer", "values": ["sgd"]}
    momentum = {"low": 0.5, "high": 0.99, "when": when, "otherwise": 0.9}
    dimensions = make_dimensions(optimizer=["adamw", "sgd"], momentum=momentum)
    params = {
        "depth": 2,
        "residual": True,
        "ce_weight": 0.5,
        "learning_rate": 0.01,
        "weight_decay": 0.01,
        "momentum": 0.6,
    }
    assert "momentum" in to_distributions(dimensions)
    assert to_design(SPACE, dimensions, {**params, "optimizer": "sgd"}).momentum == 0.6
    assert to_design(SPACE, dimensions, {**params, "optimizer": "adamw"}).momentum == 0.9
    fixed = {**dimensions, "optimizer": Choice(values=("adamw",))}
    assert to_design(SPACE, fixed, params).momentum == 0.9


def test_every_dimension_is_asked_whatever_its_condition():
    dimensions = {
        "optimizer": Choice(values=("adamw", "sgd")),
        "momentum": Float(
            low=0.5,
            high=0.9,
            when=When(parent="optimizer", values=("sgd",), otherwise=0.9),
        ),
    }
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        assert set(study.ask(to_distributions(dimensions)).params) == {"optimizer", "momentum"}


@given(
    depth=st.integers(0, 20),
    residual=st.booleans(),
    ce_weight=st.floats(0, 1),
    width=st.sampled_from([8, 16]),
)
def test_to_params_is_the_way_back_from_a_design(depth, residual, ce_weight, width):
    dimensions = make_dimensions(
        depth={"low": 0, "high": 20, "log": True}, width=[8, 16], learning_rate=0.01
    )
    asked = {
        "depth": depth,
        "residual": residual,
        "ce_weight": ce_weight,
        "width": width,
        "weight_decay": 0.02,
        "learning_rate": 0.01,
    }
    params = to_params(dimensions, {**dict.fromkeys(dimensions), **asked})
    assert set(params) == set(to_distributions(dimensions))
    design = to_design(SPACE, dimensions, params)
    assert {name: getattr(design, name) for name in asked} == asked
