"""Members trained per second: packs against one network at a time, side by side.

    python benchmarks/packing.py                       # all widths, about 15 minutes
    python benchmarks/packing.py --widths 32 --rounds 3

Both sides use two warm processes of one thread each, the digits data resident as tensors, the
same designs, seeds, orders, losses and validation metrics. The baseline is a plain nn.Module
with autograd and torch.optim.AdamW, fused or foreach, whichever is quicker at that width; it is
compared with packs of several sizes and with the automatic one. Each round runs every contender
once, in turn; ratios are taken within a round, and their median is printed. Before anything is
timed, both sides' training losses after each epoch are checked to agree.
"""

import argparse
import math
import random
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from torch import nn

from archloss.spaces.design import Design
from archloss.spaces.losses import mse_scale
from archloss.spaces.metrics import classification_metrics
from archloss.spaces.network import ResidualMLP, load_vector
from archloss.spaces.pack import Member, Pack, PackSizeQuestion
from archloss.spaces.packsize import measure_pack_size
from archloss.spaces.parameters import initial_vector
from archloss.spaces.recipe import Recipe
from archloss.spaces.resident import ResidentData, load_resident
from archloss.spaces.schedules import schedule_factor
from archloss.spaces.seeds import epoch_order
from archloss.spaces.shape import Shape
from archloss.spaces.training import train_pack

PROCESSES = 2
RECIPE = Recipe(dataset="digits", epochs=3)
CPU = torch.device("cpu")
SOLO_KINDS = ("fused", "foreach")


def draw_members(count: int, width: int) -> list[Member]:
    """Draw designs of one width: depth log-uniform on 1 to 12, everything else mixed."""
    rng = random.Random(width)
    return [
        Member(
            trial_number=number,
            replicate=0,
            design=Design(
                depth=round(math.exp(rng.uniform(0, math.log(12)))),
                residual=rng.random() < 0.5,
                ce_weight=rng.random(),
                width=width,
                learning_rate=10 ** rng.uniform(-4, -2.5),
                weight_decay=10 ** rng.uniform(-4, -1),
            ),
        )
        for number in range(count)
    ]


def train_solo(member: Member, kind: str, data: ResidentData) -> list[float]:
    """Train one member by plain torch; return its mean training loss of each epoch."""
    design, train = member.design, data.train
    network = ResidualMLP(design, features=data.features, classes=data.classes)
    shape = Shape(features=data.features, classes=data.classes, width=design.width)
    start = {"depth": design.depth, "activation": design.activation}
    load_vector(network, initial_vector(shape, **start, seed=RECIPE.seed, replicate=0))
    optimizer = torch.optim.AdamW(
        network.parameters(), weight_decay=design.weight_decay, **{kind: True}
    )
    scale = mse_scale(RECIPE.scale, on_logits=False, classes=data.classes)
    examples, weight, step = len(train.labels), design.ce_weight, 0
    total_steps = RECIPE.epochs * math.ceil(examples / RECIPE.batch_size)
    losses = []
    for epoch in range(1, RECIPE.epochs + 1):
        order = epoch_order(examples, seed=RECIPE.seed, replicate=0, epoch=epoch)
        network.train()
        total = torch.zeros(())
        for batch in order.split(RECIPE.batch_size):
            factor = schedule_factor(design.schedule, step=step, total_steps=total_steps)
            optimizer.param_groups[0]["lr"] = design.learning_rate * factor
            step += 1
            optimizer.zero_grad()
            logits = network(train.x[batch])
            brier = (logits.softmax(-1) - train.onehot[batch]).square().sum(-1).mean()
            cross_entropy = nn.functional.cross_entropy(logits, train.labels[batch])
            loss = weight * cross_entropy + (1 - weight) * scale * brier
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        losses.append(total.item() / examples)
        network.eval()
        with torch.no_grad():
            logits = network(data.validation.x)[None]
            classification_metrics(logits, data.validation.labels)
    with torch.no_grad():
        classification_metrics(network(data.test.x)[None], data.test.labels)
    return losses


def run(width: int, kind: str, count: int) -> tuple[float, list[list[float]]]:
    """Train `count` members one way in this process; return seconds and losses."""
    torch.set_num_threads(1)
    data = load_resident(RECIPE, device=CPU)
    members = draw_members(count, width)
    started = time.perf_counter()
    if kind in SOLO_KINDS:
        losses = [train_solo(member, kind, data) for member in members]
    else:
        size = int(kind)
        losses = []
        for start in range(0, count, size):
            pack = Pack(
                members=tuple(members[start : start + size]),
                recipe=RECIPE,
                until_epoch=RECIPE.epochs,
                device="cpu",
            )
            losses += [list(r.curves["train_loss"]) for r in train_pack(pack).reports]
    return time.perf_counter() - started, losses


def choose_size(width: int) -> int:
    """Return the automatic pack size, measured in a warm process."""
    torch.set_num_threads(1)
    design = Design(depth=4, width=width)
    return measure_pack_size(PackSizeQuestion(recipe=RECIPE, design=design, device="cpu"))


def members_per_second(pool: ProcessPoolExecutor, width: int, kind: str, count: int) -> float:
    """Train `count` members in each process at the same time; return the rate of both."""
    jobs = [pool.submit(run, width, kind, count) for _ in range(PROCESSES)]
    return PROCESSES * count / max(job.result()[0] for job in jobs)


def check_losses(pool: ProcessPoolExecutor, width: int) -> float:
    """Return the largest relative difference between both ways' losses, epoch by epoch."""
    solo = pool.submit(run, width, "fused", 8).result()[1]
    packed = pool.submit(run, width, "8", 8).result()[1]
    gaps = [
        abs(a - b) / abs(a)
        for one, other in zip(solo, packed, strict=True)
        for a, b in zip(one, other, strict=True)
    ]
    return max(gaps)


def main() -> None:
    """Print a row per width and contender."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64, 128, 256])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 4, 8, 16, 32])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    context = get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        print("| width | way | members/s | against one at a time | largest loss difference |")
        print("|---|---|---|---|---|")
        for width in options.widths:
            compare(pool, width, options.sizes, options.rounds)


def compare(pool: ProcessPoolExecutor, width: int, sizes: list[int], rounds: int) -> None:
    """Run all contenders of one width in turn, several rounds, and print their medians."""
    gap = check_losses(pool, width)
    automatic = pool.submit(choose_size, width).result()
    kinds = [*SOLO_KINDS, *sorted({str(s) for s in [*sizes, automatic]}, key=int)]
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    count = max(32, *(int(kind) for kind in kinds if kind not in SOLO_KINDS))
    for _ in range(rounds):
        for kind in kinds:
            rates[kind].append(members_per_second(pool, width, kind, count))
    best = max(SOLO_KINDS, key=lambda kind: statistics.median(rates[kind]))
    for kind in kinds:
        ratio = statistics.median(a / b for a, b in zip(rates[kind], rates[best], strict=True))
        name = f"one at a time, {kind}" if kind in SOLO_KINDS else f"packs of {kind}"
        name += " (automatic)" if kind == str(automatic) else ""
        rate = statistics.median(rates[kind])
        print(f"| {width} | {name} | {rate:.1f} | {ratio:.2f} | {gap:.1e} |", flush=True)


if __name__ == "__main__":
    main()
