"""How many members a pack should have on a device: found by a short measurement."""

import time

import torch

from archloss.spaces.chunk import Chunk
from archloss.spaces.devices import choose_device, is_out_of_memory
from archloss.spaces.pack import Member, PackSizeQuestion
from archloss.spaces.recipe import Recipe
from archloss.spaces.resident import ResidentData, load_resident

LARGEST = 1024
STEPS = 3
REPEATS = 3
# A larger pack must bring this much more throughput to be worth a slower first result.
WORTHWHILE_GAIN = 1.08
# One measurement may meet another program's burst: only so many in a row without a gain end it.
PATIENCE = 2


@torch.no_grad()
def measure_pack_size(question: PackSizeQuestion) -> int:
    """Return the number of members beyond which a pack trains no more members a second.

    Packs of 1, 2, 4, ... copies of the question's design take a few optimizer steps each on the
    study's own data; doubling stops when it twice brings less than 8% more members a second than
    the best so far, or when the device's memory runs out. 1 means that packing does not pay.
    Takes a few seconds.
    """
    device = choose_device(question.device)
    data = load_resident(question.recipe, device=device)
    best_size, best_rate = 1, _members_per_second(1, question, data, device)
    size, fruitless = 2, 0
    while size <= LARGEST and fruitless < PATIENCE:
        try:
            rate = _members_per_second(size, question, data, device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            break
        fruitless += 1
        if rate >= best_rate * WORTHWHILE_GAIN:
            best_size, best_rate, fruitless = size, rate, 0
        size *= 2
    return best_size


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
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        for _ in range(STEPS):
            chunk.train_step(batch, None)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return size * STEPS / min(seconds)
