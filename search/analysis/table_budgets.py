"""Whether a table's rows are of trials that went to the end, by how long they were trained."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from archloss.search.analysis.axes import Array
from archloss.search.analysis.columns import Columns
from archloss.search.analysis.coverage import AnalysisError

_BUDGET = re.compile(
    r"(.*[/.])?_?(training_iteration|epochs?|(global_)?steps?|iterations?|budget|resource|rung)"
)
_MOSTLY, _SHORT = 0.5, 0.5


def check_budgets(
    table: pd.DataFrame, points: Array, completed: np.ndarray, columns: Columns, name: str
) -> None:
    """Raise AnalysisError where most rows are of a time before their trial's end.

    Rows are at `points` `[N, D]`, and count as `completed` `[N]` if their trial was.
    """
    for column, spent in list_budgets(table[completed], columns):
        labels = np.unique(points[completed], axis=0, return_inverse=True)[1].reshape(-1)
        groups = spent.groupby(labels)
        repeated = groups.size() > 1
        if (groups.nunique()[repeated] > 1).mean() > _MOSTLY:
            raise AnalysisError(
                f"column {column!r} of {name} must be the same in all rows of a design, but "
                "differs, as where each epoch has a row: keep the last row of each trial. If it "
                "was searched, name it with --tuned, and if each row is a training of its own, "
                "leave that column out"
            )
        short = int((spent < _SHORT * spent.max()).sum())
        if short > _MOSTLY * len(spent):
            raise AnalysisError(
                f"column {column!r} of {name} must be about the same in all trials that completed, "
                f"but {short} of {len(spent)} have less than half of the {spent.max():g} that "
                "others have, as where they were stopped early: leave those out, or call them "
                "pruned in a column that --state names. If it was searched, name it with --tuned, "
                "and if all of them went to their end, leave that column out"
            )


def list_budgets(table: pd.DataFrame, columns: Columns) -> "Iterator[tuple[str, pd.Series[float]]]":
    """Yield the columns that say how long each row's trial was trained, where rows differ."""
    for column, spent in table.items():
        if (
            _BUDGET.fullmatch(str(column).lower())
            and column not in (*columns.list_axes(), columns.error, columns.state)
            and pd.api.types.is_numeric_dtype(spent)
            and spent.nunique() > 1
        ):
            yield str(column), spent
