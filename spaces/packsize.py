"""How many members a pack should have on a device: found by a short measurement."""

import time

import torch

from archloss.spaces.chunk import Chunk
from archloss.spaces.devices import choose_device, is_out_of_memory
from archloss.spaces.pack import Member, PackSizeQuestion
from archloss.spaces.recipe import Recipe
from archloss.spaces.resident import ResidentData, load_resident

LARGEST = 1024
SWEEPS = 2
WINDOW_S = 0.2
"""How long each size is measured at a time: the same for all, for what disturbs long steps spares
short ones."""
WORTHWHILE_GAIN = 1.08
"""A larger pack must bring this much more throughput to be worth a slower first result."""
PATIENCE = 2
"""One measurement may meet another program's burst: only so many in a row without a gain end it."""


@torch.no_grad()
def measure_pack_size(question: PackSizeQuestion) -> int:
    """Return the number of members beyond which a pack trains hardly more members a second.

    Packs of 1, 2, 4, ... copies of the question's design take optimizer steps on the study's own
    data; doubling stops when it twice brings less than 8% more members a second than the best so
    far, or when the device's memory runs out. Then all sizes are measured once more, and the
    smallest that comes within 8% of the best is the answer. 1 means that packing does not pay.
    Takes a few seconds.
    """
    device = choose_device(question.device)
    data = load_resident(question.recipe, device=device)
    rates = _sweep(question, data, device)
    for _ in range(SWEEPS - 1):
        for size in rates:
            rates[size] = max(rates[size], _members_per_second(size, question, data, device))
    enough = max(rates.values()) / WORTHWHILE_GAIN
    return min(size for size, rate in rates.items() if rate >= enough)


def _sweep(
    question: PackSizeQuestion, data: ResidentData, device: torch.device
) -> dict[int, float]:
    """Return the members a second of each size, up to where more bring nothing."""
    rates = {1: _members_per_second(1, question, data, device)}
    size, fruitless = 2, 0
    while size <= LARGEST and fruitless < PATIENCE:
        best = max(rates.values())
        try:
            rates[size] = _members_per_second(size, question, data, device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            break
        fruitless = 0 if rates[size] >= best * WORTHWHILE_GAIN else fruitless + 1
        size *= 2
    return rates


def _members_per_second(
    size: int, question: PackSizeQuestion, data: ResidentData, device: torch.device
) -> float:
    recipe: Recipe = question.recipe
    members = [
        Member(trial_number=number, replicate=0, design=question.design) for number in range(size)
    ]
    examples = len(data.train.labels)
    batch = torch.arange(min(recipe.batch_size, examples), device=device)[None]
    chunk = Chunk(members, recipe, data, device)
    chunk.train_step(batch, None)
    steps, started, passed = 0, time.perf_counter(), 0.0
    while passed < WINDOW_S:
        chunk.train_step(batch, None)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        steps += 1
        passed = time.perf_counter() - started
    return size * steps / passed
