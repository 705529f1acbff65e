"""The report as Markdown, to be put into a note or an issue."""

import archloss
from archloss.search.report.answer.below_markdown import make_below
from archloss.search.report.answer.captions import make_captions
from archloss.search.report.answer.caveats import list_remarks
from archloss.search.report.answer.cells import make_cell_tables
from archloss.search.report.answer.escaping import escape
from archloss.search.report.answer.evidence import LevelTable, make_tables
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.origin import list_origin
from archloss.search.report.answer.sentences import say_answer


def make_markdown(findings: Findings) -> str:
    """Return the report as Markdown; its pictures lie beside it."""
    verdict, numbers = say_answer(findings)
    answer, captions = findings.answer, make_captions(findings)
    lines = [
        f"# {escape(findings.source.name)}",
        f"**{escape(verdict)}** {escape(numbers)}",
        f"![Best {escape(answer.choice)} over {escape(answer.context)}](best-mix.png)",
        escape(captions.best),
        f"![{escape(findings.measure.label)} over {escape(answer.context)} and "
        f"{escape(answer.choice)}](surface.png)",
        escape(captions.surface),
        *_make_cells(findings, captions.cells),
        "## Evidence",
        "In brackets: 95% intervals. The last column is what one "
        f"{escape(answer.choice)} for every {escape(answer.context)} adds.",
    ]
    for table in make_tables(findings):
        lines += make_level(table)
    lines += make_below(findings)
    remarks = list_remarks(findings)
    if remarks:
        lines += ["## Caveats", "\n".join(f"- {escape(remark)}" for remark in remarks)]
    lines += [
        "## How to make it again",
        "\n".join(f"- {escape(name)}: {escape(text)}" for name, text in list_origin(findings)),
        f"Written by archloss {archloss.__version__}.",
    ]
    return "\n\n".join(lines) + "\n"


def _make_cells(findings: Findings, caption: str) -> list[str]:
    """Return the tables of an experiment's cells, nothing of other trials."""
    lines = []
    for table in make_cell_tables(findings):
        rows = [
            f"| {row.context} | "
            + " | ".join(f"{mean} ({note})" if note else mean for mean, note in row.cells)
            + " |"
            for row in table.rows
        ]
        head = f"| {escape(findings.answer.context)} | {' | '.join(table.choices)} |"
        ruler = f"|{'---:|' * (1 + len(table.choices))}"
        lines += [
            f"### {escape(table.name[0].upper() + table.name[1:])}",
            "\n".join([head, ruler, *rows]),
        ]
    return ["## Cells", escape(caption), *lines] if lines else []


def make_level(table: LevelTable, *, between: str = "") -> list[str]:
    """Return a level's heading, facts and table, a paragraph each; `between` begins columns."""
    start = f" | {between}"
    columns = [escape(column) for column in table.columns]
    rows = [
        f"| {row.context}{start}{row.choice} ({row.choice_range}){start}{row.value} "
        f"({row.value_range}){start}{row.extra} |"
        for row in table.rows
    ]
    return [
        f"### {escape(table.name[0].upper() + table.name[1:])}: {escape(table.verdict)}",
        "\n".join(f"- {escape(name)}: {escape(text)}" for name, text in table.facts),
        "\n".join([f"| {start.join(columns)} |", "|---:|---:|---:|---:|", *rows]),
    ]
