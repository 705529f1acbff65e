"""The commands that list: `list` the studies, `trials` those of one study."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from archloss.search.cli.options import AsJson, Folder, Storage, StudyName, takes
from archloss.search.cli.rows import (
    COLUMNS,
    Row,
    format_rows,
    make_rows,
    make_table,
    sort_rows,
    write_parquet,
)
from archloss.search.cli.studies import Opened, open_database, open_study
from archloss.search.confirm import REPLICATE
from archloss.spaces.dimensions import is_fixed

if TYPE_CHECKING:
    from archloss.storage.records import StudySummary

Format = Literal["table", "csv", "json", "parquet"]
_WIDE = 1000
_BY_SUFFIX: dict[str, Format] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}


def list_studies(storage: Storage = None, folder: Folder = None, as_json: AsJson = False) -> None:
    """List the studies in the database."""
    with open_database(storage, folder) as (database, _):
        studies = database.list_studies()
    if as_json:
        typer.echo(json.dumps([_study_to_json(study) for study in studies], indent=2))
        return
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("study", no_wrap=True, overflow="fold")  # whole, as other commands take it
    for name in ("complete", "pruned", "failed", "unfinished", "best value", "trial"):
        table.add_column(name, justify="right")
    table.add_column("")
    for study in studies:
        counts = study.counts
        table.add_row(
            study.name,
            *(str(counts.get(state, 0)) for state in ("COMPLETE", "PRUNED", "FAIL")),
            str(counts.get("RUNNING", 0) + counts.get("WAITING", 0)),
            "-" if study.best_value is None else f"{study.best_value:.4g}",
            "-" if study.best_number is None else str(study.best_number),
            "" if study.ours else "made by another program",
        )
    Console().print(table)


def _study_to_json(study: "StudySummary") -> dict[str, object]:
    return {
        "name": study.name,
        "ours": study.ours,
        "counts": dict(study.counts),
        "best_value": study.best_value,
        "best_number": study.best_number,
        "created_at": None if study.created_at is None else study.created_at.isoformat(),
    }


@dataclass(frozen=True, kw_only=True)
class TrialsOptions:
    """What `archloss trials` takes."""

    study: StudyName
    format: Annotated[
        Format | None,
        typer.Option(help="How to print. Without it: as the output file ends, or a table."),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, instead of standard output."),
    ] = None
    sort: Annotated[
        str, typer.Option(help="Column to sort by; with a minus before it, the largest first.")
    ] = "number"
    limit: Annotated[int | None, typer.Option(min=0, help="Show no more than so many.")] = None
    storage: Storage = None
    folder: Folder = None


@takes(TrialsOptions)
def trials(options: TrialsOptions) -> None:
    """Print a study's trials as a table, CSV, JSON or Parquet."""
    kind = _choose_format(options)
    column = options.sort.removeprefix("-")
    known = (*COLUMNS, REPLICATE)
    if column not in known:
        raise typer.BadParameter(f"there is no column {column!r}; there are: {', '.join(known)}")
    with open_study(options.study, storage=options.storage, folder=options.folder) as opened:
        rows = make_rows(opened.read_trials(), opened.make_design)
    rows = sort_rows(rows, column, descending=options.sort.startswith("-"))
    rows = rows[: options.limit]
    if kind == "table":
        _print_table(rows, opened, options.output)
    elif kind == "parquet":
        assert options.output is not None  # _choose_format saw to it
        write_parquet(rows, options.output)
    elif options.output is not None:
        options.output.write_text(format_rows(rows, kind), encoding="utf-8")
    else:
        typer.echo(format_rows(rows, kind), nl=False)


def _choose_format(options: TrialsOptions) -> Format:
    suffix = "" if options.output is None else options.output.suffix.lower()
    kind: Format = options.format or _BY_SUFFIX.get(suffix, "table")
    if kind == "parquet" and options.output is None:
        raise typer.BadParameter("Parquet is not text: say where to write it with --output FILE")
    return kind


def _print_table(rows: Sequence[Row], opened: Opened, output: Path | None) -> None:
    dimensions = opened.spec.dimensions()
    searched = [name for name, dimension in dimensions.items() if not is_fixed(dimension)]
    narrow = output is None and Console().is_terminal
    table = make_table(rows, opened.spec.objective, searched, narrow=narrow)
    if narrow:
        Console().print(table)
        return
    text = io.StringIO()
    Console(file=text, width=_WIDE).print(table)  # in a pipe nothing may be cut off
    lines = "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())
    if output is None:
        typer.echo(lines, nl=False)
    else:
        output.write_text(lines, encoding="utf-8")
