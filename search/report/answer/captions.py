"""What stands under each part of the evidence, on the page and in Markdown alike."""

from dataclasses import dataclass

import numpy as np

from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.sentences import name_level

_LITTLE = 0.5
"""With less of its variance known, the surface's shares may be those of noise."""


_ORDERS = ("two", "three", "four")


@dataclass(frozen=True, kw_only=True)
class Captions:
    """Captions of the best choices, the surface, the cells if any, and the evidence's parts."""

    best: str
    surface: str
    cells: str
    importance: str
    dependence: str
    front: str
    curves: str


def make_captions(findings: Findings) -> Captions:
    """Return what to know of each part, in a sentence or three."""
    answer, label, evidence = findings.answer, findings.measure.label, findings.evidence
    importance = evidence.importance
    scale = f"the logarithm of the {label}" if importance and importance.logarithmic else label
    explained = "" if importance is None else _say_explained(findings)
    return Captions(
        best=(
            f"Where the expected {label} is lowest when everything else is tuned. Bars and bands "
            f"are 95% intervals; a marker is hollow where nearly every {answer.choice} may be the "
            f"best.{_say_steps(findings)}"
        ),
        surface=f"{_say_surface(findings)}{_say_steps(findings)}",
        cells=_say_cells(findings),
        importance=(
            "How much of the surface's variance over the whole search each axis makes alone, and "
            f"several make together, in {scale} of trials that do not diverge. Lines are 95% "
            f"intervals.{_say_orders(findings)}{explained} A share says how much moves, "
            f"not where the lowest {label} is: {answer.context} and {answer.choice} may share "
            f"little and yet move the best {answer.choice}, or share much and leave it where it is."
        ),
        dependence=(
            f"The expected {label} along each axis, averaged over all others, which are not tuned "
            "for it; divergence counts. Bands are 95% intervals."
        ),
        front=(
            f"Trials for which no network that is as small or smaller has a lower {label}: each "
            "the best of several, and so a little lucky. FLOPs are those of one example's "
            "forward pass, two for each multiplication of a matrix product."
        ),
        curves=_say_curves(findings),
    )


def _say_surface(findings: Findings) -> str:
    answer, label = findings.answer, findings.measure.label
    at = f"at each {answer.context} and {answer.choice}"
    if findings.experiment is not None:
        return (
            f"The mean {label} {at} that was tried, dark being good: a tile is a cell of the "
            f"tables below. The line is the best {answer.choice}."
        )
    return (
        f"Expected {label} {at}, everything else tuned; dark is good. The line is the best "
        f"{answer.choice}, and dots are where trials were: far from them the surface is a guess."
    )


def _say_steps(findings: Findings) -> str:
    """Say which axes of the pictures are no scales, if any."""
    names = [
        axis.name
        for axis in (findings.context_axis, findings.choice_axis)
        if len(axis.steps) > 2 and not np.allclose(np.diff(axis.steps, 2), 0)
    ]
    if not names:
        return ""
    return f" Values of {' and '.join(names)} that were tried are drawn equally far apart."


def _say_cells(findings: Findings) -> str:
    experiment, answer = findings.experiment, findings.answer
    if experiment is None:
        return ""
    return (
        f"The mean {findings.measure.label} of {experiment.replicates} trainings, a row for each "
        f"{answer.context} and a column for each {answer.choice}. The best {answer.choice} is the "
        "one with the lowest expected error, for which what is noisy is pulled towards its "
        "neighbours: it may be another than the one with the lowest mean."
    )


def _say_orders(findings: Findings) -> str:
    importance = findings.evidence.importance
    if importance is None:
        return ""
    shares = [
        f"{100 * share.estimate:.0f}% ({100 * share.low:.0f} to {100 * share.high:.0f})"
        for share in importance.add_orders().values()
    ]
    alone, *together = shares
    names = [f"{name} together {share}" for name, share in zip(_ORDERS, together, strict=False)]
    return f" Axes alone make {', '.join([alone, *names])}."


def _say_explained(findings: Findings) -> str:
    importance = findings.evidence.importance
    assert importance is not None
    share = importance.explained
    text = (
        f" The surface explains {100 * share.estimate:.0f}% ({100 * share.low:.0f} to "
        f"{100 * share.high:.0f}) of what trials vary by over the search; the rest is noise."
    )
    if importance.known < _LITTLE:
        text += " Too little is known of it to say which axes make it: its shares are a guess."
    return text


def _say_curves(findings: Findings) -> str:
    curves = findings.evidence.curves
    if curves is None:
        return ""
    names = [name_level(findings, band.level).removeprefix("all ") for band in curves.bands]
    counts = " and ".join(
        f"{band.trials:,} {name}"
        if name.endswith(("networks", "trials"))
        else f"{band.trials:,} trials with {name}"
        for band, name in zip(curves.bands, names, strict=True)
    )
    return (
        f"The median {findings.measure.label} over the epochs of {counts} that completed, "
        "with bands from the best tenth to the worst."
    )
