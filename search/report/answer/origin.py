"""What it takes to make a report again, in the words of its last section."""

import archloss
from archloss.search.report.answer.findings import Findings


def list_origin(findings: Findings) -> list[tuple[str, str]]:
    """Return names and values, in the order in which they are shown."""
    answer, source = findings.answer, findings.source
    counts = f"{answer.completed} completed, {answer.diverged} diverged, {answer.pruned} pruned"
    told = [
        ("Command", source.command),
        ("archloss", archloss.__version__),
        ("Table" if source.kind == "table" else "Data set", source.data),
        (f"SHA-256 of the {'table' if source.kind == 'table' else 'spec'}", source.digest),
        ("Trainings" if source.kind == "experiment" else "Trials", counts),
    ]
    if answer.sampler is not None:
        told.append(("Sampler", answer.sampler))
    if source.seed is not None:
        told.append(("Seed of training", str(source.seed)))
    if source.search_seed is not None:
        told.append(("Seed of the search", str(source.search_seed)))
    return [*told, ("Written", source.made_at)]
