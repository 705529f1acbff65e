"""Reads the file that a table of trials stands in."""

import re
from pathlib import Path

import pandas as pd

from archloss.search.analysis.coverage import AnalysisError

_SEPARATORS = ";\t"
_MOSTLY = 0.5
_PARQUET = b"PAR1"
_UNEVEN = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


def read_table(path: Path) -> pd.DataFrame:
    """Return the table of a CSV or Parquet file; raise AnalysisError where it has none to read."""
    try:
        return _read_parquet(path) if _is_parquet(path) else _read_csv(path)
    except FileNotFoundError:
        raise AnalysisError(
            f"--trials must name a file, but {str(path)!r} does not exist"
        ) from None
    except (ValueError, OSError) as error:
        raise AnalysisError(
            f"--trials must name a CSV or Parquet file, but {str(path)!r} cannot be read as one: "
            f"{_say_why(error)}"
        ) from None


def _is_parquet(path: Path) -> bool:
    """Say whether a file is one, by its suffix or by how it begins."""
    if path.suffix == ".parquet":
        return True
    with path.open("rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET


def drop_copies(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without rows that agree with an earlier one in every column.

    Such are of joined exports that overlap. Other trainings of a design differ somewhere, at least
    in what they reached.
    """
    return table[~table.duplicated()]


def _say_why(error: ValueError | OSError) -> str:
    """Return why a file is no table, and what would make it one."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}"
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8. Save it as such"
    if isinstance(error, pd.errors.EmptyDataError):
        return "it is empty"
    if uneven := _UNEVEN.search(str(error)):
        columns, line, values = uneven.groups()
        return f"line {line} has {values} values where the first has {columns}. Mend that line"
    return "its contents are neither. Check the file and its suffix"


def _read_csv(path: Path) -> pd.DataFrame:
    """Return the table of a file with values between commas, semicolons or tabs."""
    # By the names alone: rows with decimal commas would look uneven.
    names = pd.read_csv(path, nrows=0).columns
    for separator in _SEPARATORS:
        if len(names) == 1 and separator in str(names[0]):
            table = pd.read_csv(path, sep=separator)
            return _read_decimal_commas(table) if separator == ";" else table
    return pd.read_csv(path)


def _read_decimal_commas(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with columns of numbers as `0,5` read as such, as German Excel writes them.

    A column is of numbers where most of its cells are. Where some column has a decimal point,
    commas mean something else.
    """
    numbers = [values for _, values in table.items() if pd.api.types.is_float_dtype(values)]
    if any((values.dropna() % 1 != 0).any() for values in numbers):
        return table
    for name, cells in table.items():
        if not pd.api.types.is_numeric_dtype(cells):
            read = pd.to_numeric(cells.astype(str).str.replace(",", "."), errors="coerce")
            if read.notna().sum() > _MOSTLY * cells.notna().sum():
                table[name] = read.where(read.notna(), cells)
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    """Return the table of a file, without its index; lists and the like are words.

    A column of words that are all numbers, as MLflow writes parameters, is one of numbers.
    """
    table = pd.read_parquet(path).reset_index(drop=True)
    for name, cells in table.items():
        if pd.api.types.is_numeric_dtype(cells):
            continue
        if pd.api.types.is_object_dtype(cells) or pd.api.types.is_string_dtype(cells):
            numbers = pd.to_numeric(cells, errors="coerce")
            if cells.notna().any() and numbers.notna().equals(cells.notna()):
                table[name] = numbers
                continue
        if pd.api.types.is_object_dtype(cells):
            table[name] = cells.map(
                lambda cell: cell if pd.api.types.is_hashable(cell) else repr(cell)
            )
    return table
