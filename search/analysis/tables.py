"""Trials from a table that anything made: a CSV or Parquet file with a row for each trial."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from archloss.search.analysis.answer import AnalysisError
from archloss.search.analysis.axes import Axis, Category, Numeric
from archloss.search.analysis.study import DEFAULT_BY, Question, find_roles
from archloss.search.analysis.trials import Kind, Trials

_PREFIX = "params_"
"""What Optuna's `trials_dataframe` puts before the name of a parameter."""
_LOG_RATIO = 20.0
_MOST_STEPS, _FEWEST_AT_STEP = 25, 4
_KINDS = {
    "complete": Kind.COMPLETED,
    "completed": Kind.COMPLETED,
    "diverged": Kind.DIVERGED,
    "pruned": Kind.PRUNED,
}
_LEFT_OUT = {"fail", "failed", "running", "waiting", "lost", "infeasible"}
_FEWEST_VALUES = 2


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a table say what.

    `error` is the objective, lower being better. `tuned` are the other hyperparameters; None takes
    all columns that begin with `params_`. `state` says how trials ended; a table without it has
    completed ones. `log` are columns in which equal ratios count as equally far, besides those
    that are above 0, span a factor of 20 and have their median nearer to their geometric middle
    than to their arithmetic one. The values of a grid count as equally far in any case.
    """

    question: Question
    error: str = "value"
    tuned: tuple[str, ...] | None = None
    state: str = "state"
    log: tuple[str, ...] = field(default=())


def read_table(path: Path, columns: Columns) -> Trials:
    """Return the trials of a CSV or Parquet file; raise AnalysisError where it has none to read."""
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except FileNotFoundError:
        raise AnalysisError(
            f"--trials must name a file, but {str(path)!r} does not exist"
        ) from None
    except (ValueError, OSError) as error:
        raise AnalysisError(
            f"--trials must name a CSV or Parquet file, but {str(path)!r} cannot be read as one: "
            f"{error}"
        ) from None
    return make_table_trials(table, columns, name=str(path))


def make_table_trials(table: pd.DataFrame, columns: Columns, *, name: str) -> Trials:
    """Return the trials of a table; `name` is what errors call it."""
    question = columns.question
    asked = [question.context, question.choice]
    by = question.by or (DEFAULT_BY if DEFAULT_BY in _list_names(table) else None)
    asked += [] if by is None else [by]
    tuned = _list_tuned(table, columns, asked)
    kinds, kept = _read_kinds(table, columns, name)
    table, kinds = table[kept], kinds[kept]
    axes: list[Axis] = []
    places = []
    for axis_name in dict.fromkeys([*asked, *tuned]):
        values = table[_find(table, axis_name, name)]
        if values.isin([np.inf, -np.inf]).any():
            raise AnalysisError(
                f"column {axis_name!r} of {name} must have finite values, but has an infinite one: "
                "mend it, or leave the row or the column out"
            )
        if values.isna().any():
            row = int(np.flatnonzero(values.isna())[0])
            raise AnalysisError(
                f"column {axis_name!r} of {name} must have a value in each row, but has none in "
                f"row {table.index[row] + 1} (of the data, from 1): fill it in, or leave the row "
                "or the column out"
            )
        axis = _make_axis(axis_name, values, columns, category=axis_name == by)
        if axis is None and axis_name not in (question.context, question.choice, question.by):
            continue
        if axis is None:
            raise AnalysisError(
                f"column {axis_name!r} of {name} must have several values, but is "
                f"{values.iloc[0] if len(values) else 'empty'} throughout: nothing depends on it"
            )
        axes.append(axis)
        places.append(
            axis.encode(values.to_numpy(dtype=float))
            if isinstance(axis, Numeric)
            else axis.encode(list(values))
        )
    errors = _read_errors(table, columns, name)
    if len(errors) and not np.isfinite(errors).any() and (kinds == Kind.COMPLETED.value).any():
        raise AnalysisError(
            f"column {columns.error!r} of {name} must have the trials' errors, but has no finite "
            "number: name the right column with --error, or say with --state how trials ended"
        )
    kinds = np.where(
        (kinds == Kind.COMPLETED.value) & ~np.isfinite(errors), Kind.DIVERGED.value, kinds
    )
    completed = kinds == Kind.COMPLETED.value
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


def _list_tuned(table: pd.DataFrame, columns: Columns, asked: Sequence[str]) -> list[str]:
    if columns.tuned is not None:
        return list(columns.tuned)
    given = [str(name) for name in table if str(name).startswith(_PREFIX)]
    return [name for name in (one.removeprefix(_PREFIX) for one in given) if name not in asked]


def _list_names(table: pd.DataFrame) -> list[str]:
    return [str(name).removeprefix(_PREFIX) for name in table]


def _find(table: pd.DataFrame, column: str, name: str) -> str:
    for known in (column, _PREFIX + column):
        if known in table:
            return known
    raise AnalysisError(
        f"{name} must have a column {column!r}, but has {', '.join(map(repr, table))}: name the "
        "columns with --context, --choice, --by, --error and --tuned"
    )


def _read_kinds(table: pd.DataFrame, columns: Columns, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's kind, and which rows are finished trials."""
    if columns.state not in table:
        whole = np.ones(len(table), dtype=bool)
        return np.full(len(table), Kind.COMPLETED.value), whole
    states = table[columns.state].astype(str).str.rpartition(".")[2].str.lower()
    unknown = set(states) - set(_KINDS) - _LEFT_OUT
    if unknown:
        raise AnalysisError(
            f"column {columns.state!r} of {name} must say complete, diverged, pruned or fail, but "
            f"says {min(unknown)!r}: name the column with --state"
        )
    kept = states.isin(list(_KINDS)).to_numpy()
    return np.array([_KINDS.get(state, Kind.PRUNED).value for state in states]), kept


def _read_errors(table: pd.DataFrame, columns: Columns, name: str) -> np.ndarray:
    """Return each row's objective; NaN where there is none."""
    given = table[_find(table, columns.error, name)]
    errors = pd.to_numeric(given, errors="coerce")
    words = given[errors.isna() & given.notna()]
    if len(words):
        raise AnalysisError(
            f"column {columns.error!r} of {name} must have numbers, but has {words.iloc[0]!r}: "
            "name the column with --error"
        )
    return np.asarray(errors.to_numpy(dtype=float, na_value=np.nan))


def _make_axis(
    name: str, values: "pd.Series[float]", columns: Columns, *, category: bool
) -> Axis | None:
    """Return the axis of a column; None if it has one value alone."""
    # Python's own values, not NumPy's: levels go into JSON.
    distinct = sorted(values.unique().tolist(), key=lambda value: (str(type(value)), value))
    if len(distinct) < _FEWEST_VALUES:
        return None
    if category or values.dtype == bool or not pd.api.types.is_numeric_dtype(values):
        return Category(name=name, levels=tuple(distinct))
    low, high = float(distinct[0]), float(distinct[-1])
    if name in columns.log and low < 0:
        raise AnalysisError(f"--log {name}: its values must not be below 0, but reach {low:.4g}")
    whole = bool((values == values.round()).all())
    return Numeric(
        name=name,
        low=low,
        high=high,
        log=name in columns.log or _looks_logarithmic(values.to_numpy(dtype=float), low, high),
        whole=whole,
        steps=_find_steps(distinct, len(values), whole=whole),
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
