"""Generated data sets whose smallest possible error is known.

Axes: N example, F feature, C class, W width of the teacher.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from archloss.spaces.dataset import Dataset, Feature
from archloss.spaces.errors import DataError
from archloss.spaces.named import LABEL_NOISE, DatasetInfo, Parameter

Values = Mapping[str, int | float]

_CALIBRATION_EXAMPLES = 10_000
_DECIMALS = 6  # hides the last bits, in which machines differ, so that fingerprints agree
_SEED = Parameter(name="seed", default=0, low=0, high=2**31 - 1)


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A generated data set: what it is with default parameters, and how it is made."""

    info: DatasetInfo
    parameters: tuple[Parameter, ...]
    make: Callable[[Values], Dataset]


def make_spirals(values: Values) -> Dataset:
    """Return `classes` intertwined spirals around the origin, of `turns` turns each.

    A point of class c has a radius r uniform in [0.1, 1] and the angle
    2 pi (turns r + c / classes) plus normal noise, whose standard deviation is `noise` times
    half the angle between two spirals. At any radius the classes are copies of one another,
    turned, so the nearest spiral is the best guess, and its error is known exactly.
    """
    classes, turns, noise = int(values["classes"]), float(values["turns"]), float(values["noise"])
    examples = int(values["examples"])
    generator = np.random.default_rng([int(values["seed"]), 0])
    y = np.arange(examples, dtype=np.int64) % classes
    radius = generator.uniform(0.1, 1.0, examples)
    wobble = generator.standard_normal(examples) * noise * math.pi / classes
    angle = 2 * math.pi * (turns * radius + y / classes) + wobble
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return _make_dataset("spirals", x, y, values, spirals_bayes_error(classes, noise))


def spirals_bayes_error(classes: int, noise: float) -> float:
    """Return the smallest possible error of the spirals.

    It is the probability that the noise, taken modulo the full circle, passes half the angle
    between two spirals: 2 Phi(-1 / noise) while the noise is far from a full circle.
    """
    if noise == 0:
        return 0.0
    half, sigma = math.pi / classes, noise * math.pi / classes
    circles = range(-math.ceil(noise) * 10, math.ceil(noise) * 10 + 1)
    right = sum(
        _normal((2 * math.pi * m + half) / sigma) - _normal((2 * math.pi * m - half) / sigma)
        for m in circles
    )
    return max(0.0, 1.0 - right)


def make_teacher(values: Values) -> Dataset:
    """Return normal inputs that a fixed random network with tanh units has labelled.

    The teacher's outputs are centred and scaled on a sample of its own, so that the classes are
    of similar size. In all three parts a share `noise` of the labels, at random, is replaced by
    another class, each equally likely: the smallest possible error is `noise`.
    """
    classes, noise = int(values["classes"]), float(values["noise"])
    if noise > 1 - 1 / classes:
        raise DataError(
            f"noise of 'teacher' must be at most 1 - 1 / classes = {1 - 1 / classes:.4g}, where "
            f"labels are pure chance, but got {noise} with {classes} classes: lower it"
        )
    seed, examples, features = (int(values[key]) for key in ("seed", "examples", "features"))
    weights = _draw_teacher(values)
    calibration = np.random.default_rng([seed, 2]).standard_normal(
        (_CALIBRATION_EXAMPLES, features)
    )
    scores = _run_teacher(weights, calibration)
    generator = np.random.default_rng([seed, 0])
    x = generator.standard_normal((examples, features)).round(_DECIMALS)
    y = ((_run_teacher(weights, x) - scores.mean(axis=0)) / scores.std(axis=0)).argmax(axis=1)
    flipped = generator.random(examples) < noise
    step = generator.integers(1, classes, size=examples)
    y = np.where(flipped, (y + step) % classes, y).astype(np.int64)
    return _make_dataset("teacher", x, y, values, noise)


def _draw_teacher(values: Values) -> list[npt.NDArray[np.float64]]:
    generator = np.random.default_rng([int(values["seed"]), 1])
    width, depth = int(values["width"]), int(values["depth"])
    sizes = [int(values["features"]), *[width] * depth, int(values["classes"])]
    # The factor 2 keeps a deep teacher's units out of their linear range.
    return [
        generator.standard_normal((fan_in, fan_out)) * 2 / math.sqrt(fan_in)
        for fan_in, fan_out in pairwise(sizes)
    ]


def _run_teacher(
    weights: list[npt.NDArray[np.float64]], x: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    hidden = x
    for weight in weights[:-1]:
        hidden = np.tanh(hidden @ weight)
    return np.asarray(hidden @ weights[-1], dtype=np.float64)


def _make_dataset(
    name: str,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.int64],
    values: Values,
    bayes_error: float,
) -> Dataset:
    return Dataset(
        name=name,
        x=x.round(_DECIMALS),
        y=y,
        features=tuple(Feature(name=f"x{index}") for index in range(x.shape[1])),
        classes=tuple(str(code) for code in range(int(values["classes"]))),
        label_noise=float(values[LABEL_NOISE.name]),
        notes=(f"generated; no classifier can expect an error below {bayes_error:.4g}",),
    )


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


_SPIRALS = Generated(
    info=DatasetInfo(
        name="spirals",
        examples=3000,
        features=2,
        classes=3,
        description="Intertwined spirals in the plane with noise; smallest possible error 4.55%.",
    ),
    parameters=(
        Parameter(name="classes", default=3, low=2, high=100),
        Parameter(name="turns", default=2.0, low=0.0, high=20.0),
        Parameter(name="noise", default=0.5, low=0.0, high=10.0),
        Parameter(name="examples", default=3000, low=10, high=10_000_000),
        _SEED,
        LABEL_NOISE,
    ),
    make=make_spirals,
)
_TEACHER = Generated(
    info=DatasetInfo(
        name="teacher",
        examples=5000,
        features=5,
        classes=4,
        description=(
            "Normal inputs labelled by a random network, with label noise; smallest possible "
            "error 10%."
        ),
    ),
    parameters=(
        Parameter(name="classes", default=4, low=2, high=100),
        Parameter(name="features", default=5, low=1, high=10_000),
        Parameter(name="depth", default=2, low=0, high=64),
        Parameter(name="width", default=32, low=1, high=4096),
        Parameter(name="noise", default=0.1, low=0.0, high=0.99),
        Parameter(name="examples", default=5000, low=10, high=10_000_000),
        _SEED,
        LABEL_NOISE,
    ),
    make=make_teacher,
)

GENERATED: Mapping[str, Generated] = MappingProxyType(
    {generated.info.name: generated for generated in (_SPIRALS, _TEACHER)}
)
