"""One point of the search: an architecture, its loss and how it is optimised."""

from dataclasses import dataclass
from typing import Literal

MseOn = Literal["probabilities", "logits"]
Normalisation = Literal["layer", "rms", "none"]
Activation = Literal["relu", "gelu", "silu", "tanh"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True, kw_only=True)
class Design:
    """A residual MLP with its loss recipe.

    `depth` counts the hidden blocks after the input layer: 0 is a linear classifier.
    `ce_weight` is the share of cross-entropy in the loss: 1 is cross-entropy alone, 0 mean
    squared error alone, which is taken on the softmax probabilities (the Brier score) or on the
    logits, as `mse_on` says. `schedule` is how the learning rate falls to zero over the
    recipe's epochs, step by step. `momentum` is used by "sgd" alone.
    """

    depth: int = 4
    residual: bool = True
    ce_weight: float = 1.0
    mse_on: MseOn = "probabilities"
    width: int = 32
    normalisation: Normalisation = "layer"
    activation: Activation = "relu"
    optimizer: Optimizer = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    schedule: Schedule = "cosine"
    dropout: float = 0.0
