"""Puts the question of the report to a study."""

import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archloss.search.analysis.answer import answer
from archloss.search.analysis.evidence import Evidence
from archloss.search.analysis.study import Question, make_trials
from archloss.search.report.answer.findings import Findings, Source
from archloss.search.report.answer.gathering import StudyTrials, gather_evidence
from archloss.search.report.answer.measure import (
    DEFAULT_DIFFERENCE,
    DEFAULT_POINTS,
    make_study_measure,
)
from archloss.search.spec import Spec

if TYPE_CHECKING:
    from archloss.storage.database import Database
    from archloss.storage.records import StudyRecord


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a study, and the command that asks the same.

    `bound` is the smallest cost that matters, as it is shown; None for the usual one. `evidence` is
    whether to gather what stands below the answer too.
    """

    command: str
    question: Question = field(default_factory=Question)
    bound: float | None = None
    evidence: bool = False


def ask(database: "Database", record: "StudyRecord", asked: Asked) -> Findings:
    """Return what a study's trials say; raise AnalysisError where they cannot answer."""
    spec = Spec.from_json(record.spec)
    records = database.read_trials(record.study_id)
    trials = make_trials(spec, records, asked.question)
    measure = make_study_measure(spec.objective)
    default = DEFAULT_POINTS if measure.is_error_rate else DEFAULT_DIFFERENCE
    notes: tuple[str, ...] = ()
    if database.list_drivers(record.study_id):
        running = sum(trial.state == "RUNNING" for trial in records)
        notes = (
            f"The study goes on, and {running} trials are under way: this is the answer of those "
            "that have finished.",
        )
    found = answer(trials, bound=(asked.bound or default) / measure.factor)
    study = StudyTrials(database=database, record=record, spec=spec, trials=records)
    return Findings(
        answer=found,
        evidence=gather_evidence(found.fitted, study) if asked.evidence else Evidence(),
        trials=trials,
        measure=measure,
        source=Source(
            kind="study",
            name=spec.name,
            data=spec.dataset,
            digest=record.digest,
            command=asked.command,
            made_at=say_now(),
            seed=spec.recipe.seed,
            search_seed=spec.search.seed,
            notes=notes,
        ),
    )


def say_now() -> str:
    """Return the time to the minute."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
