"""What needs an accelerator: the same numbers as on the CPU, and memory that truly runs out."""

import dataclasses

import pytest
import torch

from archloss.spaces.chunk import Chunk
from archloss.spaces.design import Design
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import Member, Pack, PackSizeQuestion
from archloss.spaces.packsize import measure_pack_size
from archloss.spaces.recipe import Recipe
from archloss.spaces.training import train_pack

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]
RECIPE = Recipe(dataset="small", epochs=4, batch_size=16, seed=3, precision="float64")


def to_device(data, device):
    def move(part):
        return dataclasses.replace(
            part,
            x=part.x.to(device),
            labels=part.labels.to(device),
            onehot=part.onehot.to(device),
        )

    return dataclasses.replace(
        data, train=move(data.train), validation=move(data.validation), test=move(data.test)
    )


@pytest.mark.parametrize("seed", range(500, 506))
@torch.no_grad()
def test_members_train_as_on_the_cpu(seed, make_data, random_members):
    data, cuda = make_data("float64"), torch.device("cuda")
    members = [
        dataclasses.replace(
            member,
            # Dropout's masks are drawn on the device, by the device's own generator.
            design=dataclasses.replace(
                member.design, dropout=0.0, normalisation="layer", activation="gelu"
            ),
        )
        for member in random_members(seed, same_kind=True)
    ]
    members.sort(key=lambda member: -member.design.depth)
    chunks = [
        Chunk(members, RECIPE, data, torch.device("cpu")),
        Chunk(members, RECIPE, to_device(data, cuda), cuda),
    ]
    for chunk in chunks:
        for _ in range(4):
            chunk.train_epoch()
    for index in range(len(members)):
        cpu, gpu = (chunk.network.parameters.save_member(index) for chunk in chunks)
        assert float((gpu - cpu).norm() / cpu.norm()) < 1e-9
        assert chunks[1].curves[index]["validation_error"] == pytest.approx(
            chunks[0].curves[index]["validation_error"]
        )


def test_dropout_depends_on_the_member_alone():
    members = tuple(
        Member(trial_number=n, replicate=0, design=Design(depth=n, width=16, dropout=0.3))
        for n in range(4)
    )
    recipe = Recipe(dataset="iris", epochs=2)
    pack = Pack(members=members, recipe=recipe, until_epoch=2, device="cuda")
    together = train_pack(pack).reports
    alone = train_pack(dataclasses.replace(pack, members=members[2:3])).reports[0]
    assert alone.curves["train_loss"] == pytest.approx(together[2].curves["train_loss"], rel=1e-4)


def test_memory_that_runs_out_splits_the_pack():
    recipe = Recipe(dataset="digits", epochs=1)
    member = Member(trial_number=0, replicate=0, design=Design(depth=64, width=256))
    members = tuple(dataclasses.replace(member, trial_number=n) for n in range(16))
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    # Room for a few of these networks (70 MB each with their activations), not for sixteen.
    torch.cuda.set_per_process_memory_fraction(600e6 / total)
    try:
        result = train_pack(Pack(members=members, recipe=recipe, until_epoch=1, device="cuda"))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any("did not fit" in note for note in result.notes)
    assert {report.outcome for report in result.reports} == {Outcome.TRAINED}


def test_pack_size_is_measured_on_the_device():
    question = PackSizeQuestion(
        recipe=Recipe(dataset="digits"), design=Design(depth=4, width=32), device="cuda"
    )
    assert measure_pack_size(question) >= 16
