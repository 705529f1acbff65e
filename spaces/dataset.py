"""A classification data set as it was read, before it is split and encoded; always valid.

Axes: N example, F feature as read, C class.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from archloss.spaces.errors import DataError

SMALLEST_CLASS = 3  # one example for each of the three parts


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column: numbers, or, where `categories` is not empty, codes that index them."""

    name: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Examples and their classes; making one raises DataError where a rule is broken.

    `x` `[N, F]` holds the numbers of numeric features and the codes of categorical ones; NaN is
    a missing value. `y` `[N]` holds codes that index `classes`. `label_noise` is the share of
    *training* labels that the split replaces by another class. `notes` say what was done.
    """

    name: str
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.int64]
    features: tuple[Feature, ...]
    classes: tuple[str, ...]
    label_noise: float = 0.0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_finite(self)
        _check_classes(self)
        if not 0 <= self.label_noise < 1:
            raise DataError(
                f"label_noise of {self.name!r} is a share of the training labels and must lie in "
                f"[0, 1), but got {self.label_noise}: give for example label_noise=0.2"
            )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content: equal for equal data, whatever file or name it came from."""
        header = {
            "features": [[feature.name, list(feature.categories)] for feature in self.features],
            "classes": list(self.classes),
            "label_noise": self.label_noise,
            "shape": list(self.x.shape),
        }
        digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        # One bit pattern for each value: NaN has many, and zero has two.
        x = np.where(np.isnan(self.x), np.nan, self.x + 0.0)
        digest.update(x.astype("<f8").tobytes())
        digest.update(self.y.astype("<i8").tobytes())
        return digest.hexdigest()


def list_some(names: list[str], most: int = 8) -> str:
    """Return the names for a sentence, the first few of many."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _check_shapes(dataset: Dataset) -> None:
    x, y, name = dataset.x, dataset.y, dataset.name
    if x.ndim != 2 or y.ndim != 1:
        raise DataError(
            f"{name!r} must have X of shape [examples, features] and y of shape [examples], but "
            f"got X {list(x.shape)} and y {list(y.shape)}: reshape them (images become rows)"
        )
    if len(x) != len(y):
        raise DataError(
            f"X and y of {name!r} must have one row for each example, but X has {len(x)} rows "
            f"and y has {len(y)}: check how they were made"
        )
    if x.shape[1] == 0:
        raise DataError(f"{name!r} must have at least one feature beside the target: it has none")
    if len(dataset.features) != x.shape[1]:
        raise DataError(
            f"{name!r} must describe each column of X, but X has {x.shape[1]} columns and there "
            f"are {len(dataset.features)} features: give one Feature for each column"
        )
    if len(y) and not 0 <= y.min() <= y.max() < len(dataset.classes):
        raise DataError(
            f"y of {name!r} must index its {len(dataset.classes)} classes, but it runs from "
            f"{y.min()} to {y.max()}: give codes from 0 to {len(dataset.classes) - 1}"
        )


def _check_finite(dataset: Dataset) -> None:
    infinite = np.isinf(dataset.x)
    if not infinite.any():
        return
    columns = np.flatnonzero(infinite.any(axis=0))
    first = int(columns[0])
    row = int(np.flatnonzero(infinite[:, first])[0])
    raise DataError(
        f"features must be finite, but {dataset.name!r} has {int(infinite.sum())} infinite values "
        f"in {list_some([repr(dataset.features[c].name) for c in columns])}, the first in row "
        f"{row} (from 0): replace them, or leave them empty to have them treated as missing"
    )


def _check_classes(dataset: Dataset) -> None:
    name, classes, examples = dataset.name, dataset.classes, len(dataset.y)
    if examples == 0:
        raise DataError(f"{name!r} must have examples, but it is empty: check how it was written")
    if len(classes) < 2:
        raise DataError(
            f"the target of {name!r} must have at least two classes, but all {examples} examples "
            f"are of class {classes[0]!r}: choose another target, or add examples of another class"
        )
    counts = np.bincount(dataset.y, minlength=len(classes))
    small = np.flatnonzero(counts < SMALLEST_CLASS)
    if small.size:
        shown = list_some([f"{classes[code]!r} has {counts[code]}" for code in small], most=5)
        raise DataError(
            f"each class of {name!r} must have at least {SMALLEST_CLASS} examples, one each for "
            f"training, validation and test, but of {len(classes)} classes in {examples} "
            f"examples {shown}: add examples, merge or remove the rare classes, or, if the "
            "target is a quantity and no class, cut it into a few ranges"
        )
