"""The parameters of K networks of one width and different depths, in one flat buffer.

Axes: K member, L layer, W width, F feature, C class, P all parameters of one member.

Members are sorted by depth, deepest first, so that the members which have block l are the first
K_l: each block's weights are one contiguous `[K_l, W, W]`, with no padding. A member alone is
the flat vector `[P]` of its tensors in the order input, head, block 0, block 1, ...: a shallower
network's vector has the shapes of a deeper one's beginning.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch

from archloss.spaces.design import Activation
from archloss.spaces.seeds import Stream, make_generator
from archloss.spaces.shape import Shape

# The variance of a unit's input is kept by N(0, gain^2 / fan_in) (He et al., arXiv 1502.01852);
# tanh's 5/3 is torch.nn.init's.
GAINS: dict[Activation, float] = {"relu": 2**0.5, "gelu": 2**0.5, "silu": 2**0.5, "tanh": 5 / 3}


class FlatParameters:
    """One flat buffer and its views: `tensors[i]` is `[K_i, *shape_i]`, contiguous.

    `depths` must not increase. Tensors 0 to 3 are input weight and bias, head weight and bias;
    4 + 2l and 5 + 2l are block l's weight and bias.
    """

    def __init__(
        self, shape: Shape, depths: Sequence[int], *, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.depths = tuple(depths)
        shapes = shape.tensor_shapes(depths[0])
        self.member_counts = tuple(
            len(depths) if i < 4 else sum(depth > (i - 4) // 2 for depth in depths)
            for i in range(len(shapes))
        )
        sizes = [torch.Size(s).numel() * k for s, k in zip(shapes, self.member_counts, strict=True)]
        self.flat = torch.zeros(sum(sizes), dtype=dtype, device=device)
        ends = tuple(accumulate(sizes))
        self.tensors = tuple(
            self.flat[end - size : end].view(k, *s)
            for end, size, k, s in zip(ends, sizes, self.member_counts, shapes, strict=True)
        )

    def member_views(self, member: int) -> list[torch.Tensor]:
        """Return the views of one member's tensors, in the order of its flat vector."""
        return [tensor[member] for tensor in self.tensors[: 4 + 2 * self.depths[member]]]

    def load_member(self, member: int, vector: torch.Tensor) -> None:
        """Copy one member's flat vector `[P]` into its views."""
        start = 0
        for view in self.member_views(member):
            view.copy_(vector[start : start + view.numel()].view_as(view))
            start += view.numel()

    def save_member(self, member: int) -> torch.Tensor:
        """Return one member's flat vector `[P]`, a copy on the host."""
        return torch.cat([view.reshape(-1) for view in self.member_views(member)]).cpu()

    def rows(self) -> list[torch.Tensor]:
        """Return every tensor as a matrix `[K_i, size_i]`, a row per member."""
        return [tensor.flatten(1) for tensor in self.tensors]


def initial_vector(
    shape: Shape, *, depth: int, activation: Activation, seed: int, replicate: int
) -> torch.Tensor:
    """Return a network's initial parameters `[P]`: weights N(0, gain^2 / fan_in), biases zero.

    The input layer and the head have gain 1 (no activation follows them). Drawn in float32
    whatever the training precision, in the order of the flat vector: of two depths, the
    shallower network starts as the beginning of the deeper one.
    """
    generator = make_generator(Stream.WEIGHTS, seed=seed, replicate=replicate)
    parts = []
    for index, tensor_shape in enumerate(shape.tensor_shapes(depth)):
        if len(tensor_shape) == 1:
            parts.append(torch.zeros(tensor_shape))
            continue
        gain = 1.0 if index < 4 else GAINS[activation]
        draws = torch.randn(tensor_shape, generator=generator)
        parts.append(draws.mul_(gain / tensor_shape[1] ** 0.5).flatten())
    return torch.cat(parts)
