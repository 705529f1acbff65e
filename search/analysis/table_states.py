"""How the trials of a table ended, in the words of archloss and of other tools."""

from collections import Counter
from collections.abc import Mapping, Sequence
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
FAILED = ("fail", "failed", "crashed", "killed", "error", "lost", "infeasible")
_UNFINISHED = ("running", "pending", "paused", "waiting")
LEFT_OUT = (*FAILED, *_UNFINISHED)
"""What says of a row that its trial did not come to an end."""
_STATE = "state"
_MOST_SHOWN = 10
ENDING = "ending"
"""The column of archloss's own tables, whose `state`, Optuna's, calls what diverged complete."""


def list_states(table: pd.DataFrame) -> list[str]:
    """Return the columns that say how trials ended, by their names; the one to read comes first."""
    ours = ENDING in table and table[ENDING].isin(get_args(Ending)).all()
    found = [name for name in map(str, table.columns) if name.lower() == _STATE]
    return [*([ENDING] if ours else []), *sorted(found, key=lambda name: name != _STATE)]


def read_kinds(
    table: pd.DataFrame, column: str | None, name: str, *, diverged: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's kind, and which rows are finished trials: all without a column.

    `diverged` are words that stand for what diverged too.
    """
    if column is None:
        if diverged:
            raise AnalysisError(
                f"--diverged must be a word of the column that says how trials ended, but {name} "
                "has none: name it with --state"
            )
        return np.full(len(table), Kind.COMPLETED.value), np.ones(len(table), dtype=bool)
    said = set(_read_states(table[column]))
    for word in diverged:
        if _read_word(word) not in said:
            raise AnalysisError(
                f"--diverged must be a word of column {column!r} of {name}, but got {word!r}: it "
                f"says {', '.join(map(repr, sorted(said)[:_MOST_SHOWN]))}"
            )
    states = _read_states(table[column], diverged)
    unknown = ~states.isin([*_KINDS, *LEFT_OUT]).to_numpy()
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        raise AnalysisError(
            f"column {column!r} of {name} must say how each trial ended, but says "
            f"{str(table[column].iloc[row])!r} in {name_row(table.index[row])}. It may say "
            f"{', '.join(_COMPLETED)}; diverged; pruned; {', '.join(FAILED)}; or "
            f"{', '.join(_UNFINISHED)}: mend it, or name another column with --state"
        )
    kept = states.isin(list(_KINDS)).to_numpy()
    return np.array([_KINDS.get(state, Kind.PRUNED).value for state in states]), kept


def count_states(
    table: pd.DataFrame, column: str | None, *, diverged: Sequence[str] = ()
) -> Mapping[str, int]:
    """Return how many rows say in each way how their trial ended; none without a column."""
    return {} if column is None else Counter(_read_states(table[column], diverged))


def _read_states(given: "pd.Series[str]", diverged: Sequence[str] = ()) -> "pd.Series[str]":
    """Return how each row's trial ended, in the words that are known here if it is one of them.

    `diverged` are others for what diverged.
    """
    known = dict.fromkeys(map(_read_word, diverged), "diverged")
    words = [_read_word(str(cell)) for cell in given]
    return pd.Series([known.get(word, word) for word in words], index=given.index)


def _read_word(word: str) -> str:
    return word.rpartition(".")[2].strip().lower()
