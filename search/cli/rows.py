"""Trials as rows: for a table on the terminal, CSV, JSON or Parquet."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.table import Table

from archloss.search.confirm import REPLICATE
from archloss.search.report.points import MakeDesign, find_ending
from archloss.search.report.wording import format_objective, format_setting
from archloss.spaces.design import Design

if TYPE_CHECKING:
    from archloss.storage.records import TrialRecord

Row = Mapping[str, object]
TextFormat = Literal["csv", "json"]

DESIGN_COLUMNS = tuple(field.name for field in fields(Design))
COLUMNS = (
    "number",
    "state",
    "ending",
    "value",
    *DESIGN_COLUMNS,
    "seconds",
    "started_at",
    "finished_at",
    "message",
)


def make_rows(trials: Sequence["TrialRecord"], make_design: MakeDesign) -> list[Row]:
    """Return a row of COLUMNS per trial; times are naive UTC, the design is whole.

    Those of an experiment also have the replicate.
    """
    planned = any(REPLICATE in trial.params for trial in trials)
    return [
        {
            "number": trial.number,
            "state": trial.state,
            "ending": find_ending(trial),
            "value": trial.value,
            **({REPLICATE: trial.params.get(REPLICATE)} if planned else {}),
            **asdict(make_design(trial.params)),
            "seconds": trial.seconds,
            "started_at": trial.started_at,
            "finished_at": trial.finished_at,
            "message": trial.message,
        }
        for trial in trials
    ]


def list_columns(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the names of the rows' columns."""
    return tuple(rows[0]) if rows else COLUMNS


def sort_rows(rows: Sequence[Row], column: str, *, descending: bool) -> list[Row]:
    """Return the rows by a column; those without a value there come last either way."""

    def key(row: Row) -> tuple[str, object] | object:
        return row[column]

    present = [row for row in rows if row.get(column) is not None]
    missing = [row for row in rows if row.get(column) is None]
    present.sort(key=key, reverse=descending)  # type: ignore[arg-type]  # one type per column
    return [*present, *missing]


def format_rows(rows: Sequence[Row], text_format: TextFormat) -> str:
    """Return the rows as CSV with a header, or as a JSON array of objects."""
    if text_format == "json":
        return json.dumps(rows, indent=2, default=str) + "\n"
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list_columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """Write the rows to a Parquet file whose types do not depend on what the rows hold."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    design = {name: kinds.get(type(value), pa.string()) for name, value in asdict(Design()).items()}
    times = {name: pa.timestamp("us") for name in ("started_at", "finished_at")}
    types = {
        "number": pa.int64(),
        REPLICATE: pa.int64(),
        "value": pa.float64(),
        "seconds": pa.float64(),
        **design,
        **times,
    }
    schema = pa.schema([(name, types.get(name, pa.string())) for name in list_columns(rows)])
    parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path)


def make_table(
    rows: Sequence[Row], objective: str, searched: Sequence[str], *, narrow: bool
) -> Table:
    """Return the rows as a table, with the searched part of the design alone.

    A narrow one has its names over several lines, to fit a terminal.
    """
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    searched = [*([REPLICATE] if REPLICATE in list_columns(rows) else []), *searched]
    score = objective.removeprefix("validation_") if narrow else objective
    for name in ("trial", "ending", score, *searched, "seconds"):
        table.add_column(
            name.replace("_", "\n") if narrow else name,
            justify="left" if name == "ending" else "right",
            no_wrap=True,
        )
    for row in rows:
        value, seconds = row["value"], row["seconds"]
        table.add_row(
            str(row["number"]),
            str(row["ending"]),
            format_objective(value if isinstance(value, float) else None, objective),
            *(format_setting(row[name]) for name in searched),
            f"{seconds:.2f}" if isinstance(seconds, float) else "-",
        )
    return table
