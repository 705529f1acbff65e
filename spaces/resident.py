"""The data of a study, standardised and split, resident on a device; cached per process."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from archloss.spaces.data import Dataset, Splits, load_dataset, split_dataset
from archloss.spaces.errors import DataError
from archloss.spaces.recipe import Recipe

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One part of the data on a device: `x` `[N, F]`, `labels` `[N]`, `onehot` `[N, C]`."""

    x: torch.Tensor
    labels: torch.Tensor
    onehot: torch.Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class ResidentData:
    """The three parts on one device."""

    train: Part
    validation: Part
    test: Part
    features: int
    classes: int


def load_resident(
    recipe: Recipe,
    *,
    device: torch.device,
    replicate: int = 0,
    fingerprint: str | None = None,
) -> ResidentData:
    """Load, split, standardise and place the data that this replicate of the recipe is trained on.

    Raises DataError if they have changed.
    """
    splits = load_splits(recipe, replicate)
    if fingerprint is not None and splits.fingerprint != fingerprint:
        raise DataError(
            f"the data of a study must not change, but dataset {recipe.dataset!r} has fingerprint "
            f"{splits.fingerprint[:12]} here and {fingerprint[:12]} in the study: restore the "
            "data, or start a study with another name"
        )
    return _place(splits, DTYPES[recipe.precision], device)


def load_splits(recipe: Recipe, replicate: int = 0) -> Splits:
    """Load and split the recipe's data as this replicate has them; the last two are kept."""
    return _split(
        recipe.dataset,
        recipe.target,
        recipe.validation_fraction,
        recipe.test_fraction,
        recipe.find_split_seed(replicate),
        recipe.split == "redrawn",
    )


@lru_cache(maxsize=2)
def _split(
    name: str,
    target: str | None,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    again: bool,
) -> Splits:
    """Split a dataset, which is kept where it will be split `again`."""
    return split_dataset(
        _load_once(name, target) if again else load_dataset(name, target),
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )


@lru_cache(maxsize=1)
def _load_once(name: str, target: str | None) -> Dataset:
    return load_dataset(name, target)


@lru_cache(maxsize=2)
def _place(splits: Splits, dtype: torch.dtype, device: torch.device) -> ResidentData:
    classes = len(splits.classes)

    def place(x: np.ndarray, y: np.ndarray) -> Part:
        labels = torch.from_numpy(np.ascontiguousarray(y, dtype=np.int64)).to(device)
        return Part(
            x=torch.from_numpy(np.ascontiguousarray(x)).to(device=device, dtype=dtype),
            labels=labels,
            onehot=torch.nn.functional.one_hot(labels, classes).to(dtype),
        )

    return ResidentData(
        train=place(splits.x_train, splits.y_train),
        validation=place(splits.x_validation, splits.y_validation),
        test=place(splits.x_test, splits.y_test),
        features=splits.x_train.shape[1],
        classes=classes,
    )
