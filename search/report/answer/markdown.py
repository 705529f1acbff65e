"""The report as Markdown, to be put into a note or an issue."""

import archloss
from archloss.search.report.answer.below_markdown import make_below
from archloss.search.report.answer.escaping import escape
from archloss.search.report.answer.evidence import LevelTable, make_tables
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.origin import list_origin
from archloss.search.report.answer.sentences import say_answer


def make_markdown(findings: Findings) -> str:
    """Return the report as Markdown; its pictures lie beside it."""
    verdict, numbers = say_answer(findings)
    answer = findings.answer
    lines = [
        f"# {escape(findings.source.name)}",
        f"**{escape(verdict)}** {escape(numbers)}",
        f"![Best {escape(answer.choice)} over {escape(answer.context)}](best-mix.png)",
        f"![{escape(findings.measure.label)} over {escape(answer.context)} and "
        f"{escape(answer.choice)}](surface.png)",
        "## Evidence",
        "In brackets: 95% intervals. The last column is what one "
        f"{escape(answer.choice)} for every {escape(answer.context)} adds.",
    ]
    for table in make_tables(findings):
        lines += make_level(table)
    lines += make_below(findings)
    remarks = [*findings.source.notes, *answer.caveats, *findings.evidence.remarks]
    if remarks:
        lines += ["## Caveats", "\n".join(f"- {escape(remark)}" for remark in remarks)]
    lines += [
        "## How to make it again",
        "\n".join(f"- {escape(name)}: {escape(text)}" for name, text in list_origin(findings)),
        f"Written by archloss {archloss.__version__}.",
    ]
    return "\n\n".join(lines) + "\n"


def make_level(table: LevelTable) -> list[str]:
    """Return a level's heading, facts and table, a paragraph each."""
    columns = [escape(column) for column in table.columns]
    rows = [
        f"| {row.context} | {row.choice} ({row.choice_range}) | {row.value} ({row.value_range}) | "
        f"{row.extra} |"
        for row in table.rows
    ]
    return [
        f"### {escape(table.name[0].upper() + table.name[1:])}: {escape(table.verdict)}",
        "\n".join(f"- {escape(name)}: {escape(text)}" for name, text in table.facts),
        "\n".join([f"| {' | '.join(columns)} |", "|---:|---:|---:|---:|", *rows]),
    ]
