"""What must hold of a study after all faults: nothing lost, nothing changed, nothing different."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import fmean

from archloss.search.distributions import to_design
from archloss.search.spec import Spec
from archloss.spaces import jobs
from archloss.spaces.catalogue import SPACES
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import Member, Pack, PackReport, Report
from archloss.storage.database import Database
from archloss.storage.records import TrialRecord
from archloss.workers.local import LocalExecutor

FINISHED = ("COMPLETE", "PRUNED", "FAIL")
TRIALS_IN_A_PACK = 24
TOLERANCE = 1e-9


@dataclass(kw_only=True)
class Findings:
    """What was found wrong, in sentences, and how far from undisturbed results it got at most."""

    wrong: list[str] = field(default_factory=list)
    compared: int = 0
    largest: float = 0.0

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note what is wrong if something does not hold."""
        if not holds:
            self.wrong.append(otherwise)

    def compare(self, told: float, undisturbed: float, what: str) -> None:
        """Compare two numbers."""
        self.compared += 1
        if told == undisturbed or (math.isnan(told) and math.isnan(undisturbed)):
            return
        distance = abs(told - undisturbed) / max(abs(undisturbed), 1e-12)
        self.largest = max(self.largest, distance)
        self.expect(distance <= TOLERANCE, f"{what} is {told}, and undisturbed {undisturbed}")


def read_finished(database: Database, study_id: int) -> dict[int, TrialRecord]:
    """Return the trials that have finished, or failed for good, by number."""
    trials = database.read_trials(study_id)
    return {trial.number: trial for trial in trials if trial.state in FINISHED}


def check_study(
    database: Database, spec: Spec, seen: dict[int, TrialRecord], findings: Findings
) -> None:
    """Check the budget, that nothing runs, and that what was `seen` to have finished is as it was.

    Then train every finished trial again, undisturbed and in other packs, and compare.
    """
    study_id = database.get_study(spec.name).study_id
    trials = database.read_trials(study_id)
    good = [trial for trial in trials if trial.state in ("COMPLETE", "PRUNED")]
    left = [trial.number for trial in trials if trial.state not in FINISHED]
    findings.expect(len(good) == spec.trials, f"{len(good)} finished trials, not {spec.trials}")
    findings.expect(not left, f"trials {left} did not finish")
    numbers = [trial.number for trial in trials]
    findings.expect(numbers == list(range(len(trials))), f"the numbers of trials are {numbers}")
    now = {trial.number: trial for trial in trials}
    for number, trial in seen.items():
        findings.expect(now.get(number) == trial, f"trial {number} changed after it had finished")
    failed = [trial for trial in trials if trial.state == "FAIL"]
    for trial in failed:
        findings.expect(
            trial.outcome is Outcome.LOST, f"trial {trial.number} failed: {trial.message}"
        )
    for trial, reports in _train_again(spec, good):
        _compare(database, study_id, trial, reports, findings)


def _train_again(
    spec: Spec, trials: Sequence[TrialRecord]
) -> Iterator[tuple[TrialRecord, list[Report]]]:
    """Train trials without a rung, up to the epoch that each had reached when it finished."""
    last: Callable[[TrialRecord], int] = lambda trial: max(trial.intermediate)  # noqa: E731
    executor = LocalExecutor(2)
    waiting = []
    for epoch, same in groupby(sorted(trials, key=last), key=last):
        group = list(same)
        for start in range(0, len(group), TRIALS_IN_A_PACK):
            part = group[start : start + TRIALS_IN_A_PACK]
            pack = _make_pack(spec, part, epoch)
            waiting.append((part, executor.submit(jobs.train, pack)))
    for part, answer in waiting:
        report: PackReport = answer.result()
        for trial in part:
            yield trial, [one for one in report.reports if one.trial_number == trial.number]
    executor.close()


def _make_pack(spec: Spec, trials: Sequence[TrialRecord], until_epoch: int) -> Pack:
    space, dimensions = SPACES[spec.space.name], spec.dimensions()
    return Pack(
        members=tuple(
            Member(
                trial_number=trial.number,
                replicate=replicate,
                design=to_design(space, dimensions, trial.params),
            )
            for trial in trials
            for replicate in range(spec.recipe.replicates)
        ),
        recipe=spec.make_recipe(),
        until_epoch=until_epoch,
        device="cpu",
    )


def _compare(
    database: Database,
    study_id: int,
    trial: TrialRecord,
    reports: Sequence[Report],
    findings: Findings,
) -> None:
    name = f"trial {trial.number}"
    told: dict[tuple[int, str], dict[int, float]] = {}
    for curve in database.read_curves(study_id, trial.number):
        values = told.setdefault((curve.replicate, curve.metric), {})
        values.update(enumerate(curve.values, start=curve.first_epoch))
    tests = database.read_test(study_id, trial.number)
    for report in reports:
        for metric, curve in report.curves.items():
            values = told.get((report.replicate, metric), {})
            what = f"{name}, replicate {report.replicate}, {metric}"
            epochs = list(range(1, len(curve) + 1))
            findings.expect(sorted(values) == epochs, f"{what}: the epochs are {sorted(values)}")
            for epoch in values.keys() & set(epochs):
                findings.compare(values[epoch], curve[epoch - 1], f"{what} at epoch {epoch}")
        if trial.state == "COMPLETE":
            here = tests.get(report.replicate, {})
            same = here.keys() == report.test.keys()
            findings.expect(same, f"{name}: the metrics on test are {sorted(here)}")
            for metric in here.keys() & report.test.keys():
                findings.compare(here[metric], report.test[metric], f"{name}, {metric} on test")
    if all(report.outcome is not Outcome.DIVERGED for report in reports):
        for epoch, value in trial.intermediate.items():
            undisturbed = fmean(report.curves["validation_error"][epoch - 1] for report in reports)
            findings.compare(value, undisturbed, f"{name} at the rung of epoch {epoch}")
        if trial.state == "COMPLETE":
            value = math.nan if trial.value is None else trial.value
            findings.compare(value, trial.intermediate[max(trial.intermediate)], f"{name}'s value")
