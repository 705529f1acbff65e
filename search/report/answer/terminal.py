"""The answer on a terminal: two sentences, a table per level, caveats, and where the files are."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from archloss.search.report.answer.caveats import list_remarks
from archloss.search.report.answer.evidence import LevelTable, make_tables
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.sentences import say_answer
from archloss.search.report.answer.trust import list_trust


def print_answer(console: Console, findings: Findings, paths: Sequence[Path]) -> None:
    """Print the answer, what it rests on, and the files that were written."""

    def say(text: str, style: str | None = None) -> None:
        console.print(text, markup=False, highlight=False, style=style)

    verdict, numbers = say_answer(findings)
    say(verdict, "bold")
    say(numbers)
    for table in make_tables(findings):
        say("")
        say(f"{table.name[0].upper()}{table.name[1:]}: {table.verdict}", "bold")
        console.print(_make_table(table))
        for name, text in table.facts:
            say(f"{name}: {text}")
    trust = list_trust(findings)
    if trust:
        say("")
    for sentence in trust:
        say(sentence)
    remarks = list_remarks(findings)
    if remarks:
        say("")
    for remark in remarks:
        say(remark, "dim")
    say("")
    for path in paths:
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)


def _make_table(table: LevelTable) -> Table:
    """Return the level's table, with a column for each kind of interval."""
    shown = Table(box=None, padding=(0, 1, 0, 2), pad_edge=False)
    context, choice, value, extra = table.columns
    for column in (context, choice, "95%", value, "95%", extra):
        shown.add_column(column.replace(" ", "\n", 1), justify="right", vertical="bottom")
    for row in table.rows:
        shown.add_row(
            row.context, row.choice, row.choice_range, row.value, row.value_range, row.extra
        )
    return shown
