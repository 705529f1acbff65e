"""train_pack: reports, divergence, memory that runs out, and what it refuses."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from archloss.spaces import training
from archloss.spaces.chunk import Chunk
from archloss.spaces.design import Design
from archloss.spaces.errors import DataError, SpaceError
from archloss.spaces.export import export_network, load_network
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import METRICS, Member, Pack, PackSizeQuestion
from archloss.spaces.packsize import measure_pack_size
from archloss.spaces.recipe import Recipe
from archloss.spaces.resident import load_resident
from archloss.spaces.training import train_pack

RECIPE = Recipe(dataset="iris", epochs=3, batch_size=16)
CPU = torch.device("cpu")


def make_members(count=4, **changes):
    designs = [
        Design(depth=depth, width=8, residual=bool(depth % 2), **changes) for depth in range(count)
    ]
    return tuple(
        Member(trial_number=number, replicate=0, design=design)
        for number, design in enumerate(designs)
    )


def make_pack(members=None, until_epoch=3, recipe=RECIPE, **options):
    members = make_members() if members is None else members
    options = {"device": "cpu"} | options
    return Pack(members=members, recipe=recipe, until_epoch=until_epoch, **options)


def test_reports_come_in_the_packs_order_with_a_curve_point_per_epoch():
    result = train_pack(make_pack())
    assert [report.trial_number for report in result.reports] == [0, 1, 2, 3]
    for report in result.reports:
        assert report.outcome is Outcome.TRAINED
        assert report.epochs_done == 3
        assert set(report.curves) == set(METRICS)
        assert all(len(curve) == 3 for curve in report.curves.values())
        assert 0 <= report.curves["validation_error"][-1] <= 1
        assert set(report.test) == {"error", "nll", "brier", "ece"}
        assert report.state.steps == 3 * math.ceil(90 / 16)


def test_training_learns():
    error = (
        train_pack(
            make_pack(
                make_members(learning_rate=1e-2),
                recipe=dataclasses.replace(RECIPE, epochs=30),
                until_epoch=30,
            )
        )
        .reports[2]
        .curves["validation_error"][-1]
    )
    assert error < 0.15


def test_rungs_continue_where_they_stopped():
    whole = train_pack(make_pack())
    first = train_pack(make_pack(until_epoch=1))
    assert not first.reports[0].test
    members = tuple(
        dataclasses.replace(member, epochs_done=1, state=report.state)
        for member, report in zip(make_members(), first.reports, strict=True)
    )
    second = train_pack(make_pack(members))
    for one, two, all_of_it in zip(first.reports, second.reports, whole.reports, strict=True):
        for metric in METRICS:
            both = (*one.curves[metric], *two.curves[metric])
            assert both == pytest.approx(all_of_it.curves[metric], rel=1e-5)
        np.testing.assert_allclose(
            two.state.arrays["parameters"], all_of_it.state.arrays["parameters"], rtol=1e-4
        )


def test_a_diverged_member_is_data_and_its_neighbours_do_not_notice():
    calm = make_members(optimizer="sgd", learning_rate=1e-2)
    wild_design = dataclasses.replace(
        calm[2].design, learning_rate=1e6, mse_on="logits", ce_weight=0.0
    )
    wild = (*calm[:2], dataclasses.replace(calm[2], design=wild_design), calm[3])
    calm_reports, wild_reports = train_pack(make_pack(calm)), train_pack(make_pack(wild))
    report = wild_reports.reports[2]
    assert report.outcome is Outcome.DIVERGED
    assert report.diverged_epoch == 1
    assert report.state is None
    assert not report.test
    assert "epoch 1" in report.message
    for index in (0, 1, 3):
        one, other = calm_reports.reports[index], wild_reports.reports[index]
        assert one.curves == other.curves
        np.testing.assert_array_equal(
            one.state.arrays["parameters"], other.state.arrays["parameters"]
        )


def test_a_chunk_that_has_diverged_whole_stops():
    members = make_members(2, optimizer="sgd", learning_rate=1e6, mse_on="logits", ce_weight=0.0)
    recipe = dataclasses.replace(RECIPE, epochs=100_000)
    result = train_pack(make_pack(members, until_epoch=100_000, recipe=recipe))
    assert {report.outcome for report in result.reports} == {Outcome.DIVERGED}


def test_replicates_share_nothing_but_the_split():
    design = Design(depth=2, width=8)
    members = tuple(Member(trial_number=5, replicate=r, design=design) for r in range(3))
    together = train_pack(make_pack(members)).reports
    assert len({report.curves["train_loss"] for report in together}) == 3
    for replicate, member in enumerate(members):
        alone = train_pack(make_pack((member,))).reports[0]
        assert alone.curves["train_loss"] == pytest.approx(
            together[replicate].curves["train_loss"], rel=1e-4
        )


def test_the_same_pack_twice_gives_the_same_bits():
    members = make_members(dropout=0.2)
    one, two = train_pack(make_pack(members)), train_pack(make_pack(members))
    assert [r.curves for r in one.reports] == [r.curves for r in two.reports]


def run_out_of_memory_above(monkeypatch, largest):
    class SmallChunk(Chunk):
        def __init__(self, members, *rest):
            if len(members) > largest:
                raise torch.OutOfMemoryError("out of memory")
            super().__init__(members, *rest)

    monkeypatch.setattr(training, "Chunk", SmallChunk)


def test_a_pack_that_does_not_fit_is_split_and_says_so(monkeypatch):
    expected = train_pack(make_pack())
    run_out_of_memory_above(monkeypatch, 1)
    result = train_pack(make_pack())
    assert any("4 members together did not fit" in note for note in result.notes)
    for one, two in zip(result.reports, expected.reports, strict=True):
        assert one.outcome is Outcome.TRAINED
        assert one.curves["train_loss"] == pytest.approx(two.curves["train_loss"], rel=1e-5)


def test_a_member_that_does_not_fit_alone_is_infeasible(monkeypatch):
    run_out_of_memory_above(monkeypatch, 0)
    result = train_pack(make_pack())
    assert {report.outcome for report in result.reports} == {Outcome.INFEASIBLE}
    assert all("memory" in report.message for report in result.reports)


@pytest.mark.parametrize(
    ("pack", "sentence"),
    [
        (make_pack(()), "at least one member"),
        (
            make_pack(
                (*make_members(1), Member(trial_number=9, replicate=0, design=Design(width=16)))
            ),
            r"one width, but got \[8, 16\]",
        ),
        (make_pack(until_epoch=4), "until_epoch <= epochs"),
        (make_pack(until_epoch=0), "epochs_done < until_epoch"),
        (
            make_pack(
                (Member(trial_number=1, replicate=0, design=Design(width=8), epochs_done=1),)
            ),
            "must bring its state",
        ),
        (make_pack(device="tpu"), "it has .*cpu"),
    ],
)
def test_a_bad_pack_is_refused(pack, sentence):
    with pytest.raises(SpaceError, match=sentence):
        train_pack(pack)


def test_other_data_than_the_studys_is_refused():
    with pytest.raises(DataError, match="must not change"):
        train_pack(make_pack(fingerprint="0" * 64))


def test_pack_size_is_a_power_of_two_and_small_networks_gain():
    question = PackSizeQuestion(
        recipe=Recipe(dataset="digits"), design=Design(depth=4, width=8), device="cpu"
    )
    size = measure_pack_size(question)
    assert size > 1
    assert size & (size - 1) == 0


@pytest.mark.parametrize("normalisation", ["layer", "rms", "none"])
@pytest.mark.parametrize("depth", [0, 3])
def test_an_exported_network_predicts_as_the_member_did(tmp_path, normalisation, depth):
    design = Design(depth=depth, width=8, normalisation=normalisation, dropout=0.1)
    member = Member(trial_number=0, replicate=0, design=design)
    report = train_pack(make_pack((member,))).reports[0]
    description = {"features": 4, "classes": ["a", "b", "c"]}
    export_network(tmp_path / "out", design=design, state=report.state, description=description)
    network = load_network(tmp_path / "out")
    assert isinstance(network, torch.nn.Module)
    part = load_resident(RECIPE, device=CPU).validation
    error = (network(part.x).argmax(-1) != part.labels).float().mean().item()
    assert error == pytest.approx(report.curves["validation_error"][-1], abs=1e-7)


def test_an_export_that_is_none_is_refused(tmp_path):
    with pytest.raises(SpaceError, match="archloss export"):
        load_network(tmp_path)
    (tmp_path / "network.json").write_text('{"format": "other"}')
    with pytest.raises(SpaceError, match="another version"):
        load_network(tmp_path)
    state = dataclasses.replace(
        train_pack(make_pack(make_members(1))).reports[0].state, arrays={"parameters": np.zeros(3)}
    )
    with pytest.raises(SpaceError, match="3: were they made by another study"):
        export_network(
            tmp_path, design=Design(), state=state, description={"features": 4, "classes": ["a"]}
        )
