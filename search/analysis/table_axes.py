"""The axes of a table's columns: whether each is a range, a grid or a choice, from its values.

N trial, D axis.
"""

import shlex
from collections.abc import Sequence

import numpy as np
import pandas as pd

from archloss.search.analysis.axes import Array, Axis, Category, Numeric
from archloss.search.analysis.columns import MOST_LEVELS, MOST_SIZE, Columns
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.study import DEFAULT_BY
from archloss.search.analysis.table_words import name_row

_LOG_RATIO = 20.0
_MOST_STEPS, _FEWEST_AT_STEP = 25, 4
_FEWEST_VALUES = 2
_MOSTLY = 0.5


def make_axes(
    table: pd.DataFrame, columns: Columns, name: str, *, found: bool
) -> tuple[list[Axis], Array]:
    """Return the axes of all that was searched, and where trials lie on them `[N, D]`.

    A column of one value alone has none. `found` says that what was tuned was found by its prefix.
    """
    question = columns.question
    optional = columns.list_others() if found else []
    axes: list[Axis] = []
    places = []
    for axis_name in columns.list_axes():
        values = table[axis_name]
        if axis_name in optional and values.isna().any():
            _refuse_conditional(table[optional], axis_name, name)
        _check_cells(values, axis_name, name)
        _check_role(values, axis_name, columns, name)
        axis = _make_axis(
            axis_name, values, columns, category=axis_name == (question.by or DEFAULT_BY)
        )
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
    return axes, np.stack(places, axis=1)


def _make_axis(
    name: str, values: "pd.Series[float]", columns: Columns, *, category: bool
) -> Axis | None:
    """Return the axis of a column; None if it has one value alone."""
    # Python's own values, not NumPy's: levels go into JSON.
    distinct = sorted(values.unique().tolist(), key=lambda value: (str(type(value)), value))
    if len(distinct) < _FEWEST_VALUES:
        return None
    if category or values.dtype == bool or not pd.api.types.is_numeric_dtype(values):
        if name in (*columns.log, *columns.linear):
            option = "--log" if name in columns.log else "--linear"
            raise AnalysisError(
                f"{option} must name a column of numbers, but got {name!r}, a choice between "
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
    looks_so = _looks_logarithmic(values.to_numpy(dtype=float), low, high)
    return Numeric(
        name=name,
        low=low,
        high=high,
        log=name in columns.log or (looks_so and name not in columns.linear),
        whole=whole,
        steps=_find_steps(distinct, len(values), whole=whole),
    )


def _check_levels(axis: Category, name: str) -> None:
    """Raise AnalysisError where a choice is between so many values that each has hardly a trial."""
    count = len(axis.levels)
    if count > MOST_LEVELS:
        raise AnalysisError(
            f"column {axis.name!r} of {name} must have at most {MOST_LEVELS} values to be a "
            f"choice between them, but has {count}, such as {axis.levels[0]!r}: leave it out, or, "
            "if it is a number, write it as one in each row"
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


def _check_cells(values: "pd.Series[float]", column: str, name: str) -> None:
    """Raise AnalysisError where a searched column lacks a value, or one is not like the others."""
    if values.isin([np.inf, -np.inf]).any():
        raise AnalysisError(
            f"column {column!r} of {name} must have finite values, but has an infinite one: "
            "mend it, or leave the row or the column out"
        )
    if pd.api.types.is_numeric_dtype(values) and (large := values.abs() > MOST_SIZE).any():
        raise AnalysisError(
            f"column {column!r} of {name} must have numbers that can be computed with, no larger "
            f"than {MOST_SIZE:g}, but has {values[large].iloc[0]:.4g} in "
            f"{_find_row(values, large)}: mend it, or leave the row or the column out"
        )
    if values.isna().any():
        raise AnalysisError(
            f"column {column!r} of {name} must have a value in each row, but has none in "
            f"{_find_row(values, values.isna())}: fill it in, or leave the row or the column out"
        )
    words = pd.to_numeric(values, errors="coerce").isna()
    if 0 < words.mean() < _MOSTLY:
        word = values[words].iloc[0]
        raise AnalysisError(
            f"column {column!r} of {name} must have numbers throughout, or none, but has {word!r} "
            f"in {_find_row(values, words)}: mend it, or leave the row or the column out"
        )


def _check_role(values: "pd.Series[float]", column: str, columns: Columns, name: str) -> None:
    """Raise AnalysisError where a column that must be a range of numbers holds words."""
    roles = {columns.question.context: "context", columns.question.choice: "choice"}
    words = values.map(lambda cell: isinstance(cell, str))
    if column in roles and words.any():
        raise AnalysisError(
            f"--{roles[column]} must name a range of numbers, but column {column!r} of {name} "
            f"holds words, such as {values[words].iloc[0]!r} in {_find_row(values, words)}: write "
            "bare numbers in that column, with decimal points, or name another one"
        )


def _refuse_conditional(tuned: pd.DataFrame, column: str, name: str) -> None:
    """Raise AnalysisError, as a column that was not named lacks values, with those that do not."""
    whole = [str(other) for other in tuned if tuned[other].notna().all()]
    named = " ".join(f"--tuned {shlex.quote(other)}" for other in whole)
    way_out = f"name the others, {named}" if whole else "leave that column out"
    row = _find_row(tuned[column], tuned[column].isna())
    raise AnalysisError(
        f"column {column!r} of {name} must have a value in each row to count as tuned, but has "
        f"none in {row}, like a parameter that only some trials have: {way_out}, or fill it in"
    )


def _find_row(values: "pd.Series[float]", which: "pd.Series[bool]") -> str:
    """Return what the first of some rows is called."""
    return name_row(values.index[which][0])
