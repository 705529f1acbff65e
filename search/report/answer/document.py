"""The report as JSON: every number of it, in the objective's own units."""

import itertools
from dataclasses import asdict
from math import isfinite

import archloss
from archloss.search.analysis.answer import LevelAnswer
from archloss.search.analysis.axes import Array
from archloss.search.report.answer.below import make_evidence, round_number
from archloss.search.report.answer.caveats import list_caveats
from archloss.search.report.answer.evidence import find_extra
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.sentences import guess_replicates, name_level, say_answer

FORMAT = 1
"""Goes up when a key changes its meaning or goes away; new keys may come at any time."""


def make_document(findings: Findings) -> dict[str, object]:
    """Return the report as plain values that `json.dumps` takes; docs/report.md names the keys."""
    answer, source = findings.answer, findings.source
    return {
        "format": FORMAT,
        "archloss": archloss.__version__,
        "sentences": list(say_answer(findings)),
        "verdict": answer.verdict.name.lower(),
        "question": {
            "context": answer.context,
            "choice": answer.choice,
            "by": answer.by,
            "objective": findings.measure.label,
            "unit": findings.measure.unit,
            "bound": answer.bound,
        },
        "more_trials": _leave_infinite(answer.more_trials) if findings.experiment is None else None,
        "new_replicates": _leave_infinite(guess_replicates(findings)),
        "trials": {
            "completed": answer.completed,
            "diverged": answer.diverged,
            "pruned": answer.pruned,
        },
        "levels": [
            {**_level_to_json(findings, level), "p_value": p_value}
            for level, p_value in itertools.zip_longest(answer.levels, findings.p_values)
        ],
        "contexts": [float(context) for context in answer.contexts],
        "choices": [round_number(choice) for choice in answer.choices],
        **make_evidence(findings),
        "caveats": list_caveats(findings),
        "notes": list(source.notes),
        "source": {
            "kind": source.kind,
            "name": source.name,
            "data": source.data,
            "digest": source.digest,
            "seed": source.seed,
            "search_seed": source.search_seed,
            "sampler": answer.sampler,
            "command": source.command,
            "made_at": source.made_at,
        },
    }


def _leave_infinite(number: float | None) -> float | None:
    """Return a number that JSON knows, or None."""
    return number if number is not None and isfinite(number) else None


def _level_to_json(findings: Findings, level: LevelAnswer) -> dict[str, object]:
    return {
        "level": level.level,
        "name": name_level(findings, level.level),
        "verdict": level.verdict.name.lower(),
        "cost": asdict(level.cost),
        "common": round_number(level.common),
        "change": asdict(level.change.difference),
        "ratio": None if level.change.ratio is None else asdict(level.change.ratio),
        "contexts": [float(best.context) for best in level.bests],
        "bests": [
            {
                "context": float(best.context),
                "choice": asdict(best.choice),
                "objective": asdict(best.objective),
                "extra_with_common": round_number(extra),
            }
            for best, extra in zip(level.bests, find_extra(findings, level), strict=True)
        ],
        "profile": {
            "mean": _list(level.profile),
            "low": _list(level.profile_low),
            "high": _list(level.profile_high),
        },
    }


def _list(values: Array) -> list[list[float]]:
    return [[round_number(value) for value in row] for row in values]
