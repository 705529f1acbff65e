"""AdamW and SGD with momentum for K networks at once, each with its own hyperparameters.

torch.optim's optimizers take one learning rate for a tensor; a pack's tensors hold K networks,
each with its own learning rate, weight decay, momentum and schedule. The formulas, and their
order of rounding, are torch.optim's.
"""

import math
from collections.abc import Sequence

import torch

from archloss.spaces.design import Design
from archloss.spaces.parameters import FlatParameters
from archloss.spaces.schedules import schedule_factor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class PackedOptimizer:
    """What both optimizers share: the learning rates, the step counts and the buffers.

    `buffers` maps names to flat buffers laid out as the parameters are; they are a member's
    memory between rungs. `steps` counts optimizer steps of all members, which are equal.
    """

    buffer_names: tuple[str, ...]

    def __init__(
        self, parameters: FlatParameters, designs: Sequence[Design], *, steps: int, total_steps: int
    ) -> None:
        self.parameters = parameters
        self.designs = tuple(designs)
        self.steps = steps
        self.total_steps = total_steps

    def learning_rates(self) -> list[float]:
        """Return each member's learning rate at the current step, `[K]`."""
        factors = {
            schedule: schedule_factor(schedule, step=self.steps, total_steps=self.total_steps)
            for schedule in {design.schedule for design in self.designs}
        }
        return [design.learning_rate * factors[design.schedule] for design in self.designs]

    def column(self, values: Sequence[float]) -> torch.Tensor:
        """Return `values` `[K]` as a column `[K, 1]` of the parameters' type and device."""
        flat = self.parameters.flat
        return torch.tensor(values, dtype=flat.dtype, device=flat.device)[:, None]


class PackedAdamW(PackedOptimizer):
    """AdamW (Loshchilov & Hutter, arXiv 1711.05101, algorithm 2), betas 0.9 and 0.999.

    On a CPU each member's tensors go through torch's fused kernel, which reads and writes
    everything once; elsewhere a launch per member would cost more than it saves, and the
    arithmetic runs over the flat buffers of all members.
    """

    buffer_names = ("first_moment", "second_moment")

    def __init__(
        self,
        parameters: FlatParameters,
        gradients: FlatParameters,
        buffers: dict[str, FlatParameters],
        designs: Sequence[Design],
        *,
        steps: int,
        total_steps: int,
    ) -> None:
        super().__init__(parameters, designs, steps=steps, total_steps=total_steps)
        self.first = buffers["first_moment"]
        self.second = buffers["second_moment"]
        self.gradients = gradients
        self.fused = parameters.flat.device.type == "cpu" and hasattr(torch, "_fused_adamw_")
        if self.fused:
            groups = (parameters, gradients, self.first, self.second)
            self.views = [
                tuple(group.member_views(member) for group in groups)
                for member in range(len(designs))
            ]
            self.step_tensor = torch.tensor(float(steps))

    def step(self) -> None:
        """Take one step from the gradients, in place."""
        rates = self.learning_rates()
        self.steps += 1
        if self.fused:
            self._step_fused(rates)
        else:
            self._step_flat(rates)

    def _step_fused(self, rates: Sequence[float]) -> None:
        self.step_tensor.fill_(float(self.steps))
        for views, rate, design in zip(self.views, rates, self.designs, strict=True):
            weights, gradients, first, second = views
            torch._fused_adamw_(
                weights,
                gradients,
                first,
                second,
                [],
                [self.step_tensor] * len(weights),
                lr=rate,
                beta1=BETA1,
                beta2=BETA2,
                weight_decay=design.weight_decay,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
            )

    def _step_flat(self, rates: Sequence[float]) -> None:
        gradient, first, second = self.gradients.flat, self.first.flat, self.second.flat
        first.lerp_(gradient, 1 - BETA1)
        second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        # The gradient has been used: its buffer becomes the update m / (sqrt(v / c2) + eps).
        torch.sqrt(second, out=gradient)
        gradient.div_(math.sqrt(1 - BETA2**self.steps)).add_(EPSILON)
        torch.div(first, gradient, out=gradient)
        decays = [1 - rate * d.weight_decay for rate, d in zip(rates, self.designs, strict=True)]
        decay = self.column(decays)
        step_size = self.column([-rate / (1 - BETA1**self.steps) for rate in rates])
        for weight, update in zip(self.parameters.rows(), self.gradients.rows(), strict=True):
            k = weight.shape[0]
            weight.mul_(decay[:k]).addcmul_(update, step_size[:k])


class PackedSGD(PackedOptimizer):
    """SGD with heavy-ball momentum as torch.optim.SGD has it (dampening 0, not Nesterov's).

    Weight decay is added to the gradient: d = g + wd * p; b = momentum * b + d; p -= lr * b.
    """

    buffer_names = ("momentum",)

    def __init__(
        self,
        parameters: FlatParameters,
        gradients: FlatParameters,
        buffers: dict[str, FlatParameters],
        designs: Sequence[Design],
        *,
        steps: int,
        total_steps: int,
    ) -> None:
        super().__init__(parameters, designs, steps=steps, total_steps=total_steps)
        self.weight_decay = self.column([design.weight_decay for design in designs])
        self.momentum = self.column([design.momentum for design in designs])
        self.rows = list(
            zip(parameters.rows(), gradients.rows(), buffers["momentum"].rows(), strict=True)
        )

    def step(self) -> None:
        """Take one step from the gradients, in place."""
        rate = self.column([-rate for rate in self.learning_rates()])
        self.steps += 1
        for weight, gradient, velocity in self.rows:
            k = weight.shape[0]
            gradient.addcmul_(weight, self.weight_decay[:k])
            velocity.mul_(self.momentum[:k]).add_(gradient)
            weight.addcmul_(velocity, rate[:k])


OPTIMIZERS: dict[str, type[PackedAdamW] | type[PackedSGD]] = {
    "adamw": PackedAdamW,
    "sgd": PackedSGD,
}


def clip_gradients(gradients: FlatParameters, largest_norm: float) -> None:
    """Scale each member's gradient to a norm of at most `largest_norm`, in place.

    As torch.nn.utils.clip_grad_norm_ does for one network: the factor is
    largest_norm / (norm + 1e-6), where that is below 1.
    """
    rows = gradients.rows()
    squares = torch.zeros(rows[0].shape[0], dtype=rows[0].dtype, device=rows[0].device)
    for row in rows:
        squares[: row.shape[0]] += torch.linalg.vector_norm(row, dim=1).square_()
    factor = (largest_norm / (squares.sqrt() + 1e-6)).clamp_(max=1.0)[:, None]
    for row in rows:
        row.mul_(factor[: row.shape[0]])
