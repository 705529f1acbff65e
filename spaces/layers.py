"""The pieces of a block for K networks at once: normalisation and activation, both ways.

Axes: K member, B batch, W width. Written out instead of left to autograd: one pass fewer over
memory for almost every operation, and no graph to build; measured in docs/benchmarks.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from archloss.spaces.design import Activation, Normalisation

EPSILON = 1e-5


def normalise(h: torch.Tensor, kind: Normalisation, *, out: torch.Tensor) -> torch.Tensor | None:
    """Write the normalised `h` `[K, B, W]` into `out`; return the inverse deviation `[K, B, 1]`.

    "layer" is layer normalisation (Ba et al., arXiv 1607.06450) and "rms" root mean square
    normalisation (Zhang & Sennrich, arXiv 1910.07467), both without learned scale and shift,
    which the linear layer after them would absorb. "none" copies, and returns None.
    """
    if kind == "none":
        out.copy_(h)
        return None
    centred = h if kind == "rms" else torch.sub(h, h.mean(-1, keepdim=True), out=out)
    # vector_norm over the last axis is the quickest sum of squares there is on a CPU.
    norm = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    inverse: torch.Tensor = norm.square_().div_(h.shape[-1]).add_(EPSILON).rsqrt_()
    torch.mul(centred, inverse, out=out)
    return inverse


def normalise_backward(
    gradient: torch.Tensor, n: torch.Tensor, inverse: torch.Tensor | None, kind: Normalisation
) -> torch.Tensor:
    """Return the gradient in the input `[K, B, W]`, from the one in the output and the output.

    With s the inverse deviation and means over W:
    layer: s (g - mean(g) - n mean(g n)); rms: s (g - n mean(g n)).
    """
    if kind == "none" or inverse is None:
        return gradient
    if kind == "rms":
        along = torch.linalg.vecdot(gradient, n)[..., None].div_(n.shape[-1])
        return gradient.addcmul_(n, along, value=-1).mul_(inverse)
    # torch's own backward of layer normalisation, told that its input is already normalised.
    zero, one = torch.zeros_like(inverse), torch.ones_like(inverse)
    centred: torch.Tensor = torch.ops.aten.native_layer_norm_backward(
        gradient, n, [n.shape[-1]], zero, one, None, None, [True, False, False]
    )[0]
    return centred.mul_(inverse)


@dataclass(frozen=True, kw_only=True)
class ActivationRule:
    """An activation: `forward(a)`, and `backward(gradient, a, z)` with z = forward(a)."""

    forward: Callable[[torch.Tensor], torch.Tensor]
    backward: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
    in_place: bool


_aten = torch.ops.aten

# `in_place`: forward overwrites its input, which backward does not need.
ACTIVATIONS: dict[Activation, ActivationRule] = {
    "relu": ActivationRule(
        forward=torch.relu_,
        backward=lambda gradient, a, z: _aten.threshold_backward(gradient, z, 0),
        in_place=True,
    ),
    "tanh": ActivationRule(
        forward=torch.tanh_,
        backward=lambda gradient, a, z: _aten.tanh_backward(gradient, z),
        in_place=True,
    ),
    "gelu": ActivationRule(
        forward=torch.nn.functional.gelu,
        backward=lambda gradient, a, z: _aten.gelu_backward(gradient, a),
        in_place=False,
    ),
    "silu": ActivationRule(
        forward=torch.nn.functional.silu,
        backward=lambda gradient, a, z: _aten.silu_backward(gradient, a),
        in_place=False,
    ),
}
