"""How a study is shown: what it has seen so far, in numbers and in one picture; and its answer."""

LANDSCAPE_FILE = "landscape.png"
REPORT_FOLDER = "report"
"""In a study's folder; the folder of another question has this name and the question."""
REPORT_FILES = (
    "report.json",
    "report.md",
    "best-mix.png",
    "best-mix.svg",
    "surface.png",
    "surface.svg",
    "importance.png",
    "importance.svg",
    "partial-dependence.png",
    "partial-dependence.svg",
    "pareto.png",
    "pareto.svg",
    "learning-curves.png",
    "learning-curves.svg",
    "report.html",
)
"""What `archloss report` may write, in its order: the page comes last, when all it names is there.

Of trials that are no study's there are no `pareto` and no `learning-curves`.
"""
