"""What a table's trials reached: objectives of which less is better."""

import re
import shlex

import numpy as np
import pandas as pd

from archloss.search.analysis.columns import MOST_SIZE, Columns
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.table_names import says_more
from archloss.search.analysis.table_words import name_row
from archloss.search.analysis.targets import SMALLEST
from archloss.search.analysis.trials import Kind

_FEW = 0.05
_PERCENT = re.compile(r"\s*([\d.,]+)\s*%\s*")
_COMMA = re.compile(r"\d+,\d+")


def read_errors(table: pd.DataFrame, columns: Columns, name: str) -> np.ndarray:
    """Return each row's objective `[N]`; NaN where there is none.

    Raises AnalysisError where it is no number, or an accuracy by its name.
    """
    given = table[columns.error]
    errors = pd.to_numeric(given, errors="coerce")
    words = given[errors.isna() & given.notna()]
    if len(words):
        raise AnalysisError(
            f"column {columns.error!r} of {name} must have numbers, but has {words.iloc[0]!r} in "
            f"{name_row(words.index[0])}: {_say_way_out(str(words.iloc[0]), columns)}"
        )
    values = np.asarray(errors.to_numpy(dtype=float, na_value=np.nan))
    # What is below 0 throughout may be an accuracy with its sign turned.
    if columns.whole is None and says_more(columns.error) and (values > 0).any():
        raise AnalysisError(
            f"column {columns.error!r} of {name} must be an error, of which less is better, but "
            "its name is that of an accuracy or a score, of which more is: say --accuracy "
            f"{shlex.quote(columns.error)} instead of --error, or, if less is better all the same, "
            "give the column another name"
        )
    return values if columns.whole is None else columns.whole - values


def check_sizes(errors: np.ndarray, rows: pd.Index, columns: Columns, name: str) -> None:
    """Raise AnalysisError where objectives `[N]` are too large or too small to compute with."""
    large, small = np.abs(errors) > MOST_SIZE, (errors > 0) & (errors < SMALLEST)
    if large.any():
        which, rule = large, f"no larger than {MOST_SIZE:g}"
        way_out = "leave the cell empty if it stands for a trial that diverged, or write the column"
    elif columns.whole is None and small.sum() > _FEW * len(errors) and (errors >= 0).all():
        which, rule, way_out = small, f"no smaller than {SMALLEST:g}", "write the column"
    else:
        return
    row = int(np.flatnonzero(which)[0])
    raise AnalysisError(
        f"column {columns.error!r} of {name} must have numbers that can be computed with, "
        f"{rule}, but has {columns.turn(errors[row]):.4g} in {name_row(rows[row])}: {way_out} in "
        "another unit"
    )


def _say_way_out(word: str, columns: Columns) -> str:
    """Return what to do about a cell of the objective's column that is no number."""
    if percent := _PERCENT.fullmatch(word):
        unit = ", and say --unit percent" if columns.whole is None else ""
        return f"write {percent[1].replace(',', '.')} there, and likewise in every row{unit}"
    if _COMMA.fullmatch(word):
        return f"write {word.replace(',', '.')} there, and likewise in every row"
    option = "--error" if columns.whole is None else "--accuracy"
    return f"leave that cell empty where there is no error, or name another column with {option}"


def find_penalty(errors: np.ndarray, kinds: np.ndarray, columns: Columns) -> float:
    """Return what a trial that diverged counts as: what was said, or the worst that is known.

    That is the worst of those that diverged, or, where no error of theirs is known, of those that
    completed, of which there must be some.
    """
    if columns.penalty is not None and not abs(columns.penalty) <= MOST_SIZE:
        raise AnalysisError(
            f"--penalty must be a number from {-MOST_SIZE:g} to {MOST_SIZE:g}, but got "
            f"{columns.penalty:g}: give what guessing reaches"
        )
    completed, diverged = (kinds == kind.value for kind in (Kind.COMPLETED, Kind.DIVERGED))
    known = errors[diverged & np.isfinite(errors)]
    if columns.penalty is None or not diverged.any():
        return float(np.max(known if len(known) else errors[completed]))
    penalty, best = columns.turn(columns.penalty), float(errors[completed].min())
    if penalty <= best:
        raise AnalysisError(
            f"--penalty must be worse than the best trial that completed, whose {columns.error!r} "
            f"is {columns.turn(best):.4g}, but got {columns.penalty:g}: give it in the units of "
            "that column, such as what guessing reaches"
        )
    return penalty
