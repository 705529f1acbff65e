"""The report as one page that needs nothing else: no network, no scripts, light and dark."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

import archloss
from archloss.search.analysis.verdict import Verdict
from archloss.search.report.answer.captions import make_captions
from archloss.search.report.answer.caveats import list_remarks
from archloss.search.report.answer.cells import make_cell_tables
from archloss.search.report.answer.evidence import make_tables
from archloss.search.report.answer.figures import draw_best
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.fronts import list_front
from archloss.search.report.answer.importances import list_shares
from archloss.search.report.answer.origin import list_origin
from archloss.search.report.answer.plots import (
    Plot,
    draw_page_curves,
    draw_page_dependence,
    draw_page_front,
    draw_page_importance,
)
from archloss.search.report.answer.sentences import name_level, say_answer
from archloss.search.report.answer.surfaces import draw_surface
from archloss.search.report.answer.trust import list_trust
from archloss.search.report.answer.vector import make_inline

_TEMPLATES = Path(__file__).parent
_WIDTH, _HEIGHT = 4.2, 3.4
"""Inches: small enough that the text of a figure can be read on a telephone."""
_PANEL = {"width": 3.0, "height": 3.4}
"""Without its bar of colours."""
_SHORT = {Verdict.INTERACTION: "Yes", Verdict.NONE: "No", Verdict.UNDECIDED: "Not yet known"}


def make_page(findings: Findings) -> str:
    """Return the page as HTML; whatever comes from a user is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html")
    evidence = findings.evidence
    verdict, numbers = say_answer(findings)
    return template.render(
        findings=findings,
        answer=findings.answer,
        measure=findings.measure,
        short=_SHORT[findings.answer.verdict],
        verdict=verdict,
        numbers=numbers,
        best=_draw_best(findings),
        surfaces=_draw_surfaces(findings),
        cells=make_cell_tables(findings),
        tables=make_tables(findings),
        evidence=evidence,
        importance=_draw(draw_page_importance(findings)),
        shares=list_shares(findings, evidence.importance) if evidence.importance else [],
        dependence=_draw(draw_page_dependence(findings)),
        fronts=_draw(draw_page_front(findings)),
        front_rows=list_front(findings, evidence.front) if evidence.front else [],
        curves=_draw(draw_page_curves(findings)),
        trust=list_trust(findings),
        captions=make_captions(findings),
        remarks=list_remarks(findings),
        origin=list_origin(findings),
        version=archloss.__version__,
    )


def describe_best(findings: Findings) -> str:
    """Return in words what the picture of the best choice shows."""
    answer = findings.answer
    levels = [
        f"{name_level(findings, level.level)}: "
        + ", ".join(
            f"{findings.format_choice(best.choice.estimate)} at "
            f"{findings.format_context(best.context)}"
            for best in level.bests
        )
        for level in answer.levels
    ]
    return f"Best {answer.choice} over {answer.context}. {'. '.join(levels)}."


def _draw_best(findings: Findings) -> Markup:
    figure = draw_best(findings, width=_WIDTH, height=_HEIGHT)
    return _inline(figure, name="best", description=describe_best(findings))


def _draw_surfaces(findings: Findings) -> Sequence[Markup]:
    answer = findings.answer
    return [
        _inline(
            draw_surface(findings, [index], **_PANEL),
            name=f"surface-{index}",
            description=f"Expected {findings.measure.label} over {answer.context} and "
            f"{answer.choice}, {name_level(findings, level.level)}; the table has its numbers.",
        )
        for index, level in enumerate(answer.levels)
    ]


def _draw(plots: Iterable[Plot]) -> list[Markup]:
    return [_inline(plot.figure, name=plot.name, description=plot.description) for plot in plots]


def _inline(figure: Figure, *, name: str, description: str) -> Markup:
    return Markup(make_inline(figure, name=name, description=escape(description)))
