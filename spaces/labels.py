"""Turns the values of a target into codes and class names, and refuses what is no class."""

from typing import Any

import numpy as np
import numpy.typing as npt

from archloss.spaces.errors import DataError


def encode_labels(values: Any, *, target: str) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the codes `[N]` and the names of the classes, in order: numbers by size, else text.

    `values` are booleans, whole numbers (1.0 counts as 1) or text; `target` says in messages
    where they stand, as in "column 'label' of 'a.csv'". Raises DataError for missing values,
    fractions (a regression target) and anything else.
    """
    labels = _as_vector(values, target)
    _refuse_missing(labels, target)
    kinds = {type(label) for label in labels}
    if kinds and kinds <= {bool, int, float}:
        labels = _as_whole_numbers(labels, target)
    elif not kinds <= {str, bool, int}:
        unknown = sorted(kind.__name__ for kind in kinds - {str, bool, int})
        raise DataError(
            f"{target} must hold text, whole numbers or booleans, but it holds {unknown[0]} "
            f"values such as {labels[0]!r}: give each class a name or a number"
        )
    else:
        labels = [str(label) for label in labels]
    names = sorted(set(labels))
    code_of = {name: code for code, name in enumerate(names)}
    codes = np.fromiter((code_of[label] for label in labels), dtype=np.int64, count=len(labels))
    return codes, tuple(str(name) for name in names)


def _as_vector(values: Any, target: str) -> list[Any]:
    array = values if isinstance(values, np.ndarray) else np.asarray(values, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            f"{target} must be one label for each example, but has shape {list(array.shape)}: "
            "give a vector (of one-hot rows, the argmax)"
        )
    return [item.item() if isinstance(item, np.generic) else item for item in array.tolist()]


def _refuse_missing(labels: list[Any], target: str) -> None:
    # NaN is not itself; a missing value of pandas says neither yes nor no.
    missing = [
        row
        for row, label in enumerate(labels)
        if label is None or type(label).__name__ in ("NAType", "NaTType") or label != label
    ]
    if missing:
        raise DataError(
            f"{target} must have a class in every row, but {len(missing)} of {len(labels)} rows "
            f"are empty or not a number, the first is row {missing[0]} (from 0): remove these "
            "rows or label them (a class called NA, None or null in a CSV file reads as empty: "
            "rename it)"
        )


def _as_whole_numbers(labels: list[Any], target: str) -> list[Any]:
    if any(isinstance(label, bool) for label in labels):
        return (
            labels if all(isinstance(label, bool) for label in labels) else list(map(int, labels))
        )
    fractions = [label for label in labels if not float(label).is_integer()]
    if fractions:
        raise DataError(
            f"{target} must hold classes, but it holds the fraction {fractions[0]!r} and "
            f"{len(set(labels))} different numbers: archloss trains classifiers; cut the target "
            "into ranges with names, or name another column as target"
        )
    return [int(label) for label in labels]
