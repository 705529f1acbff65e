"""Writes a report's files, each whole or not at all."""

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from archloss.search.report import REPORT_FILES
from archloss.search.report.answer.document import make_document
from archloss.search.report.answer.figures import draw_best
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.markdown import make_markdown
from archloss.search.report.answer.page import make_page
from archloss.search.report.answer.plots import draw_files
from archloss.search.report.answer.surfaces import draw_surface
from archloss.search.report.answer.vector import make_png, make_svg
from archloss.spaces.errors import ArchlossError

_DOCUMENT = "report.json"
_BEST = {"width": 6.4, "height": 4.2}
_PANEL = {"width": 4.3, "height": 4.4}


class ReportError(ArchlossError):
    """The report cannot be written where it was asked for."""


def write_report(findings: Findings, folder: Path) -> tuple[Path, ...]:
    """Write all files of the report into a folder, which is made, and return their paths.

    All are made before the first one is replaced. What only the report before had is deleted last.
    Raises ReportError where the folder cannot be used.
    """
    contents = make_files(findings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _replace(folder, contents)
    except OSError as error:
        raise ReportError(
            f"the folder of the report must be one that can be written to, but {str(folder)!r} "
            f"cannot: {error.strerror}. Change its permissions, or choose another"
        ) from error


def make_files(findings: Findings) -> dict[str, bytes]:
    """Return the contents of all files by name."""
    levels = range(len(findings.answer.levels))
    best = draw_best(findings, **_BEST)
    surface = draw_surface(findings, levels, **_PANEL)
    document = json.dumps(make_document(findings), indent=1, allow_nan=False)
    made = {
        _DOCUMENT: f"{document}\n".encode(),
        "report.md": make_markdown(findings).encode(),
        "report.html": make_page(findings).encode(),
    }
    for stem, figure in {"best-mix": best, "surface": surface, **draw_files(findings)}.items():
        made |= {f"{stem}.png": make_png(figure), f"{stem}.svg": make_svg(figure)}
    return {name: made[name] for name in REPORT_FILES if name in made}


def _replace(folder: Path, contents: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write each file beside its place, then move all of them to where they belong.

    Where a report was before, its pictures that this one does not have go away.
    """
    mark = uuid.uuid4().hex
    begun = {name: folder / f".{name}.{mark}" for name in contents}
    had_report = (folder / _DOCUMENT).exists()
    try:
        for name, path in begun.items():
            path.write_bytes(contents[name])
        for name, path in begun.items():
            os.replace(path, folder / name)
        if had_report:
            for name in set(REPORT_FILES).difference(contents):
                (folder / name).unlink(missing_ok=True)
    finally:
        for path in begun.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return tuple(folder / name for name in contents)
