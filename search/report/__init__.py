"""How a study is shown: what it has seen so far, in numbers and in one picture; and its answer."""

LANDSCAPE_FILE = "landscape.png"
REPORT_FOLDER = "report"
REPORT_FILES = (
    "report.json",
    "report.md",
    "best-mix.png",
    "best-mix.svg",
    "surface.png",
    "surface.svg",
    "report.html",
)
"""What `archloss report` writes, in its order: the page comes last, when all it names is there."""
