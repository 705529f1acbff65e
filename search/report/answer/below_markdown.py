"""The evidence as Markdown: pictures, tables and sentences."""

from collections.abc import Sequence
from dataclasses import astuple

from archloss.search.report.answer.captions import make_captions
from archloss.search.report.answer.escaping import escape
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.fronts import list_front
from archloss.search.report.answer.importances import list_shares
from archloss.search.report.answer.trust import list_trust


def make_below(findings: Findings) -> list[str]:
    """Return the parts of the evidence, a paragraph each; their pictures lie beside them."""
    evidence, captions = findings.evidence, make_captions(findings)
    label = escape(findings.measure.label)
    lines = []
    if evidence.importance is not None:
        shares = list_shares(findings, evidence.importance)
        lines += [
            f"### What the {label} depends on",
            "![Shares of the surface's variance](importance.png)",
            _make_table(["axes", "share", "95%"], [astuple(row) for row in shares]),
            escape(captions.importance),
        ]
    if evidence.dependence:
        lines += [
            "### Along each axis",
            f"![Mean {label} along each axis](partial-dependence.png)",
            escape(captions.dependence),
        ]
    if evidence.front is not None:
        columns = ["trial", "parameters", "FLOPs", label, "depth", "width", "residual"]
        rows = [astuple(row) for row in list_front(findings, evidence.front)]
        lines += [
            "### The best of each size",
            f"![Lowest {label} over parameters and FLOPs](pareto.png)",
            _make_table(columns, rows),
            escape(captions.front),
        ]
    if evidence.curves is not None:
        lines += [
            "### Learning curves",
            f"![{label} over epochs](learning-curves.png)",
            escape(captions.curves),
        ]
    trust = [escape(sentence) for sentence in list_trust(findings)]
    return [*lines, "### Seeds and luck", *trust] if trust else lines


def _make_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with right-aligned columns but the first; its cells are escaped."""
    lines = [f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}"]
    lines += [f"| {' | '.join(escape(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)
