"""Trials from a table that anything made: a CSV or Parquet file with a row for each trial."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from archloss.search.analysis.axes import Axis, Category, Numeric
from archloss.search.analysis.columns import (
    MOST_LEVELS,
    Columns,
    check_cells,
    check_columns,
    name_row,
    read_errors,
    settle,
)
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.study import DEFAULT_BY, find_roles
from archloss.search.analysis.trials import Kind, Trials

_LOG_RATIO = 20.0
_MOST_STEPS, _FEWEST_AT_STEP = 25, 4
_COMPLETED = ("complete", "completed", "finished", "succeeded", "success", "terminated")
_KINDS = dict.fromkeys(_COMPLETED, Kind.COMPLETED) | {
    "diverged": Kind.DIVERGED,
    "pruned": Kind.PRUNED,
}
_FAILED = ("fail", "failed", "crashed", "killed", "error", "lost", "infeasible")
_UNFINISHED = ("running", "pending", "paused", "waiting")
LEFT_OUT = (*_FAILED, *_UNFINISHED)
"""What says of a row that its trial did not come to an end."""
_FEWEST_VALUES = 2
_SEPARATORS = ";\t"
_UNEVEN = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


def read_table(path: Path) -> pd.DataFrame:
    """Return the table of a CSV or Parquet file; raise AnalysisError where it has none to read."""
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except FileNotFoundError:
        raise AnalysisError(
            f"--trials must name a file, but {str(path)!r} does not exist"
        ) from None
    except (ValueError, OSError) as error:
        raise AnalysisError(
            f"--trials must name a CSV or Parquet file, but {str(path)!r} cannot be read as one: "
            f"{_say_why(error)}"
        ) from None


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
    table = pd.read_csv(path)
    for separator in _SEPARATORS:
        if len(table.columns) == 1 and separator in str(table.columns[0]):
            return pd.read_csv(path, sep=separator)
    return table


def make_table_trials(table: pd.DataFrame, columns: Columns, *, name: str) -> Trials:
    """Return the trials of a table; `name` is what errors call it."""
    table, columns = settle(table, columns)
    question = columns.question
    check_columns(table, columns, name)
    kinds, kept = _read_kinds(table, columns, name)
    table, kinds = table[kept], kinds[kept]
    if not len(table):
        raise AnalysisError(
            f"{name} must have a row for each trial that has ended, but has none: let some end, or "
            "name another file"
        )
    by = question.by or DEFAULT_BY
    axes: list[Axis] = []
    places = []
    for axis_name in columns.list_axes():
        values = table[axis_name]
        check_cells(values, axis_name, name)
        axis = _make_axis(axis_name, values, columns, category=axis_name == by)
        if isinstance(axis, Category) and axis_name not in (question.context, question.choice):
            _check_levels(axis, name)
        if axis is None and axis_name in (question.context, question.choice, question.by):
            raise AnalysisError(
                f"column {axis_name!r} of {name} must have several values, but is "
                f"{values.iloc[0]} throughout: nothing depends on it"
            )
        if axis is None:
            continue
        axes.append(axis)
        places.append(
            axis.encode(values.to_numpy(dtype=float))
            if isinstance(axis, Numeric)
            else axis.encode(list(values))
        )
    errors = read_errors(table, columns, name)
    if not np.isfinite(errors).any() and (kinds == Kind.COMPLETED.value).any():
        raise AnalysisError(
            f"column {columns.error!r} of {name} must have the trials' errors, but has no finite "
            "number: name the right column with --error, or say with --state how trials ended"
        )
    kinds = np.where(
        (kinds == Kind.COMPLETED.value) & ~np.isfinite(errors), Kind.DIVERGED.value, kinds
    )
    completed = kinds == Kind.COMPLETED.value
    if not completed.any() and (kinds == Kind.DIVERGED.value).any():
        raise AnalysisError(
            f"{name} must have trials that completed, but all {len(kinds)} that came to an end "
            "diverged or were pruned: add some that did not, with lower learning rates for example"
        )
    return Trials(
        axes=tuple(axes),
        roles=find_roles(axes, question),
        points=np.stack(places, axis=1),
        kinds=kinds,
        values=np.where(completed, errors, np.nan),
        early=np.zeros((len(table), 0)),
        rungs=(),
        penalty=_find_penalty(errors, kinds),
        sampler=None,
    )


def _read_kinds(table: pd.DataFrame, columns: Columns, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's kind, and which rows are finished trials."""
    if columns.state is None:
        whole = np.ones(len(table), dtype=bool)
        return np.full(len(table), Kind.COMPLETED.value), whole
    states = _read_states(table[columns.state])
    unknown = ~states.isin([*_KINDS, *LEFT_OUT]).to_numpy()
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        raise AnalysisError(
            f"column {columns.state!r} of {name} must say how each trial ended, but says "
            f"{str(table[columns.state].iloc[row])!r} in {name_row(table.index[row])}. It may say "
            f"{', '.join(_COMPLETED)}; diverged; pruned; {', '.join(_FAILED)}; or "
            f"{', '.join(_UNFINISHED)}: mend it, or name another column with --state"
        )
    kept = states.isin(list(_KINDS)).to_numpy()
    return np.array([_KINDS.get(state, Kind.PRUNED).value for state in states]), kept


