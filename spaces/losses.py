"""The mixed loss of cross-entropy and mean squared error, and its gradient; per example.

Axes: K member, B batch, C class.

    loss = ce_weight * CE + (1 - ce_weight) * scale * MSE

CE is `-ln p[y]` with p the softmax of the logits z. MSE is a *sum* over classes, either of
`(p - onehot(y))^2` (the Brier score, Brier 1950: its gradient carries the softmax's derivative
and saturates) or of `(z - onehot(y))^2` (square loss on logits, Hui & Belkin, arXiv 2006.07322,
who take the mean over classes: C times smaller; it does not saturate). Nothing is averaged
here: that is the caller's.
"""

import math
from dataclasses import dataclass

import torch

from archloss.spaces.recipe import Scale


@dataclass(frozen=True, kw_only=True, eq=False)
class Mix:
    """How each member mixes: `ce_weight` `[K]`, `scale` `[K]`, `on_logits` `[K]` of booleans."""

    ce_weight: torch.Tensor
    scale: torch.Tensor
    on_logits: torch.Tensor


def mse_scale(scale: Scale, *, on_logits: bool, classes: int) -> float:
    """Return the factor on MSE: 1 if "raw"; if "balanced", CE over MSE at a uniform prediction.

    A uniform prediction is p = 1/C on probabilities, where CE is ln C and the Brier score
    1 - 1/C, and z = 0 on logits, where the squared error is 1.
    """
    if scale == "raw":
        return 1.0
    return math.log(classes) if on_logits else math.log(classes) / (1 - 1 / classes)


def mixed_loss(
    logits: torch.Tensor, onehot: torch.Tensor, mix: Mix
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss `[K, B]` of each example and its gradient `[K, B, C]` in the logits.

    `logits` is `[K, B, C]`; `onehot` is `[K, B, C]` or `[1, B, C]`, of the same type.
    d CE/dz = p - y; on logits d MSE/dz = 2 (z - y); on probabilities, with r = p - y,
    d MSE/dz_i = 2 p_i (r_i - sum_c p_c r_c).
    """
    log_p = torch.log_softmax(logits, dim=-1)
    p = log_p.exp()
    residue = p - onehot
    cross_entropy = -(log_p * onehot).sum(-1)
    weighted = p * residue
    brier = residue.square().sum(-1)
    brier_gradient = (weighted - p * weighted.sum(-1, keepdim=True)).mul_(2)
    ce_weight = mix.ce_weight[:, None]
    mse_weight = ((1 - mix.ce_weight) * mix.scale)[:, None]
    mse, mse_gradient = brier, brier_gradient
    if bool(mix.on_logits.any()):
        on_logits = mix.on_logits[:, None]
        distance = logits - onehot
        mse = torch.where(on_logits, distance.square().sum(-1), brier)
        mse_gradient = torch.where(on_logits[..., None], 2 * distance, brier_gradient)
    # A weight of zero removes a term for good: 0 * inf would make a finite loss undefined.
    loss = torch.where(ce_weight > 0, ce_weight * cross_entropy, 0.0)
    loss = loss + torch.where(mse_weight > 0, mse_weight * mse, 0.0)
    gradient = residue.mul_(ce_weight[..., None])
    return loss, gradient.addcmul_(mse_gradient, mse_weight[..., None])
