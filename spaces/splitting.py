"""Splits a data set into training, validation and test parts, stratified, by a seed.

Axes: N example, E encoded column, C class.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.spaces.dataset import Dataset
from archloss.spaces.encoding import Encoder, fit_encoder
from archloss.spaces.errors import DataError

_SPLIT_STREAM, _NOISE_STREAM = 0, 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """The three parts: `x` `[N, E]` standardised by the training part, `y` `[N]`.

    `majority_class` is the commonest class of the training part (the first of equals);
    `encoder` turns other rows of the same table into what the networks have seen.
    """

    x_train: npt.NDArray[np.float64]
    y_train: npt.NDArray[np.int64]
    x_validation: npt.NDArray[np.float64]
    y_validation: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.float64]
    y_test: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...]
    majority_class: int
    encoder: Encoder


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """The labels that guessing needs of a split: `y_validation` `[N]`, and `majority_class`."""

    y_validation: npt.NDArray[np.int64]
    majority_class: int


def split_labels(
    dataset: Dataset, *, validation_fraction: float, test_fraction: float, seed: int
) -> Labels:
    """Return labels of `split_dataset` with these arguments, without encoding a feature."""
    _check_fractions(validation_fraction, test_fraction)
    train, validation, _ = _stratify(dataset, validation_fraction, test_fraction, seed)
    return Labels(
        y_validation=dataset.y[validation],
        majority_class=_find_majority(_add_label_noise(dataset, train, seed)),
    )


def split_dataset(
    dataset: Dataset, *, validation_fraction: float, test_fraction: float, seed: int
) -> Splits:
    """Return the parts; the same arguments give the same parts on every machine.

    Every class has the same share in each part, and at least one example. The test part
    depends on the seed and `test_fraction` alone. Label noise falls on training labels alone.
    Raises DataError for fractions that leave a part empty.
    """
    _check_fractions(validation_fraction, test_fraction)
    train, validation, test = _stratify(dataset, validation_fraction, test_fraction, seed)
    encoder, notes = fit_encoder(dataset, dataset.x[train])
    y_train = _add_label_noise(dataset, train, seed)
    if dataset.label_noise:
        changed = int((y_train != dataset.y[train]).sum())
        notes += (f"label noise: {changed} of {len(train)} training labels replaced",)
    return Splits(
        x_train=encoder.encode(dataset.x[train]),
        y_train=y_train,
        x_validation=encoder.encode(dataset.x[validation]),
        y_validation=dataset.y[validation],
        x_test=encoder.encode(dataset.x[test]),
        y_test=dataset.y[test],
        classes=dataset.classes,
        fingerprint=dataset.fingerprint,
        notes=dataset.notes + notes,
        majority_class=_find_majority(y_train),
        encoder=encoder,
    )


def _find_majority(labels: npt.NDArray[np.int64]) -> int:
    return int(np.bincount(labels).argmax())


def _check_fractions(validation_fraction: float, test_fraction: float) -> None:
    if not (
        validation_fraction > 0 and test_fraction > 0 and validation_fraction + test_fraction < 1
    ):
        raise DataError(
            "validation_fraction and test_fraction must be above 0 and leave something to train "
            f"on, but got {validation_fraction} and {test_fraction}: give for example 0.2 and 0.2"
        )


def _stratify(
    dataset: Dataset, validation_fraction: float, test_fraction: float, seed: int
) -> tuple[npt.NDArray[np.intp], ...]:
    """Return the rows of training, validation and test, each in ascending order."""
    counts = np.bincount(dataset.y, minlength=len(dataset.classes))
    tests = np.clip(_allocate(counts, test_fraction), 1, counts - 2)
    validations = np.clip(_allocate(counts, validation_fraction), 1, counts - tests - 1)
    generator = np.random.default_rng([seed, _SPLIT_STREAM])
    parts: tuple[list[npt.NDArray[np.intp]], ...] = ([], [], [])
    for code in range(len(counts)):
        rows = generator.permutation(np.flatnonzero(dataset.y == code))
        until_test = tests[code]
        until_validation = until_test + validations[code]
        parts[0].append(rows[until_validation:])
        parts[1].append(rows[until_test:until_validation])
        parts[2].append(rows[:until_test])
    return tuple(np.sort(np.concatenate(rows)) for rows in parts)


def _allocate(counts: npt.NDArray[np.int64], fraction: float) -> npt.NDArray[np.int64]:
    """Share `fraction` of all examples over the classes: by whole quotas, then by remainders."""
    quotas = counts * fraction
    shares: npt.NDArray[np.int64] = np.floor(quotas).astype(np.int64)
    left = round(float(quotas.sum())) - int(shares.sum())
    by_remainder = np.argsort(shares - quotas, kind="stable")
    shares[by_remainder[:left]] += 1
    return shares


def _add_label_noise(
    dataset: Dataset, train: npt.NDArray[np.intp], seed: int
) -> npt.NDArray[np.int64]:
    labels: npt.NDArray[np.int64] = dataset.y[train]
    generator = np.random.default_rng([seed, _NOISE_STREAM])
    flipped = generator.permutation(len(labels))[: round(dataset.label_noise * len(labels))]
    step = generator.integers(1, len(dataset.classes), size=len(flipped))
    labels[flipped] = (labels[flipped] + step) % len(dataset.classes)
    return labels
