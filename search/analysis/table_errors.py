"""What a table's trials reached: objectives of which less is better."""

import numpy as np
import pandas as pd

from archloss.search.analysis.columns import Columns
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.table_words import name_row
from archloss.search.analysis.trials import Kind


def read_errors(table: pd.DataFrame, columns: Columns, name: str) -> np.ndarray:
    """Return each row's objective `[N]`; NaN where there is none."""
    given = table[columns.error]
    errors = pd.to_numeric(given, errors="coerce")
    words = given[errors.isna() & given.notna()]
    option = "--error" if columns.whole is None else "--accuracy"
    if len(words):
        raise AnalysisError(
            f"column {columns.error!r} of {name} must have numbers, but has {words.iloc[0]!r} in "
            f"{name_row(words.index[0])}: leave that cell empty where there is no error, or name "
            f"another column with {option}"
        )
    values = np.asarray(errors.to_numpy(dtype=float, na_value=np.nan))
    return values if columns.whole is None else columns.whole - values


def find_penalty(errors: np.ndarray, kinds: np.ndarray) -> float:
    """Return what a diverged trial counts as: what the table says, or the worst that completed."""
    for kind in (Kind.DIVERGED, Kind.COMPLETED):
        known = errors[(kinds == kind.value) & np.isfinite(errors)]
        if len(known):
            return float(known.max())
    return float("nan")
