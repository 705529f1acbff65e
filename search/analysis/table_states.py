"""How the trials of a table ended, in the words of archloss and of other tools."""

from collections import Counter
from collections.abc import Mapping
from typing import get_args

import numpy as np
import pandas as pd

from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.table_words import name_row
from archloss.search.analysis.trials import Kind
from archloss.search.report.points import Ending

_COMPLETED = ("complete", "completed", "finished", "succeeded", "success", "terminated")
_KINDS = dict.fromkeys(_COMPLETED, Kind.COMPLETED) | {
    "diverged": Kind.DIVERGED,
    "pruned": Kind.PRUNED,
}
_FAILED = ("fail", "failed", "crashed", "killed", "error", "lost", "infeasible")
_UNFINISHED = ("running", "pending", "paused", "waiting")
LEFT_OUT = (*_FAILED, *_UNFINISHED)
"""What says of a row that its trial did not come to an end."""
_STATE = "state"
ENDING = "ending"
"""The column of archloss's own tables, whose `state`, Optuna's, calls what diverged complete."""


def list_states(table: pd.DataFrame) -> list[str]:
    """Return the columns that say how trials ended, by their names; the one to read comes first."""
    ours = ENDING in table and table[ENDING].isin(get_args(Ending)).all()
    found = [name for name in map(str, table.columns) if name.lower() == _STATE]
    return [*([ENDING] if ours else []), *sorted(found, key=lambda name: name != _STATE)]


def read_kinds(table: pd.DataFrame, column: str | None, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's kind, and which rows are finished trials: all without a column."""
    if column is None:
        return np.full(len(table), Kind.COMPLETED.value), np.ones(len(table), dtype=bool)
    states = _read_states(table[column])
    unknown = ~states.isin([*_KINDS, *LEFT_OUT]).to_numpy()
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        raise AnalysisError(
            f"column {column!r} of {name} must say how each trial ended, but says "
            f"{str(table[column].iloc[row])!r} in {name_row(table.index[row])}. It may say "
            f"{', '.join(_COMPLETED)}; diverged; pruned; {', '.join(_FAILED)}; or "
            f"{', '.join(_UNFINISHED)}: mend it, or name another column with --state"
        )
    kept = states.isin(list(_KINDS)).to_numpy()
    return np.array([_KINDS.get(state, Kind.PRUNED).value for state in states]), kept


def count_states(table: pd.DataFrame, column: str | None) -> Mapping[str, int]:
    """Return how many rows say in each way how their trial ended; none without a column."""
    return {} if column is None else Counter(_read_states(table[column]))


def _read_states(given: "pd.Series[str]") -> "pd.Series[str]":
    """Return how each row's trial ended, in the words that are known here if it is one of them."""
    return given.astype(str).str.rpartition(".")[2].str.strip().str.lower()
