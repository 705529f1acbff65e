"""Encodes features as standardised numbers, with statistics of the training part alone.

Axes: N example, F feature as read, E encoded column.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from archloss.spaces.dataset import Dataset, Feature, list_some
from archloss.spaces.errors import DataError


@dataclass(frozen=True, kw_only=True)
class EncodedColumn:
    """One column that a network sees, made of feature number `feature`.

    "number": the value, or `value` (the training median) where it is missing;
    "category": 1 where the code is `value`, else 0; "missing": 1 where it is missing, else 0.
    """

    name: str
    feature: int
    kind: Literal["number", "category", "missing"]
    value: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoder:
    """Encoded columns, and the mean `[E]` and scale `[E]` that standardise them."""

    columns: tuple[EncodedColumn, ...]
    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]

    def encode(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return `x` `[N, F]`, as a Dataset holds it, encoded and standardised `[N, E]`."""
        return (_expand(self.columns, x) - self.mean) / self.scale


def fit_encoder(
    dataset: Dataset, x_train: npt.NDArray[np.float64]
) -> tuple[Encoder, tuple[str, ...]]:
    """Return an encoder fitted on `x_train` `[N, F]` and notes that say what it does.

    Numeric features: missing values become the median, and a column more says where they were.
    Categorical features: a column for each category, and one for missing values. What is
    constant in training is dropped; a category, or a gap, that training has not seen is all
    zeros. Raises DataError where nothing is left, or where numbers are too large.
    """
    columns = [
        column
        for index, feature in enumerate(dataset.features)
        for column in _columns_of(feature, index, x_train[:, index])
    ]
    expanded = _expand(columns, x_train)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = expanded.mean(axis=0), expanded.std(axis=0)
    _refuse_overflow(dataset, columns, mean, scale)
    kept = np.flatnonzero(scale > 0)
    if not kept.size:
        raise DataError(
            f"{dataset.name!r} must have a feature that varies, but all {len(dataset.features)} "
            "are constant or empty in the training part: check the file and its target"
        )
    encoder = Encoder(
        columns=tuple(columns[index] for index in kept), mean=mean[kept], scale=scale[kept]
    )
    return encoder, _describe(dataset.features, encoder)


def _columns_of(
    feature: Feature, index: int, values: npt.NDArray[np.float64]
) -> list[EncodedColumn]:
    missing = np.isnan(values)
    columns: list[EncodedColumn] = []
    if missing.all():
        return columns
    if feature.categories:
        columns += [
            EncodedColumn(
                name=f"{feature.name}={feature.categories[int(code)]}",
                feature=index,
                kind="category",
                value=float(code),
            )
            for code in np.unique(values[~missing])
        ]
    else:
        median = float(np.median(values[~missing])) if missing.any() else float(np.median(values))
        columns.append(EncodedColumn(name=feature.name, feature=index, kind="number", value=median))
    if missing.any():
        name = f"{feature.name} is missing"
        columns.append(EncodedColumn(name=name, feature=index, kind="missing"))
    return columns


def _expand(
    columns: tuple[EncodedColumn, ...] | list[EncodedColumn], x: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    expanded = np.empty((len(x), len(columns)))
    for index, column in enumerate(columns):
        values = x[:, column.feature]
        if column.kind == "number":
            expanded[:, index] = np.where(np.isnan(values), column.value, values)
        elif column.kind == "category":
            expanded[:, index] = values == column.value
        else:
            expanded[:, index] = np.isnan(values)
    return expanded


def _refuse_overflow(
    dataset: Dataset,
    columns: list[EncodedColumn],
    mean: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
) -> None:
    overflowed = np.flatnonzero(~(np.isfinite(mean) & np.isfinite(scale)))
    if overflowed.size:
        raise DataError(
            f"features must have a finite mean and spread, but the numbers in "
            f"{columns[overflowed[0]].name!r} of {dataset.name!r} are too large: rescale them"
        )


def _describe(features: tuple[Feature, ...], encoder: Encoder) -> tuple[str, ...]:
    used = {column.feature for column in encoder.columns}
    with_gaps = {column.feature for column in encoder.columns if column.kind == "missing"}
    dropped: list[str] = []
    filled: list[str] = []
    own_category: list[str] = []
    for index, feature in enumerate(features):
        if index not in used:
            dropped.append(feature.name)
        elif index in with_gaps:
            (own_category if feature.categories else filled).append(feature.name)
    notes = []
    if dropped:
        notes.append(
            f"{len(dropped)} of {len(features)} features dropped, constant or empty in the "
            f"training part: {list_some(dropped)}"
        )
    if filled:
        notes.append(
            "missing values filled with the training median, a column more says where: "
            + list_some(filled)
        )
    if own_category:
        notes.append(f"missing values are a category of their own: {list_some(own_category)}")
    categorical = [f.name for i, f in enumerate(features) if f.categories and i in used]
    if categorical:
        notes.append(f"one column for each category (one-hot): {list_some(categorical)}")
    return tuple(notes)
