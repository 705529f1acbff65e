"""Which columns of a table of trials say what, and what is said where one cannot."""

import dataclasses
import difflib
from dataclasses import dataclass, field

import pandas as pd

from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.study import DEFAULT_BY, Question
from archloss.search.analysis.table_states import list_states

_PREFIX = "params_"
"""What Optuna's `trials_dataframe` puts before the name of a parameter."""
MOST_LEVELS = 20
"""Of more values than that a choice has hardly a trial for each."""
MOST_SIZE = 1e100
"""The squares of numbers that are larger cannot be computed with."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a table say what.

    `error` is the objective, lower being better; with a `whole`, 1 or 100, it is an accuracy, and
    the objective is what that lacks. `penalty`, in the column's own units, is what a trial that
    diverged counts as; None takes the worst that the table knows. `tuned` are the other
    hyperparameters; None takes all columns that begin with `params_`. `state` says how trials
    ended; None takes archloss's `ending`, or else the column of that name, in any case of letters,
    and a table without either has completed ones.
    `diverged` are words of `state` that stand for a network that diverged, beside that one.
    `log` are columns in which equal ratios count as equally far, besides those that look so: that
    are above 0, span a factor of 20 and have their median nearer to their geometric middle than to
    their arithmetic one. `linear` are those in which they do not, though they may look so. The
    values of a grid count as equally far in any case.
    """

    question: Question
    error: str = "value"
    whole: float | None = None
    penalty: float | None = None
    tuned: tuple[str, ...] | None = None
    state: str | None = None
    diverged: tuple[str, ...] = field(default=())
    log: tuple[str, ...] = field(default=())
    linear: tuple[str, ...] = field(default=())

    def list_axes(self) -> list[str]:
        """Return the names of all that was searched, those that are asked about first."""
        question = self.question
        asked = [question.context, question.choice, *([question.by] if question.by else [])]
        return list(dict.fromkeys([*asked, *(self.tuned or ())]))

    def list_others(self) -> list[str]:
        """Return the names of what was searched besides, and is not asked about."""
        question = self.question
        asked = (question.context, question.choice, question.by or DEFAULT_BY)
        return [name for name in self.tuned or () if name not in asked]

    def turn(self, value: float) -> float:
        """Return the objective of a value in the column's own units, or the other way round.

        >>> accuracy = Columns(question=Question(), error="right", whole=100)
        >>> accuracy.turn(93.0), accuracy.turn(7.0)
        (7.0, 93.0)
        """
        return value if self.whole is None else self.whole - value


def settle(table: pd.DataFrame, columns: Columns) -> tuple[pd.DataFrame, Columns]:
    """Return the table with Optuna's parameters by their own names, and its columns by these.

    `tuned` and `state` are then what they are where they were not given, and `tuned` has what `by`
    would be.
    """
    given = [name for name in map(str, table.columns) if name.startswith(_PREFIX)]
    names = {name: name.removeprefix(_PREFIX) for name in given}
    names = {name: short for name, short in names.items() if short not in table}
    table = table.rename(columns=names)

    def shorten(name: str) -> str:
        return names.get(name, name)

    question = columns.question
    tuned = columns.tuned
    if tuned is None:
        tuned = tuple(given)
    if question.by is None and DEFAULT_BY in table:
        tuned = (DEFAULT_BY, *tuned)
    return table, dataclasses.replace(
        columns,
        question=Question(
            context=shorten(question.context),
            choice=shorten(question.choice),
            by=None if question.by is None else shorten(question.by),
        ),
        error=shorten(columns.error),
        tuned=tuple(dict.fromkeys(map(shorten, tuned))),
        state=next(iter(list_states(table)), None)
        if columns.state is None
        else shorten(columns.state),
        log=tuple(map(shorten, columns.log)),
        linear=tuple(map(shorten, columns.linear)),
    )


def check_columns(table: pd.DataFrame, columns: Columns, name: str) -> None:
    """Raise AnalysisError where a column is not there, or is to be two things at once."""
    state = () if columns.state is None else (columns.state,)
    scales = [
        *(("--log", column) for column in columns.log),
        *(("--linear", column) for column in columns.linear),
    ]
    named = [column for _, column in scales]
    for column in (*columns.list_axes(), columns.error, *state, *named):
        if column not in table:
            near = difflib.get_close_matches(column, map(str, table.columns), n=1)
            raise AnalysisError(
                f"{name} must have a column {column!r}, but has "
                f"{', '.join(map(repr, table.columns))}: "
                + (f"did you mean {near[0]!r}? Name " if near else "name ")
                + "the columns with --context, --choice, --by, --error or --accuracy, --tuned, "
                "--state, --log and --linear"
            )
    for option, column in scales:
        if column not in columns.list_axes():
            raise AnalysisError(
                f"{option} must name a column that was searched, but got {column!r}: there are "
                f"{', '.join(map(repr, columns.list_axes()))}; --tuned names others"
            )
    for column in columns.linear:
        if column in columns.log:
            raise AnalysisError(
                f"column {column!r} of {name} must be either logarithmic or not, but --log and "
                "--linear both name it: leave one out"
            )
    for outcome in (columns.error, *state):
        if outcome in columns.list_axes():
            raise AnalysisError(
                f"column {outcome!r} of {name} must be either what was searched or what came of "
                "it, but is named as both: leave one out"
            )


def list_unused(table: pd.DataFrame, columns: Columns) -> list[str]:
    """Return the columns that may have been searched too: those with the prefix, if there are any.

    What numbers the rows was not, nor words that are too many to choose between.
    """
    settled, columns = settle(table, columns)
    named = {*columns.list_axes(), columns.error, columns.state, *list_states(settled)}
    prefixed = [str(name).startswith(_PREFIX) for name in table.columns]
    return [
        str(given)
        for given, name, has_prefix in zip(table.columns, settled.columns, prefixed, strict=True)
        if name not in named
        and (has_prefix or not any(prefixed))
        and settled[name].nunique() > 1
        and _may_be_searched(settled[name])
    ]


def _may_be_searched(values: "pd.Series[float]") -> bool:
    if pd.api.types.is_float_dtype(values):
        return True
    most = len(values) - 1 if pd.api.types.is_numeric_dtype(values) else MOST_LEVELS
    return values.nunique() <= most
