"""What a study holds fixed: the data and how a network is trained on it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Precision = Literal["float32", "float64"]
Scale = Literal["balanced", "raw"]
Split = Literal["fixed", "redrawn"]
_SPLIT_STREAM = 3  # beside those of archloss.spaces.seeds.Stream


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The same for every trial of a study, and part of what its results mean.

    `dataset` is a bundled or generated set ("digits", "spirals"), a path to a CSV, Parquet or
    npz file, "openml:NAME", or "module:function"; `target` is the target column of a table.
    `seed` fixes the split; seed and replicate number fix initial weights, data order and
    dropout. With `split = "redrawn"` each replicate has a split of its own, the same for every
    design. `scale` weighs the mean squared error: "balanced" makes both losses equal at a
    uniform prediction. `gradient_clip` is the largest norm of a member's gradient; 0 is none.
    """

    dataset: str
    target: str | None = None
    epochs: int = 20
    batch_size: int = 128
    validation_fraction: float = 0.2
    test_fraction: float = 0.2
    replicates: int = 1
    seed: int = 0
    scale: Scale = "balanced"
    gradient_clip: float = 0.0
    precision: Precision = "float32"
    split: Split = "fixed"

    def find_split_seed(self, replicate: int) -> int:
        """Return the seed of the split that this replicate of every design is trained on."""
        if self.split == "fixed":
            return self.seed
        sequence = np.random.SeedSequence([self.seed, replicate, _SPLIT_STREAM])
        return int(sequence.generate_state(1, np.uint64)[0])
