"""Npz files: what is read, and what is refused."""

import numpy as np
import pytest

from archloss.spaces.data import load_dataset
from archloss.spaces.errors import DataError


@pytest.fixture
def save(tmp_path):
    def save(**arrays) -> str:
        np.savez(tmp_path / "data.npz", **arrays)
        return str(tmp_path / "data.npz")

    return save


X, Y = np.arange(24, dtype=np.float32).reshape(12, 2), np.array(["a", "b", "c"] * 4)


def test_npz_is_read(save):
    dataset = load_dataset(save(X=X, y=Y))
    np.testing.assert_array_equal(dataset.x, X)
    assert dataset.classes == ("a", "b", "c")
    assert dataset.y.tolist() == [0, 1, 2] * 4
    assert [feature.name for feature in dataset.features] == ["x0", "x1"]
    assert load_dataset(save(X=X, y=Y[:, None])).fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": Y}, "has no 'X'; it holds 'y': write it with numpy.savez"),
        ({"X": X, "Y": Y}, "has no 'y'; it holds 'X', 'Y': write it with"),
        ({"X": X, "y": Y[:-1]}, "X has 12 rows and y has 11: check how they were made"),
        ({"X": X.astype(object), "y": Y}, "'X' of .* pickled objects, which are never opened"),
        ({"X": X, "y": Y.astype(object)}, "'y' of .* pickled objects, which are never opened"),
        ({"X": X.astype(str), "y": Y}, "must hold numbers, but it holds <U.* values: turn text"),
        ({"X": X[:, 0], "y": Y}, r"got X \[12\] and y \[12\]: reshape them"),
        ({"X": X.reshape(12, 2, 1), "y": Y}, r"got X \[12, 2, 1\]"),
        ({"X": X, "y": np.eye(12)}, r"has shape \[12, 12\]: give a vector \(of one-hot rows"),
        ({"X": np.where(X == 5, np.inf, X), "y": Y}, "1 infinite .*'x1'"),
        ({"X": X, "y": np.linspace(0, 1, 12)}, "must hold classes, but it holds the fraction"),
        ({"X": X, "y": np.array([1.0, np.nan, 2.0] * 4)}, "4 of 12 rows are empty or not a num"),
        ({"X": X, "y": np.zeros(12, dtype="M8[D]")}, "holds date values"),
        ({"X": X[:0], "y": Y[:0]}, "must have examples, but it is empty"),
        ({"X": X, "y": np.arange(12)}, "of 12 classes in 12 examples '0' has 1"),
    ],
)
def test_bad_npz_is_refused(save, arrays, message):
    with pytest.raises(DataError, match=message):
        load_dataset(save(**arrays))


def test_damaged_pickled_and_empty_files_are_refused(tmp_path):
    path = tmp_path / "data.npz"
    for content in (b"PK\x03\x04 nothing", b"\x80\x04\x95pickle.", b"text"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is damaged, or is a pickle, which is never opened"):
            load_dataset(str(path))
    with path.open("wb") as file:
        np.save(file, X)
    with pytest.raises(DataError, match="must be an npz file of numpy, but it is not one"):
        load_dataset(str(path))
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty: check how it was written"):
        load_dataset(str(path))
