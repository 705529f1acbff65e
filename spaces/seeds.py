"""Seeds: every random number of a member comes from (study seed, replicate, stream, epoch).

The trial's number is not among them: replicate r of every design sees the same initial draws,
data order and dropout stream (common random numbers), so that differences between designs are
paired. A stream starts anew at each epoch, so a rung boundary needs no generator's state.
"""

import enum

import numpy as np
import torch


class Stream(enum.IntEnum):
    """What the random numbers are for."""

    WEIGHTS = 0
    ORDER = 1
    DROPOUT = 2


def make_generator(
    stream: Stream, *, seed: int, replicate: int, epoch: int = 0, device: str = "cpu"
) -> torch.Generator:
    """Return a generator on `device` that depends on the arguments alone."""
    entropy = np.random.SeedSequence([seed, replicate, int(stream), epoch])
    generator = torch.Generator(device=device)
    generator.manual_seed(int(entropy.generate_state(1, np.uint64)[0]) & (2**63 - 1))
    return generator


def epoch_order(examples: int, *, seed: int, replicate: int, epoch: int) -> torch.Tensor:
    """Return the order `[examples]` in which epoch `epoch` (1 is the first) visits the data."""
    generator = make_generator(Stream.ORDER, seed=seed, replicate=replicate, epoch=epoch)
    return torch.randperm(examples, generator=generator)
