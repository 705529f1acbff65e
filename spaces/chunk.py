"""A chunk: members of one pack that train in lock step as one program, epoch by epoch.

Axes: K member, B batch, N example, F feature, C class.

The members of a chunk share width, normalisation, activation and optimizer; anything else may
differ. Chunks of a pack know nothing of each other.
"""

import math
from collections.abc import Sequence

import torch

from archloss.spaces.losses import Mix, mixed_loss, mse_scale
from archloss.spaces.metrics import classification_metrics
from archloss.spaces.optimizers import OPTIMIZERS, clip_gradients
from archloss.spaces.pack import METRICS, Member, State
from archloss.spaces.parameters import FlatParameters, initial_vector
from archloss.spaces.recipe import Recipe
from archloss.spaces.resident import Part, ResidentData
from archloss.spaces.residual_mlp import PackedResidualMLP
from archloss.spaces.seeds import Stream, epoch_order, make_generator
from archloss.spaces.shape import Shape


class Chunk:
    """K members, deepest first, with their networks, optimizer and curves so far.

    All members have done the same number of epochs. `finite` `[K]` says which are still finite;
    the others go on computing what nobody reads, so that their neighbours' numbers do not move.
    """

    def __init__(
        self, members: Sequence[Member], recipe: Recipe, data: ResidentData, device: torch.device
    ) -> None:
        self.members = tuple(members)
        self.recipe = recipe
        self.data = data
        self.device = device
        self.epochs_done = members[0].epochs_done
        designs = [member.design for member in members]
        self.shape = Shape(features=data.features, classes=data.classes, width=designs[0].width)
        self.network = PackedResidualMLP(
            self.shape, designs, dtype=data.train.x.dtype, device=device
        )
        self.mix = self._make_mix()
        self.steps_per_epoch = math.ceil(len(data.train.labels) / recipe.batch_size)
        self._load_states()
        self.finite = torch.ones(len(members), dtype=torch.bool, device=device)
        self.curves: list[dict[str, list[float]]] = [{m: [] for m in METRICS} for _ in members]
        self.diverged: list[int | None] = [None] * len(members)

    def train_epoch(self) -> None:
        """Train all members for one epoch, and note each finite one's metrics."""
        epoch = self.epochs_done + 1
        order = self._orders(epoch)
        generators = self._dropout_generators(epoch)
        examples = order.shape[1]
        total = torch.zeros(len(self.members), dtype=self.mix.scale.dtype, device=self.device)
        for start in range(0, examples, self.recipe.batch_size):
            total += self.train_step(order[:, start : start + self.recipe.batch_size], generators)
        self.epochs_done = epoch
        self._note_metrics(total / examples)

    def train_step(
        self, batch: torch.Tensor, generators: Sequence[torch.Generator] | None
    ) -> torch.Tensor:
        """Take one step on the examples `batch` `[1 or K, B]`; return the summed loss `[K]`."""
        train = self.data.train
        logits, trace = self.network.forward(train.x[batch], generators=generators)
        loss, gradient = mixed_loss(logits, train.onehot[batch], self.mix)
        self.network.backward(gradient.div_(batch.shape[1]), trace)
        if self.recipe.gradient_clip > 0:
            clip_gradients(self.network.gradients, self.recipe.gradient_clip)
        self.optimizer.step()
        return loss.sum(1)

    def evaluate(self, part: Part) -> dict[str, torch.Tensor]:
        """Return each member's metrics `[K]` on a part of the data, in batches."""
        size = self.recipe.batch_size
        logits = [
            self.network.evaluate(part.x[i : i + size]) for i in range(0, len(part.labels), size)
        ]
        return classification_metrics(torch.cat(logits, dim=1), part.labels)

    def save_state(self, index: int) -> State:
        """Return a member's weights and optimizer memory, on the host."""
        arrays = {"parameters": self.network.parameters.save_member(index).numpy()}
        for name, buffer in self.buffers.items():
            arrays[name] = buffer.save_member(index).numpy()
        return State(arrays=arrays, steps=self.optimizer.steps)

    def _load_states(self) -> None:
        designs = self.network.designs
        optimizer = OPTIMIZERS[designs[0].optimizer]
        parameters = self.network.parameters
        self.buffers = {
            name: FlatParameters(
                self.shape, parameters.depths, dtype=parameters.flat.dtype, device=self.device
            )
            for name in optimizer.buffer_names
        }
        for index, member in enumerate(self.members):
            if member.state is None:
                vector = initial_vector(
                    self.shape,
                    depth=member.design.depth,
                    activation=member.design.activation,
                    seed=self.recipe.seed,
                    replicate=member.replicate,
                )
                parameters.load_member(index, vector)
                continue
            parameters.load_member(index, torch.as_tensor(member.state.arrays["parameters"]))
            for name, buffer in self.buffers.items():
                buffer.load_member(index, torch.as_tensor(member.state.arrays[name]))
        self.optimizer = optimizer(
            parameters,
            self.network.gradients,
            self.buffers,
            designs,
            steps=self.epochs_done * self.steps_per_epoch,
            total_steps=self.recipe.epochs * self.steps_per_epoch,
        )

    def _make_mix(self) -> Mix:
        on_logits = [member.design.mse_on == "logits" for member in self.members]
        scales = [
            mse_scale(self.recipe.scale, on_logits=flag, classes=self.data.classes)
            for flag in on_logits
        ]
        weights = [member.design.ce_weight for member in self.members]
        options = {"dtype": self.data.train.x.dtype, "device": self.device}
        return Mix(
            ce_weight=torch.tensor(weights, **options),  # type: ignore[arg-type]
            scale=torch.tensor(scales, **options),  # type: ignore[arg-type]
            on_logits=torch.tensor(on_logits, device=self.device),
        )

    def _orders(self, epoch: int) -> torch.Tensor:
        """Return the epoch's order of the data: `[1, N]` if all members share it, `[K, N]` else."""
        replicates = sorted({member.replicate for member in self.members})
        examples = len(self.data.train.labels)
        orders = torch.stack(
            [
                epoch_order(examples, seed=self.recipe.seed, replicate=replicate, epoch=epoch)
                for replicate in replicates
            ]
        ).to(self.device)
        if len(replicates) == 1:
            return orders
        return orders[[replicates.index(member.replicate) for member in self.members]]

    def _dropout_generators(self, epoch: int) -> list[torch.Generator] | None:
        if not any(member.design.dropout > 0 for member in self.members):
            return None
        return [
            make_generator(
                Stream.DROPOUT,
                seed=self.recipe.seed,
                replicate=member.replicate,
                epoch=epoch,
                device=str(self.device),
            )
            for member in self.members
        ]

    def _note_metrics(self, train_loss: torch.Tensor) -> None:
        metrics = self.evaluate(self.data.validation)
        weights = torch.zeros_like(train_loss)
        for row in self.network.parameters.rows():
            weights[: row.shape[0]] += row.sum(1)
        table = torch.stack([train_loss, *(metrics[m] for m in ("error", "nll", "brier", "ece"))])
        self.finite &= torch.isfinite(table).all(0) & torch.isfinite(weights)
        columns = table.T.tolist()
        for index, alive in enumerate(self.finite.tolist()):
            if not alive:
                if self.diverged[index] is None:
                    self.diverged[index] = self.epochs_done
                continue
            for metric, value in zip(METRICS, columns[index], strict=True):
                self.curves[index][metric].append(value)
