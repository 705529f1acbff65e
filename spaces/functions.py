"""Loads data sets that a user's own function returns, named "module:function"."""

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from archloss.spaces.arrays import make_array_dataset
from archloss.spaces.dataset import Dataset
from archloss.spaces.errors import DataError
from archloss.spaces.tables import make_table_dataset

_NAME = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<function>[^\W\d]\w*)")


def is_function_name(name: str) -> bool:
    """Say whether the name reads as "module:function"."""
    return _NAME.fullmatch(name) is not None


def load_function_dataset(name: str, target: str | None) -> Dataset:
    """Return what the function makes: a Dataset, (X, y), a DataFrame or (DataFrame, target).

    A lone DataFrame needs `target`, the name of a column; the target beside a DataFrame is such
    a name too, or a vector of labels. The module is looked for in the current folder, then as
    installed. Raises DataError for what is missing, raised or returned otherwise.
    """
    with _current_folder_first():
        made = _call(name)
    return _make_dataset(made, target, name)


@contextmanager
def _current_folder_first() -> Iterator[None]:
    """Let Python find modules in the current folder, as it does for a script that lies there."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _call(name: str) -> Any:
    module_name, function_name = name.split(":")
    module = _import_module(module_name, name)
    function = getattr(module, function_name, None)
    if not callable(function):
        functions = [key for key, value in vars(module).items() if callable(value)]
        raise DataError(
            f"{name!r} must name a function, but module {module_name!r} has none called "
            f"{function_name!r}; it has {', '.join(functions) or 'none at all'}"
        )
    try:
        return function()
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{name!r} must return data when called without arguments, but it raised "
            f"{type(error).__name__}: {error}"
        ) from error


def _make_dataset(made: Any, target: str | None, name: str) -> Dataset:
    import pandas as pd

    if isinstance(made, pd.DataFrame):
        return make_table_dataset(made, target, name=name)
    if target is not None:
        raise DataError(
            f"`target` names a column of a table, but got {target!r} and {name!r} returns "
            f"{type(made).__name__}, which brings its own: leave `target` out"
        )
    if isinstance(made, Dataset):
        return made
    if isinstance(made, tuple) and len(made) == 2:
        x, y = made
        if isinstance(x, pd.DataFrame):
            return _make_frame_dataset(x, y, name)
        return make_array_dataset(x, y, name=name)
    raise DataError(
        f"{name!r} must return (X, y), a DataFrame, (DataFrame, target) or a Dataset, but it "
        f"returned {type(made).__name__}: change its last line"
    )


def _make_frame_dataset(table: Any, target: Any, name: str) -> Dataset:
    if isinstance(target, str):
        return make_table_dataset(table, target, name=name)
    if len(target) != len(table):
        raise DataError(
            f"the table and the target of {name!r} must have one row for each example, but the "
            f"table has {len(table)} rows and the target {len(target)}: check how they were made"
        )
    column = "target"
    while column in table.columns:
        column += "_"
    labels = target.to_numpy() if hasattr(target, "to_numpy") else target
    return make_table_dataset(table.assign(**{column: labels}), column, name=name)


def _import_module(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module + ".").startswith(error.name + "."):
            raise _import_failed(module, name, error) from error
        raise DataError(
            f"{name!r} must name a module in the current folder or an installed one, but there "
            f"is no module {error.name!r} ({str(Path.cwd())!r}): check the name, or change the "
            "folder"
        ) from error
    except Exception as error:
        raise _import_failed(module, name, error) from error


def _import_failed(module: str, name: str, error: Exception) -> DataError:
    return DataError(
        f"the module of {name!r} must be importable, but importing {module!r} raised "
        f"{type(error).__name__}: {error}"
    )
