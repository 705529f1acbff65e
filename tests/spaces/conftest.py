"""Small data, random designs, and a solo run of one member by plain torch: the reference."""

import math
import random
from collections.abc import Callable

import pytest
import torch
from torch import nn

from archloss.spaces.design import Design
from archloss.spaces.network import ResidualMLP, load_vector
from archloss.spaces.pack import Member
from archloss.spaces.parameters import initial_vector
from archloss.spaces.recipe import Recipe
from archloss.spaces.resident import Part, ResidentData
from archloss.spaces.seeds import Stream, epoch_order, make_generator
from archloss.spaces.shape import Shape

FEATURES, CLASSES = 7, 4


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _part(examples: int, dtype: torch.dtype, seed: int) -> Part:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (examples,), generator=generator)
    x = torch.randn(examples, FEATURES, generator=generator, dtype=torch.float64)
    x[:, :CLASSES] += nn.functional.one_hot(labels, CLASSES)
    onehot = nn.functional.one_hot(labels, CLASSES).to(dtype)
    return Part(x=x.to(dtype), labels=labels, onehot=onehot)


@pytest.fixture
def make_data() -> Callable[[str], ResidentData]:
    def make(precision: str) -> ResidentData:
        dtype = getattr(torch, precision)
        return ResidentData(
            train=_part(75, dtype, 1),
            validation=_part(41, dtype, 2),
            test=_part(33, dtype, 3),
            features=FEATURES,
            classes=CLASSES,
        )

    return make


@pytest.fixture
def random_members() -> Callable[..., list[Member]]:
    """Members that differ in everything but width, drawn by a seed."""

    def draw(seed: int, *, same_kind: bool = False, diverging: bool = False) -> list[Member]:
        rng = random.Random(seed)
        members = []
        for number in range(rng.randint(2, 16)):
            design = Design(
                depth=rng.randint(0, 12),
                residual=rng.random() < 0.5,
                ce_weight=rng.choice([0.0, 1.0, rng.random()]),
                mse_on=rng.choice(["probabilities", "logits"]),
                width=16,
                normalisation="layer" if same_kind else rng.choice(["layer", "rms", "none"]),
                activation=("relu" if same_kind else rng.choice(["relu", "gelu", "silu", "tanh"])),
                optimizer="adamw" if same_kind else rng.choice(["adamw", "sgd"]),
                learning_rate=10 ** rng.uniform(-4, -2.5),
                weight_decay=10 ** rng.uniform(-4, -1),
                momentum=rng.choice([0.0, 0.9]),
                schedule=rng.choice(["constant", "linear", "cosine"]),
                dropout=rng.choice([0.0, 0.3]),
            )
            members.append(Member(trial_number=number, replicate=rng.randint(0, 2), design=design))
        return members

    return draw


class SeededDropout(nn.Module):
    """Dropout that draws its mask from a generator given from outside."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0:
            return h
        keep = 1 - self.rate
        return h * torch.empty_like(h).bernoulli_(keep, generator=self.generator) / keep


class SoloRun:
    """One member trained alone by torch.nn, autograd and torch.optim: nothing of ours but data."""

    def __init__(self, member: Member, recipe: Recipe, data: ResidentData) -> None:
        self.member, self.recipe, self.data = member, recipe, data
        design = member.design
        self.network = ResidualMLP(design, features=data.features, classes=data.classes)
        self.network.to(data.train.x.dtype)
        for block in self.network.blocks:
            block.dropout = SeededDropout(design.dropout)
        shape = Shape(features=data.features, classes=data.classes, width=design.width)
        load_vector(
            self.network,
            initial_vector(
                shape,
                depth=design.depth,
                activation=design.activation,
                seed=recipe.seed,
                replicate=member.replicate,
            ),
        )
        self.steps_per_epoch = -(-len(data.train.labels) // recipe.batch_size)
        self.optimizer = self._make_optimizer()
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._factor)
        self.losses: list[float] = []

    def _make_optimizer(self) -> torch.optim.Optimizer:
        design = self.member.design
        if design.optimizer == "adamw":
            return torch.optim.AdamW(
                self.network.parameters(),
                lr=design.learning_rate,
                weight_decay=design.weight_decay,
                foreach=False,
            )
        return torch.optim.SGD(
            self.network.parameters(),
            lr=design.learning_rate,
            weight_decay=design.weight_decay,
            momentum=design.momentum,
            foreach=False,
        )

    def _factor(self, step: int) -> float:
        total = self.recipe.epochs * self.steps_per_epoch
        schedule = self.member.design.schedule
        if schedule == "constant":
            return 1.0
        if schedule == "linear":
            return 1 - step / total
        return (1 + math.cos(math.pi * step / total)) / 2

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        design, classes = self.member.design, self.data.classes
        onehot = nn.functional.one_hot(labels, classes).to(logits.dtype)
        on_logits = design.mse_on == "logits"
        prediction = logits if on_logits else logits.softmax(-1)
        mse = ((prediction - onehot) ** 2).sum(-1)
        scale = 1.0
        if self.recipe.scale == "balanced":
            scale = float(torch.tensor(float(classes)).double().log())
            scale = scale if on_logits else scale / (1 - 1 / classes)
        cross_entropy = nn.functional.cross_entropy(logits, labels, reduction="none")
        mixed = design.ce_weight * cross_entropy + (1 - design.ce_weight) * scale * mse
        return mixed.mean()

    def train_epoch(self, epoch: int) -> None:
        recipe, train = self.recipe, self.data.train
        generator = make_generator(
            Stream.DROPOUT, seed=recipe.seed, replicate=self.member.replicate, epoch=epoch
        )
        for block in self.network.blocks:
            block.dropout.generator = generator
        order = epoch_order(
            len(train.labels), seed=recipe.seed, replicate=self.member.replicate, epoch=epoch
        )
        self.network.train()
        for batch in order.split(recipe.batch_size):
            self.optimizer.zero_grad()
            loss = self.loss(self.network(train.x[batch]), train.labels[batch])
            loss.backward()
            if recipe.gradient_clip > 0:
                nn.utils.clip_grad_norm_(self.network.parameters(), recipe.gradient_clip)
            self.optimizer.step()
            self.schedule.step()
            self.losses.append(loss.item())

    def weights(self) -> torch.Tensor:
        return nn.utils.parameters_to_vector(self.network.parameters()).detach()


@pytest.fixture
def solo_run() -> type[SoloRun]:
    return SoloRun
