"""One residual MLP as a plain torch.nn.Module: what an export loads into."""

import torch
from torch import nn

from archloss.spaces.design import Activation, Design, Normalisation

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def make_normalisation(kind: Normalisation, width: int) -> nn.Module:
    """Return the normalisation of a block: without learned scale and shift."""
    if kind == "layer":
        return nn.LayerNorm(width, elementwise_affine=False)
    if kind == "rms":
        return nn.RMSNorm(width, eps=1e-5, elementwise_affine=False)
    return nn.Identity()


class Block(nn.Module):
    """`[h +] dropout(activation(W normalise(h) + b))`."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.residual = design.residual
        self.normalisation = make_normalisation(design.normalisation, design.width)
        self.linear = nn.Linear(design.width, design.width)
        self.activation = ACTIVATIONS[design.activation]()
        self.dropout = nn.Dropout(design.dropout)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Map `[B, W]` to `[B, W]`."""
        branch: torch.Tensor = self.dropout(self.activation(self.linear(self.normalisation(h))))
        return h + branch if self.residual else branch


class ResidualMLP(nn.Module):
    """A design's network: `[B, F]` standardised features to `[B, C]` logits.

    `parameters()` come in the order of a member's flat vector: input weight and bias, head
    weight and bias, then each block's weight and bias.
    """

    def __init__(self, design: Design, *, features: int, classes: int) -> None:
        super().__init__()
        self.input = nn.Linear(features, design.width)
        self.head = nn.Linear(design.width, classes)
        self.blocks = nn.ModuleList(Block(design) for _ in range(design.depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits `[B, C]` of `x` `[B, F]`."""
        h: torch.Tensor = self.input(x)
        for block in self.blocks:
            h = block(h)
        logits: torch.Tensor = self.head(h)
        return logits


def load_vector(network: nn.Module, vector: torch.Tensor) -> None:
    """Copy a member's flat vector `[P]` into the network's parameters, in their order."""
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(
            vector.to(next(network.parameters()).dtype), network.parameters()
        )
