"""The answer as the note that a study has in the Optuna dashboard."""

import shlex

import archloss
from archloss.search.report.answer.caveats import list_remarks
from archloss.search.report.answer.escaping import escape
from archloss.search.report.answer.evidence import make_tables
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.markdown import make_level
from archloss.search.report.answer.sentences import say_answer

_BETWEEN = "\N{EM SPACE}"
"""The dashboard leaves no room between a table's columns."""
_WRITTEN = "archloss writes this note anew, unless somebody has edited it."


def make_note(findings: Findings) -> str:
    """Return the two sentences, a table for each kind of network, caveats, and where there is more.

    It is Markdown.
    """
    answer = findings.answer
    verdict, numbers = say_answer(findings)
    lines = [f"**{escape(verdict)}** {escape(numbers)}"]
    for table in make_tables(findings):
        lines += make_level(table, between=_BETWEEN)
    remarks = list_remarks(findings)
    if remarks:
        lines += ["### Caveats", "\n".join(f"- {escape(remark)}" for remark in remarks)]
    lines += [
        "### More",
        "In brackets: 95% intervals. The last column is what one "
        f"{escape(answer.choice)} for every {escape(answer.context)} adds.",
        "Optuna's plot of hyperparameter importances ranks what moves the "
        f"{escape(findings.measure.label)} over all trials, and does not ask where the best "
        f"{escape(answer.choice)} is: its order may differ from the report's.",
        f"The whole report, with pictures for a paper or slide: `{findings.source.command}`",
        f"Of {answer.completed} trials that completed, {answer.diverged} that diverged and "
        f"{answer.pruned} that were pruned; {findings.source.made_at}, archloss "
        f"{archloss.__version__}. {_WRITTEN}",
    ]
    return "\n\n".join(lines) + "\n"


def make_excuse(name: str, reason: str) -> str:
    """Return the note of a study that cannot answer yet, and why."""
    return "\n\n".join(
        [
            f"**There is no answer yet:** {escape(reason)}.",
            f"`archloss status {shlex.quote(name)}` shows how far the study is.",
            f"Written by archloss {archloss.__version__}. {_WRITTEN}\n",
        ]
    )
