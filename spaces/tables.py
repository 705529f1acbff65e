"""Reads CSV and Parquet files, and turns a table with a target column into a data set."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from archloss.spaces.dataset import Dataset, Feature, list_some
from archloss.spaces.errors import DataError
from archloss.spaces.labels import encode_labels

if TYPE_CHECKING:
    import pandas as pd

CSV_SUFFIXES = (".csv", ".csv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")

# A text column with more categories than these is a name, an identifier or prose.
_MOST_CATEGORIES_OF_FEW_ROWS = 50
_MOST_CATEGORIES = 1000

_NUMBERS = {"boolean", "integer", "floating", "mixed-integer-float", "decimal", "empty"}
_TEXT = {"string", "mixed-integer"}


def read_table(path: Path) -> "pd.DataFrame":
    """Return the table in a CSV or Parquet file; raise DataError if it cannot be read."""
    import pandas as pd

    if path.stat().st_size == 0:
        raise _empty_file(path)
    try:
        if path.name.lower().endswith(PARQUET_SUFFIXES):
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, low_memory=False, float_precision=_exact(pd.__version__))
    except pd.errors.EmptyDataError:
        raise _empty_file(path) from None
    except (ValueError, OSError, EOFError) as error:  # both parsers' errors are ValueErrors
        raise DataError(
            f"{str(path)!r} must be a comma-separated table in UTF-8, or a Parquet file, but it "
            f"cannot be read ({_first_line(error)}): check the file and its suffix"
        ) from error
    if table.empty:
        raise _empty_file(path)
    return _drop_written_index(table)


def make_table_dataset(table: "pd.DataFrame", target: str | None, *, name: str) -> Dataset:
    """Return the data set of a table whose column `target` holds the classes.

    Numeric and boolean columns become numbers; text and categorical columns become categories,
    in alphabetical order. Raises DataError for columns that are neither.
    """
    table = table.rename(columns=str)
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise DataError(
            f"columns of {name!r} must have different names, but {repeated[0]!r} stands there "
            "more than once: rename one"
        )
    target = _check_target(list(table.columns), target, name)
    y, classes = encode_labels(
        table[target].astype(object), target=f"column {target!r} of {name!r}"
    )
    columns = [column for column in table.columns if column != target]
    x = np.empty((len(table), len(columns)))
    features = []
    for index, column in enumerate(columns):
        x[:, index], categories = _encode_column(table[column], column, name)
        features.append(Feature(name=column, categories=categories))
    return Dataset(name=name, x=x, y=y, features=tuple(features), classes=classes)


def _encode_column(
    column: "pd.Series[Any]", name: str, dataset: str
) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Return numbers and no categories, or codes and their categories; NaN is missing."""
    import pandas as pd

    categorical = isinstance(column.dtype, pd.CategoricalDtype)
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column)
    if numeric and not categorical:
        return column.to_numpy(dtype=np.float64, na_value=np.nan), ()
    values = column.astype(object)
    present = values.notna()
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in _NUMBERS and not categorical:
        return values.where(present, np.nan).to_numpy(dtype=np.float64), ()
    if kind not in _NUMBERS | _TEXT:
        raise DataError(
            f"columns of {dataset!r} must hold numbers, text or booleans, but {name!r} holds "
            f"{kind} values such as {values[present].iloc[0]!r}: turn them into numbers or text, "
            "or remove the column"
        )
    text = values[present].map(str)
    codes = np.full(len(values), np.nan)
    codes[present.to_numpy()], categories = pd.factorize(text, sort=True)
    if not categorical:
        _refuse_free_text(text, name, dataset)
    return codes, tuple(str(category) for category in categories)


def _refuse_free_text(text: "pd.Series[str]", name: str, dataset: str) -> None:
    import pandas as pd

    distinct = text.nunique()
    if distinct <= _MOST_CATEGORIES_OF_FEW_ROWS or (
        distinct <= len(text) / 2 and distinct <= _MOST_CATEGORIES
    ):
        return
    odd = text[pd.to_numeric(text, errors="coerce").isna()]
    if len(odd) < len(text) / 2:
        raise DataError(
            f"a column of numbers must hold nothing else, but {name!r} of {dataset!r} also holds "
            f"{list_some([repr(value) for value in odd.unique()], most=3)} ({len(odd)} of "
            f"{len(text)} rows): leave a cell empty where its value is missing"
        )
    raise DataError(
        f"a text column must hold categories, at most {_MOST_CATEGORIES_OF_FEW_ROWS} or half the "
        f"rows, and never above {_MOST_CATEGORIES}, but {name!r} of {dataset!r} has {distinct} "
        f"different values in {len(text)} rows, such as {text.iloc[0]!r}: remove the column "
        "(an identifier, a name or prose teaches nothing), or turn it into numbers or fewer "
        "categories"
    )


def _check_target(columns: list[str], target: str | None, name: str) -> str:
    shown = list_some([repr(column) for column in columns])
    if target is None:
        raise DataError(
            f"a table needs `target`, the column that holds the classes, but none is given for "
            f"{name!r}: name one of its columns, {shown}"
        )
    if target in columns:
        return target
    nearest = difflib.get_close_matches(target, columns, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    if len(columns) == 1:
        hint += "A file of one column may be separated by something else than commas. "
    raise DataError(
        f"`target` must be a column of {name!r}, but {target!r} is not: {hint}Its columns are "
        f"{shown}"
    )


def _exact(pandas_version: str) -> Literal["round_trip"] | None:
    """Return what makes pandas read numbers exactly; from 3.1 on it does, and wants no option."""
    major, minor = pandas_version.split(".")[:2]
    return None if (int(major), int(minor)) >= (3, 1) else "round_trip"


def _drop_written_index(table: "pd.DataFrame") -> "pd.DataFrame":
    """Drop the row numbers that pandas writes as a first column without a name.

    In a file sorted by class they would give the class away.
    """
    import pandas as pd

    first = table.iloc[:, 0]
    if table.columns[0] == "Unnamed: 0" and pd.api.types.is_integer_dtype(first):
        return table.iloc[:, 1:]
    return table


def _empty_file(path: Path) -> DataError:
    return DataError(
        f"a data file must have a line of names and rows of values, but {str(path)!r} is empty: "
        "check how it was written"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
