"""Trials from a table that anything made: one with a row for each trial."""

import numpy as np
import pandas as pd

from archloss.search.analysis.columns import Columns, check_columns, settle
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.study import find_roles
from archloss.search.analysis.table_axes import make_axes
from archloss.search.analysis.table_budgets import check_budgets
from archloss.search.analysis.table_errors import check_sizes, find_penalty, read_errors
from archloss.search.analysis.table_states import read_kinds
from archloss.search.analysis.trials import Kind, Trials, merge_designs


def make_table_trials(table: pd.DataFrame, columns: Columns, *, name: str) -> Trials:
    """Return the trials of a table, one for each design; `name` is what errors call it."""
    found = columns.tuned is None
    table, columns = settle(table, columns)
    check_columns(table, columns, name)
    kinds, kept = read_kinds(table, columns.state, name, diverged=columns.diverged)
    table, kinds = table[kept], kinds[kept]
    if not len(table):
        raise AnalysisError(
            f"{name} must have a row for each trial that has ended, but has none: let some end, or "
            "name another file"
        )
    axes, points = make_axes(table, columns, name, found=found)
    errors = read_errors(table, columns, name)
    kinds = _mark_diverged(errors, kinds, columns, name)
    completed = kinds == Kind.COMPLETED.value
    check_budgets(table, points, completed, columns, name)
    known = completed | (np.isfinite(errors) & (kinds == Kind.DIVERGED.value))
    used = completed if columns.penalty is not None else known
    check_sizes(errors[used], table.index[used], columns, name)
    return merge_designs(
        Trials(
            axes=tuple(axes),
            roles=find_roles(axes, columns.question),
            points=points,
            kinds=kinds,
            values=np.where(completed, errors, np.nan),
            early=np.zeros((len(table), 0)),
            rungs=(),
            penalty=find_penalty(errors, kinds, columns),
            sampler=None,
        )
    )


def _mark_diverged(
    errors: np.ndarray, kinds: np.ndarray, columns: Columns, name: str
) -> np.ndarray:
    """Return the kinds, with what completed without a finite error as diverged.

    Raises AnalysisError where nothing is left that completed.
    """
    if not np.isfinite(errors).any() and (kinds == Kind.COMPLETED.value).any():
        raise AnalysisError(
            f"column {columns.error!r} of {name} must have the trials' errors, but has no finite "
            "number: name the right column with --error, or say with --state how trials ended"
        )
    kinds = np.where(
        (kinds == Kind.COMPLETED.value) & ~np.isfinite(errors), Kind.DIVERGED.value, kinds
    )
    if not (kinds == Kind.COMPLETED.value).any():
        raise AnalysisError(
            f"{name} must have trials that completed, but all {len(kinds)} that came to an end "
            "diverged or were pruned: add some that did not, with lower learning rates for example"
        )
    return kinds
