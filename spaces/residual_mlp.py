"""K residual MLPs of one width and different depths as one program: forward and backward.

Axes: K member, K_l members deeper than l, B batch, F feature, C class, W width, L layer.

    h_0 = W_in x + b_in
    h_{l+1} = [h_l +] dropout(activation(W_l normalise(h_l) + b_l))     for l < depth
    logits = W_out h_depth + b_out

The bracket is there for residual members (pre-activation in the sense of He et al., arXiv
1603.05027: the identity path is never normalised). `depth = 0` is a linear classifier.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from archloss.spaces.design import Design
from archloss.spaces.layers import ACTIVATIONS, normalise, normalise_backward
from archloss.spaces.parameters import FlatParameters
from archloss.spaces.shape import Shape


@dataclass(kw_only=True, eq=False)
class Trace:
    """What the forward pass leaves for the backward one; buffers are used again every step."""

    x: torch.Tensor
    h: torch.Tensor
    normalised: list[torch.Tensor] = field(default_factory=list)
    inverses: list[torch.Tensor | None] = field(default_factory=list)
    before: list[torch.Tensor] = field(default_factory=list)
    after: list[torch.Tensor] = field(default_factory=list)
    masks: list[torch.Tensor | None] = field(default_factory=list)


class PackedResidualMLP:
    """K networks of one width, normalisation and activation; deepest first.

    `parameters` and `gradients` are laid out alike. `members_at[l]` is K_l.
    """

    def __init__(
        self,
        shape: Shape,
        designs: Sequence[Design],
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        depths = [design.depth for design in designs]
        self.designs = tuple(designs)
        self.shape = shape
        self.normalisation = designs[0].normalisation
        self.activation = ACTIVATIONS[designs[0].activation]
        self.parameters = FlatParameters(shape, depths, dtype=dtype, device=device)
        self.gradients = FlatParameters(shape, depths, dtype=dtype, device=device)
        self.members_at = [sum(depth > layer for depth in depths) for layer in range(depths[0])]
        flags = [float(design.residual) for design in designs]
        self.residual = torch.tensor(flags, dtype=dtype, device=device)[:, None, None]
        # How many of the first members are alike decides which of three cheap forms serves.
        self.residual_counts = [int(sum(flags[:k])) for k in self.members_at]
        self._buffers: dict[tuple[str, int, int], torch.Tensor] = {}

    def forward(
        self, x: torch.Tensor, *, generators: Sequence[torch.Generator] | None = None
    ) -> tuple[torch.Tensor, Trace]:
        """Return the logits `[K, B, C]` of `x` `[1 or K, B, F]`, and the trace.

        `generators` holds a generator for each member's dropout; None is evaluation.
        """
        weights = self.parameters.tensors
        x = x.expand(len(self.designs), -1, -1)
        h = self._buffer("h", 0, x.shape[1])
        torch.baddbmm(weights[1][:, None], x, weights[0].mT, out=h)
        trace = Trace(x=x, h=h)
        for layer in range(len(self.members_at)):
            self._forward_block(layer, trace, generators)
        return torch.baddbmm(weights[3][:, None], h, weights[2].mT), trace

    def evaluate(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits `[K, B, C]` of `x` `[B, F]`, without dropout."""
        return self.forward(x[None])[0]

    def backward(self, logits_gradient: torch.Tensor, trace: Trace) -> None:
        """Write the gradients of all parameters, from the one in the logits `[K, B, C]`."""
        weights, gradients = self.parameters.tensors, self.gradients.tensors
        torch.bmm(logits_gradient.mT, trace.h, out=gradients[2])
        torch.sum(logits_gradient, 1, out=gradients[3])
        gradient = self._buffer("gradient", 0, trace.h.shape[1])
        torch.bmm(logits_gradient, weights[2], out=gradient)
        for layer in reversed(range(len(self.members_at))):
            self._backward_block(layer, trace, gradient[: self.members_at[layer]])
        torch.bmm(gradient.mT, trace.x, out=gradients[0])
        torch.sum(gradient, 1, out=gradients[1])

    def _forward_block(
        self, layer: int, trace: Trace, generators: Sequence[torch.Generator] | None
    ) -> None:
        k, rows = self.members_at[layer], trace.h.shape[1]
        weight, bias = self.parameters.tensors[4 + 2 * layer : 6 + 2 * layer]
        h = trace.h[:k]
        n = self._buffer("n", layer, rows)
        trace.inverses.append(normalise(h, self.normalisation, out=n))
        before = torch.baddbmm(bias[:, None], n, weight.mT, out=self._buffer("a", layer, rows))
        after = self.activation.forward(before)
        mask = None if generators is None else self._dropout_mask(layer, rows, generators)
        trace.normalised.append(n)
        trace.before.append(before)
        trace.after.append(after)
        trace.masks.append(mask)
        branch = after if mask is None else after * mask
        residuals = self.residual_counts[layer]
        if residuals == k:
            h.add_(branch)
        elif residuals == 0:
            h.copy_(branch)
        else:
            torch.addcmul(branch, h, self.residual[:k], out=h)

    def _backward_block(self, layer: int, trace: Trace, gradient: torch.Tensor) -> None:
        k = self.members_at[layer]
        weight = self.parameters.tensors[4 + 2 * layer]
        n, mask = trace.normalised[layer], trace.masks[layer]
        branch = gradient if mask is None else gradient * mask
        inner = self.activation.backward(branch, trace.before[layer], trace.after[layer])
        torch.bmm(inner.mT, n, out=self.gradients.tensors[4 + 2 * layer])
        torch.sum(inner, 1, out=self.gradients.tensors[5 + 2 * layer])
        # `before` has served: its buffer takes the gradient of the normalised input.
        n_gradient = torch.bmm(inner, weight, out=trace.before[layer])
        h_gradient = normalise_backward(n_gradient, n, trace.inverses[layer], self.normalisation)
        residuals = self.residual_counts[layer]
        if residuals == k:
            gradient.add_(h_gradient)
        elif residuals == 0:
            gradient.copy_(h_gradient)
        else:
            torch.addcmul(h_gradient, gradient, self.residual[:k], out=gradient)

    def _dropout_mask(
        self, layer: int, rows: int, generators: Sequence[torch.Generator]
    ) -> torch.Tensor | None:
        """Return each member's mask, 0 or 1 / (1 - rate), drawn from its own generator."""
        k = self.members_at[layer]
        rates = [design.dropout for design in self.designs[:k]]
        if not any(rates):
            return None
        mask = self._buffer("mask", layer, rows)
        for member, (rate, generator) in enumerate(zip(rates, generators, strict=False)):
            if rate > 0:
                mask[member].bernoulli_(1 - rate, generator=generator).div_(1 - rate)
            else:
                mask[member].fill_(1.0)
        return mask

    def _buffer(self, name: str, layer: int, rows: int) -> torch.Tensor:
        """Return a buffer `[K or K_l, rows, W]`, made once and used again at every step.

        Evaluation passes reuse what training left: a trace is not valid after the next pass
        with as many rows.
        """
        key = (name, layer, rows)
        if key not in self._buffers:
            members = len(self.designs) if name in ("h", "gradient") else self.members_at[layer]
            flat = self.parameters.flat
            self._buffers[key] = torch.empty(
                (members, rows, self.shape.width), dtype=flat.dtype, device=flat.device
            )
        return self._buffers[key]
