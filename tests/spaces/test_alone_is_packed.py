"""Alone = packed: a member's numbers are those of its solo run, whatever its company."""

import dataclasses
import random

import pytest
import torch

from archloss.spaces.chunk import Chunk
from archloss.spaces.recipe import Recipe
from archloss.spaces.training import split_into_chunks

CPU = torch.device("cpu")
# 75 examples in batches of 16 are 5 steps an epoch, the last one shorter: 20 steps.
RECIPE = Recipe(dataset="small", epochs=4, batch_size=16, seed=3)


def run_packed(members, recipe, data, *, until=4):
    """Train by chunks; return each member's weights, and its losses step by step."""
    weights, losses = {}, {}
    with torch.no_grad():
        for indices in split_into_chunks(members, recipe, CPU):
            chunk = Chunk([members[i] for i in indices], recipe, data, CPU)
            steps = []
            take_step = chunk.train_step

            def note_step(batch, generators, take_step=take_step, steps=steps):
                loss = take_step(batch, generators)
                steps.append(loss / batch.shape[1])
                return loss

            chunk.train_step = note_step
            while chunk.epochs_done < until:
                chunk.train_epoch()
            for position, index in enumerate(indices):
                weights[index] = chunk.network.parameters.save_member(position)
                losses[index] = [float(step[position]) for step in steps]
    return weights, losses


def relative_distance(a, b):
    if not bool(b.isfinite().all()):  # a member that diverged alone must diverge in company
        return 0.0 if not bool(a.isfinite().all()) else float("inf")
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("seed", range(12))
def test_weights_equal_the_solo_run_in_float64(seed, make_data, random_members, solo_run):
    recipe = dataclasses.replace(
        RECIPE,
        precision="float64",
        scale=random.Random(seed).choice(["raw", "balanced"]),
        gradient_clip=random.Random(seed).choice([0.0, 0.5]),
    )
    data, members = make_data("float64"), random_members(seed)
    weights, losses = run_packed(members, recipe, data)
    for index, member in enumerate(members):
        solo = solo_run(member, recipe, data)
        for epoch in range(1, 5):
            solo.train_epoch(epoch)
        assert len(solo.losses) == 20
        assert relative_distance(weights[index], solo.weights()) < 1e-9, member.design
        assert losses[index] == pytest.approx(solo.losses, rel=1e-9, nan_ok=True)


def solo_losses(solo_run, member, recipe, data):
    solo = solo_run(member, recipe, data)
    for epoch in range(1, 5):
        solo.train_epoch(epoch)
    return torch.tensor(solo.losses, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(100, 108))
def test_losses_equal_the_solo_run_in_float32(seed, make_data, random_members, solo_run):
    data, exact_data, members = make_data("float32"), make_data("float64"), random_members(seed)
    _, losses = run_packed(members, RECIPE, data)
    tight = 0
    for index, member in enumerate(members):
        solo = solo_losses(solo_run, member, RECIPE, data)
        exact = solo_losses(solo_run, member, RECIPE, exact_data)
        gap = ((torch.tensor(losses[index], dtype=torch.float64) - solo) / solo).abs()
        # A deep plain network amplifies float32's rounding past 1e-4 all by itself: the solo
        # run's own distance from float64 is then the yardstick, and such members are few.
        room = (10 * ((solo - exact) / exact).abs().cummax(0).values).clamp(min=1e-4)
        assert bool(((gap <= room) | solo.isnan()).all()), member.design
        tight += bool((gap <= 1e-4).all())
    assert tight >= 0.75 * len(members)


@pytest.mark.parametrize("seed", range(200, 206))
def test_order_and_company_do_not_matter(seed, make_data, random_members):
    recipe = dataclasses.replace(RECIPE, precision="float64")
    data, members = make_data("float64"), random_members(seed)
    weights, _ = run_packed(members, recipe, data)
    shuffled = list(range(len(members)))
    random.Random(seed).shuffle(shuffled)
    kept = shuffled[: len(members) // 2 + 1]
    fewer, _ = run_packed([members[i] for i in kept], recipe, data)
    for position, index in enumerate(kept):
        assert relative_distance(fewer[position], weights[index]) < 1e-12


@pytest.mark.parametrize("seed", range(300, 306))
def test_rung_boundaries_and_repacking_do_not_matter(seed, make_data, random_members):
    recipe = dataclasses.replace(RECIPE, precision="float64")
    data, members = make_data("float64"), random_members(seed)
    weights, _ = run_packed(members, recipe, data)
    rng = random.Random(seed)
    at_rung = []
    with torch.no_grad():
        for indices in split_into_chunks(members, recipe, CPU):
            chunk = Chunk([members[i] for i in indices], recipe, data, CPU)
            chunk.train_epoch()
            at_rung += [
                (i, dataclasses.replace(members[i], epochs_done=1, state=chunk.save_state(p)))
                for p, i in enumerate(indices)
            ]
    rng.shuffle(at_rung)
    again, _ = run_packed([member for _, member in at_rung], recipe, data)
    for position, (index, _) in enumerate(at_rung):
        assert relative_distance(again[position], weights[index]) < 1e-12


@pytest.mark.parametrize("seed", range(400, 406))
def test_a_diverging_neighbour_changes_no_bit(seed, make_data, random_members):
    data, members = make_data("float32"), random_members(seed, same_kind=True)
    victim = random.Random(seed).randrange(len(members))
    wild = list(members)
    design = dataclasses.replace(
        members[victim].design, learning_rate=1e6, mse_on="logits", ce_weight=0.0
    )
    wild[victim] = dataclasses.replace(members[victim], design=design)
    calm_weights, calm_losses = run_packed(members, RECIPE, data)
    wild_weights, wild_losses = run_packed(wild, RECIPE, data)
    for index in range(len(members)):
        if index != victim:
            assert torch.equal(calm_weights[index], wild_weights[index])
            assert calm_losses[index] == wild_losses[index]
