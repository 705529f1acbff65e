"""AdamW's two ways of computing agree, clipping is torch's, schedules begin and end right."""

import pytest
import torch

from archloss.spaces.design import Design
from archloss.spaces.optimizers import PackedAdamW, clip_gradients
from archloss.spaces.parameters import FlatParameters, initial_vector
from archloss.spaces.schedules import schedule_factor
from archloss.spaces.shape import Shape

SHAPE = Shape(features=3, classes=2, width=4)
DESIGNS = [
    Design(depth=5, width=4, learning_rate=1e-2, weight_decay=0.1, schedule="constant"),
    Design(depth=2, width=4, learning_rate=3e-3, weight_decay=0.0, schedule="linear"),
    Design(depth=0, width=4, learning_rate=1e-3, weight_decay=0.01, schedule="cosine"),
]


def make_flat(seed):
    depths = [design.depth for design in DESIGNS]
    flat = FlatParameters(SHAPE, depths, dtype=torch.float64, device=torch.device("cpu"))
    flat.flat.normal_(generator=torch.Generator().manual_seed(seed))
    return flat


def make_adamw():
    groups = [make_flat(seed) for seed in range(2)]
    buffers = {name: make_flat(2) for name in PackedAdamW.buffer_names}
    for buffer in buffers.values():
        buffer.flat.zero_()
    return PackedAdamW(*groups, buffers, DESIGNS, steps=0, total_steps=7), groups


def test_fused_and_flat_adamw_agree():
    results = []
    for fused in (True, False):
        optimizer, (parameters, gradients) = make_adamw()
        assert optimizer.fused  # this test is about a CPU, where torch has the fused kernel
        optimizer.fused = fused
        for step in range(5):
            gradients.flat.normal_(generator=torch.Generator().manual_seed(10 + step))
            optimizer.step()
        results.append(parameters.flat.clone())
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-14)


def test_clipping_is_torchs_for_each_member():
    gradients = make_flat(4)
    expected = []
    for member in range(3):
        views = [torch.nn.Parameter(view.clone()) for view in gradients.member_views(member)]
        for view in views:
            view.grad = view.detach().clone()
        torch.nn.utils.clip_grad_norm_(views, 2.0)
        expected.append(torch.cat([view.grad.flatten() for view in views]))
    clip_gradients(gradients, 2.0)
    for member in range(3):
        torch.testing.assert_close(gradients.save_member(member), expected[member])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_schedules_begin_at_one_and_only_constant_stays(schedule):
    factors = [schedule_factor(schedule, step=step, total_steps=10) for step in range(11)]
    assert factors[0] == 1.0
    assert factors == sorted(factors, reverse=True)
    assert factors[10] == pytest.approx(1.0 if schedule == "constant" else 0.0, abs=1e-15)
    assert factors[5] == pytest.approx(1.0 if schedule == "constant" else 0.5)


def test_a_member_is_loaded_and_saved_unchanged():
    flat = make_flat(5)
    before = [flat.save_member(member) for member in range(3)]
    vector = torch.arange(SHAPE.count(2), dtype=torch.float64)
    flat.load_member(1, vector)
    assert torch.equal(flat.save_member(1), vector)
    assert torch.equal(flat.save_member(0), before[0])
    assert torch.equal(flat.save_member(2), before[2])


def test_a_shallow_network_starts_as_the_beginning_of_a_deep_one():
    deep, shallow = (
        initial_vector(SHAPE, depth=depth, activation="relu", seed=1, replicate=2)
        for depth in (7, 3)
    )
    assert len(shallow) == SHAPE.count(3)
    assert torch.equal(deep[: len(shallow)], shallow)


def test_initial_weights_differ_between_replicates_and_seeds():
    draws = [
        initial_vector(SHAPE, depth=1, activation="relu", seed=seed, replicate=replicate)
        for seed, replicate in [(0, 0), (0, 1), (1, 0)]
    ]
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
