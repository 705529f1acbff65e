"""Findings made by hand, for the tests of how an answer is said and shown."""

import numpy as np

from archloss.search.analysis.answer import Answer, Best, LevelAnswer
from archloss.search.analysis.axes import Category, Numeric
from archloss.search.analysis.basis import Roles
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.analysis.verdict import Change, Interval, Verdict
from archloss.search.report.answer.findings import Findings, Source
from archloss.search.report.answer.measure import make_study_measure

CONTEXTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
CHOICES = tuple(float(choice) for choice in np.linspace(0, 1, 11))


def make_level(
    verdict,
    level=None,
    *,
    bests=(0.2, 0.2, 0.4, 0.6, 0.8, 0.8),
    cost=(0.02, 0.01, 0.03),
    sure=True,
    contexts=CONTEXTS,
):
    """Make a level whose best choices are those; if `sure`, their change is clear of 0."""
    change = bests[-1] - bests[0]
    spread = 0.1 if sure else 1.0
    profile = np.array([[0.04 + 0.1 * (m - best) ** 2 for m in CHOICES] for best in bests])
    return LevelAnswer(
        level=level,
        bests=tuple(
            Best(
                context=context,
                choice=Interval(estimate=best, low=max(best - 0.1, 0), high=min(best + 0.1, 1)),
                objective=Interval(estimate=0.04, low=0.035, high=0.047),
            )
            for context, best in zip(contexts, bests, strict=True)
        ),
        change=Change(
            difference=Interval(estimate=change, low=change - spread, high=change + spread),
            ratio=None,
        ),
        cost=Interval(estimate=cost[0], low=cost[1], high=cost[2]),
        common=CHOICES[5],
        verdict=verdict,
        profile=profile,
        profile_low=profile - 0.01,
        profile_high=profile + 0.01,
    )


def make_findings(
    levels,
    *,
    by=None,
    more=None,
    objective="validation_error",
    context="depth",
    choice="ce_weight",
    name="digits",
    caveats=(),
    left_out=(),
    notes=(),
):
    """Make findings of these levels; the verdict is the first that one of them has, in order."""
    verdicts = {level.verdict for level in levels}
    order = (Verdict.INTERACTION, Verdict.UNDECIDED, Verdict.NONE)
    axes = [
        Numeric(name=context, low=1, high=32, log=True, whole=True),
        Numeric(name=choice, low=0.0, high=1.0),
    ]
    if by is not None:
        axes.append(Category(name=by, levels=tuple(level.level for level in levels)))
    random = np.random.default_rng(3)
    points = random.random((60, len(axes)))
    points[:, 2:] = random.integers(len(levels), size=(60, len(axes) - 2))
    kinds = np.arange(60) % 6
    kinds = np.where(kinds > 2, Kind.COMPLETED.value, kinds)
    return Findings(
        answer=Answer(
            context=context,
            choice=choice,
            by=by,
            contexts=CONTEXTS,
            choices=CHOICES,
            levels=tuple(levels),
            verdict=next(verdict for verdict in order if verdict in verdicts),
            bound=0.005,
            more_trials=more,
            completed=40,
            diverged=10,
            pruned=10,
            sampler="tpe",
            caveats=tuple(caveats),
            left_out=tuple(left_out),
        ),
        trials=Trials(
            axes=tuple(axes),
            roles=Roles(context=0, choice=1, by=None if by is None else 2),
            points=points,
            kinds=kinds,
            values=np.where(kinds == Kind.COMPLETED.value, random.random(60), np.nan),
            early=np.zeros((60, 0)),
            rungs=(),
            penalty=0.9,
            sampler="tpe",
        ),
        measure=make_study_measure(objective),
        source=Source(
            kind="study",
            name=name,
            data="digits",
            digest="0123abcd",
            command="archloss report digits",
            made_at="2026-11-23 12:00 UTC",
            seed=0,
            search_seed=1,
            notes=tuple(notes),
        ),
    )
