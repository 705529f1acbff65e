"""Figures as files, and as SVG that stands inside a page and follows its colours."""

import io
import re

from matplotlib import rc_context
from matplotlib.figure import Figure

from archloss.search.report.answer.figures import GRID, HUES, INK, MUTED, PAPER

_DOTS_PER_INCH = 200
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--page)",
    **{hue: f"var(--hue-{place})" for place, hue in enumerate(HUES)},
}
_PREAMBLE = re.compile(r"<\?xml.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_FONTS = re.compile(r"(font(?:-family)?: [^;\"']*?)'?DejaVu Sans'?[^;\"]*")
_OPENING = re.compile(r"<svg[^>]*?viewBox=\"([^\"]+)\"[^>]*>", re.DOTALL)


def make_png(figure: Figure) -> bytes:
    """Return the figure as a PNG for print."""
    _lay_out(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def make_svg(figure: Figure) -> bytes:
    """Return the figure as an SVG file whose text is drawn, so that it looks alike everywhere."""
    _lay_out(figure)
    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "archloss"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def make_inline(figure: Figure, *, name: str, description: str) -> str:
    """Return the figure as an `svg` element whose ink and lines take the page's colours.

    `name` makes its ids its own among other figures of the page; `description` is what is read
    to those who do not see it, and must be fit to stand in an attribute.
    """
    _lay_out(figure)
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = _METADATA.sub("", _PREAMBLE.sub("", buffer.getvalue()))
    text = _OPENING.sub(
        rf'<svg viewBox="\1" role="img" aria-label="{description}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">',
        text,
        count=1,
    )
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'((?:xlink:)?href)="#([^"]+)"', rf'\1="#{name}-\2"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = _FONTS.sub(r"\1sans-serif", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text.strip()


def _lay_out(figure: Figure) -> None:
    """Lay the figure out once: to save one that may move draws it twice, each time."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
