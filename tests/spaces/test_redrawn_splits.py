"""Redrawn splits: each replicate has its own, and a pack of several trains as each alone."""

import dataclasses

import numpy as np
import pytest
import torch

from archloss.spaces import resident, training
from archloss.spaces.data import load_dataset, split_dataset, split_labels
from archloss.spaces.design import Design
from archloss.spaces.pack import Member, Pack
from archloss.spaces.recipe import Recipe
from archloss.spaces.resident import load_resident
from archloss.spaces.training import split_into_chunks, train_pack

FIXED = Recipe(dataset="iris", epochs=3, batch_size=16, seed=7, precision="float64")
REDRAWN = dataclasses.replace(FIXED, split="redrawn")
CPU = torch.device("cpu")


def make_members(replicates):
    return tuple(
        Member(
            trial_number=number,
            replicate=replicate,
            design=Design(depth=number % 3, width=8, ce_weight=0.5, learning_rate=0.01),
        )
        for number, replicate in enumerate(replicates)
    )


def train(members, recipe=REDRAWN):
    return train_pack(Pack(members=members, recipe=recipe, until_epoch=3, device="cpu")).reports


def test_replicates_of_a_fixed_split_share_it_and_redrawn_ones_have_their_own():
    assert [FIXED.find_split_seed(replicate) for replicate in range(3)] == [7, 7, 7]
    seeds = [REDRAWN.find_split_seed(replicate) for replicate in range(1000)]
    assert len(set(seeds)) == 1000
    assert 7 not in seeds
    assert seeds[3] != dataclasses.replace(REDRAWN, seed=8).find_split_seed(3)


def test_a_replicate_is_trained_and_measured_on_the_split_of_its_seed():
    splits = split_dataset(
        load_dataset("iris"),
        validation_fraction=0.2,
        test_fraction=0.2,
        seed=REDRAWN.find_split_seed(3),
    )
    data = load_resident(REDRAWN, device=CPU, replicate=3)
    for part, x in (
        (data.train, splits.x_train),
        (data.validation, splits.x_validation),
        (data.test, splits.x_test),
    ):
        assert part.x.numpy() == pytest.approx(x)
    other = load_resident(REDRAWN, device=CPU, replicate=4)
    assert not torch.equal(data.train.x, other.train.x)


def test_a_pack_of_several_replicates_trains_each_as_it_would_alone():
    members = make_members([0, 3, 0, 1, 3, 3, 1])
    packed = train(members)
    for member, report in zip(members, packed, strict=True):
        [alone] = train((member,))
        assert report.replicate == member.replicate
        for metric, values in alone.curves.items():
            assert report.curves[metric] == pytest.approx(values, rel=1e-9)
        assert report.test == pytest.approx(alone.test, rel=1e-9)
        assert report.state.arrays["parameters"] == pytest.approx(
            alone.state.arrays["parameters"], rel=1e-9
        )


def test_a_redrawn_split_changes_the_data_and_nothing_else(monkeypatch):
    [report] = train(make_members([3]))
    [fixed] = train(make_members([3]), FIXED)
    assert report.curves != fixed.curves
    data = load_resident(REDRAWN, device=CPU, replicate=3)
    monkeypatch.setattr(training, "load_resident", lambda recipe, **rest: data)
    [same_data] = train(make_members([3]), FIXED)
    assert report.curves == same_data.curves


def test_chunks_hold_one_split():
    members = make_members([0, 3, 0, 1, 3])
    for indices in split_into_chunks(members, REDRAWN, CPU):
        assert len({members[index].replicate for index in indices}) == 1
    assert len(split_into_chunks(members, FIXED, CPU)) == 1


def test_a_worker_reads_the_data_once_and_keeps_two_splits(monkeypatch):
    read = []

    def load(name, target):
        read.append(name)
        return load_dataset(name, target)

    monkeypatch.setattr(resident, "load_dataset", load)
    resident._load_once.cache_clear()
    resident._split.cache_clear()
    for replicate in range(6):
        load_resident(REDRAWN, device=CPU, replicate=replicate)
    assert read == ["iris"]
    assert resident._split.cache_info().currsize == 2
    assert resident._place.cache_info().currsize == 2
    resident._load_once.cache_clear()


def test_labels_are_those_of_the_whole_split_also_with_noise():
    dataset = load_dataset("digits:label_noise=0.3")
    arguments = {"validation_fraction": 0.2, "test_fraction": 0.1}
    majorities = set()
    for seed in range(12):
        labels = split_labels(dataset, seed=seed, **arguments)
        splits = split_dataset(dataset, seed=seed, **arguments)
        assert np.array_equal(labels.y_validation, splits.y_validation)
        assert labels.majority_class == splits.majority_class
        majorities.add(labels.majority_class)
    assert len(majorities) > 1  # so that penalties differ from split to split
