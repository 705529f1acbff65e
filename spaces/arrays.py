"""Makes data sets of arrays: X and y in an npz file, or handed over by a function."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archloss.spaces.dataset import Dataset, Feature
from archloss.spaces.errors import DataError
from archloss.spaces.labels import encode_labels


def read_npz(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return X and y of an npz file without ever unpickling; raise DataError if that fails."""
    name = str(path)
    if path.stat().st_size == 0:
        raise DataError(
            f"an npz file must hold X and y, but {name!r} is empty: check how it was written"
        )
    with path.open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise _unreadable(name) from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise _unreadable(name)
        for key in ("X", "y"):
            if key not in archive.files:
                found = ", ".join(repr(member) for member in archive.files) or "nothing"
                raise DataError(
                    f"an npz file must hold arrays named X and y, but {name!r} has no {key!r}; "
                    f"it holds {found}: write it with numpy.savez({path.name!r}, X=X, y=y)"
                )
        return _read_member(archive, "X", name), _read_member(archive, "y", name)


def make_array_dataset(x: Any, y: Any, *, name: str) -> Dataset:
    """Return the data set of an array `x` `[N, F]` of numbers (NaN is missing) and labels `y`."""
    numbers = np.asarray(x)
    if numbers.dtype.kind not in "biuf":
        raise DataError(
            f"X of {name!r} must hold numbers, but it holds {numbers.dtype} values: turn text "
            "into numbers, or give a table (CSV, Parquet or a pandas DataFrame), whose text "
            "columns are taken as categories"
        )
    codes, classes = encode_labels(y, target=f"y of {name!r}")
    columns = numbers.shape[1] if numbers.ndim == 2 else 0
    return Dataset(
        name=name,
        x=numbers.astype(np.float64),
        y=codes,
        features=tuple(Feature(name=f"x{index}") for index in range(columns)),
        classes=classes,
    )


def _read_member(archive: Any, key: str, name: str) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = archive[key]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"arrays of an npz file must hold plain numbers or text, but {key!r} of {name!r} "
                "holds pickled objects, which are never opened (a pickle can run any code): save "
                f"it again with a plain type, as in numpy.asarray({key}, dtype=float)"
            ) from error
        raise _unreadable(name) from error
    return array


def _unreadable(name: str) -> DataError:
    return DataError(
        f"{name!r} must be an npz file of numpy, but it is not one, is damaged, or is a pickle, "
        "which is never opened (a pickle can run any code): write it with numpy.savez(path, X=X, "
        "y=y)"
    )