def _read_states(given: "pd.Series[str]") -> "pd.Series[str]":
    """Return how each row's trial ended, in the words that are known here if it is one of them."""
    return given.astype(str).str.rpartition(".")[2].str.strip().str.lower()


def count_states(table: pd.DataFrame, columns: Columns) -> Mapping[str, int]:
    """Return how many rows say in each way how their trial ended; none where no column does."""
    table, columns = settle(table, columns)
    if columns.state is None:
        return {}
    return Counter(_read_states(table[columns.state]))


def _make_axis(
    name: str, values: "pd.Series[float]", columns: Columns, *, category: bool
) -> Axis | None:
    """Return the axis of a column; None if it has one value alone."""
    # Python's own values, not NumPy's: levels go into JSON.
    distinct = sorted(values.unique().tolist(), key=lambda value: (str(type(value)), value))
    if len(distinct) < _FEWEST_VALUES:
        return None
    if category or values.dtype == bool or not pd.api.types.is_numeric_dtype(values):
        if name in columns.log:
            raise AnalysisError(
                f"--log must name a column of numbers, but got {name!r}, a choice between "
                f"{', '.join(map(repr, distinct[:_FEWEST_VALUES]))} and so on: leave it out"
            )
        return Category(name=name, levels=tuple(distinct))
    low, high = float(distinct[0]), float(distinct[-1])
    if name in columns.log and low < 0:
        raise AnalysisError(
            f"--log must name a column without values below 0, but {name!r} reaches {low:.4g}: "
            "leave it out"
        )
    whole = bool((values == values.round()).all())
    return Numeric(
        name=name,
        low=low,
        high=high,
        log=name in columns.log or _looks_logarithmic(values.to_numpy(dtype=float), low, high),
        whole=whole,
        steps=_find_steps(distinct, len(values), whole=whole),
    )


def _check_levels(axis: Category, name: str) -> None:
    """Raise AnalysisError where a choice is between so many values that each has hardly a trial."""
    count = len(axis.levels)
    if count > MOST_LEVELS:
        raise AnalysisError(
            f"column {axis.name!r} of {name} must have at most {MOST_LEVELS} values to be a "
            f"choice between them, but has {count}: leave it out, or, if it is a number, write it "
            "as one in each row"
        )


def _find_steps(distinct: Sequence[float], count: int, *, whole: bool) -> tuple[float, ...]:
    """Return the values of a grid; none where they look like those of a range."""
    few = len(distinct) <= min(_MOST_STEPS, count / _FEWEST_AT_STEP)
    every = whole and len(distinct) > (distinct[-1] - distinct[0] + 1) / 2
    return tuple(map(float, distinct)) if few and not every else ()


def _looks_logarithmic(values: np.ndarray, low: float, high: float) -> bool:
    """Say whether values spread evenly in their logarithm rather than as they are."""
    if low <= 0 or high / low < _LOG_RATIO:
        return False
    median = float(np.median(values))
    plain = abs((median - low) / (high - low) - 0.5)
    logarithmic = abs(np.log(median / low) / np.log(high / low) - 0.5)
    return bool(logarithmic < plain)


def _find_penalty(errors: np.ndarray, kinds: np.ndarray) -> float:
    """Return what a diverged trial counts as: what the table says, or the worst that completed."""
    for kind in (Kind.DIVERGED, Kind.COMPLETED):
        known = errors[(kinds == kind.value) & np.isfinite(errors)]
        if len(known):
            return float(known.max())
    return float("nan")
