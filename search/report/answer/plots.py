"""All figures of a report's evidence: for files, and, smaller, for the page."""

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from archloss.search.report.answer.dependences import describe_dependence, draw_dependence
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.fronts import COSTS, describe_front, draw_front
from archloss.search.report.answer.importances import describe_importance, draw_importance
from archloss.search.report.answer.learning import describe_curves, draw_curves

_PANEL = {"width": 2.3, "height": 1.7}
_PAGE_WIDTH, _PAGE_HEIGHT = 4.2, 3.2
"""Inches: small enough that the text of a figure can be read on a telephone."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure of the page, with its name there and what it shows in words."""

    name: str
    figure: Figure
    description: str


def draw_files(findings: Findings) -> dict[str, Figure]:
    """Return the figures that become files, by the files' stem."""
    evidence, figures = findings.evidence, {}
    if evidence.importance is not None:
        figures["importance"] = draw_importance(findings, evidence.importance, width=6.4)
    if evidence.dependence:
        figures["partial-dependence"] = draw_dependence(findings, evidence.dependence, **_PANEL)
    if evidence.front is not None:
        figures["pareto"] = draw_front(findings, evidence.front, COSTS, width=8.6, height=3.8)
    if evidence.curves is not None:
        figures["learning-curves"] = draw_curves(findings, evidence.curves, width=6.4, height=4.2)
    return figures


def draw_page_importance(findings: Findings) -> Iterator[Plot]:
    """Give the figure of what matters, if it is known."""
    importance = findings.evidence.importance
    if importance is not None:
        yield Plot(
            name="importance",
            figure=draw_importance(findings, importance, width=_PAGE_WIDTH),
            description=describe_importance(findings, importance),
        )


def draw_page_dependence(findings: Findings) -> Iterator[Plot]:
    """Give a figure for each axis."""
    for place, one in enumerate(findings.evidence.dependence):
        yield Plot(
            name=f"dependence-{place}",
            figure=draw_dependence(findings, [one], **_PANEL),
            description=describe_dependence(findings, one),
        )


def draw_page_front(findings: Findings) -> Iterator[Plot]:
    """Give a figure for each kind of size."""
    front = findings.evidence.front
    for cost in () if front is None else COSTS:
        assert front is not None
        yield Plot(
            name=f"pareto-{cost}",
            figure=draw_front(findings, front, [cost], width=_PAGE_WIDTH, height=_PAGE_HEIGHT),
            description=describe_front(findings, front, cost),
        )


def draw_page_curves(findings: Findings) -> Iterator[Plot]:
    """Give the figure of the learning curves, if they are known."""
    curves = findings.evidence.curves
    if curves is not None:
        yield Plot(
            name="curves",
            figure=draw_curves(findings, curves, width=_PAGE_WIDTH, height=_PAGE_HEIGHT),
            description=describe_curves(findings, curves),
        )
