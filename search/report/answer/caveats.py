"""What limits an answer, in sentences: the same wherever a report is read."""

import shlex

from archloss.search.report.answer.findings import Findings


def list_remarks(findings: Findings) -> list[str]:
    """Return what to know of the trials, and then what limits the answer."""
    return [*findings.source.notes, *list_caveats(findings)]


def list_caveats(findings: Findings) -> list[str]:
    """Return what limits the answer."""
    caveats = [*findings.answer.caveats, *findings.evidence.remarks]
    if findings.experiment is not None:
        return caveats
    if findings.source.kind == "table":
        way = "An experiment that is designed for the question is the way to be sure."
    else:
        command = f"archloss confirm {shlex.quote(findings.source.name)}"
        way = f'"{command}" puts the question to an experiment that is designed for it.'
    return [*caveats, f"These are estimates from the trials of a search. {way}"]
