"""Databases with studies whose training takes no time, and what it takes to launch them."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from archloss.search.distributions import to_distributions
from archloss.search.driver import Jobs, Run, run_study
from archloss.search.score import Score
from archloss.search.spec import Spec
from archloss.storage.database import Database
from archloss.storage.records import TrialStart
from archloss.workers.inline import InlineExecutor

sys.path.insert(0, str(Path(__file__).parent))  # for answers.py and others that several tests share

TRAININGS = '''
"""Trainings that only pretend: what they report is a function of the design and the epoch."""
import json, os, signal, time
import numpy as np
from archloss.spaces.errors import DataError
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import PackReport, Report, State

def get_error(design, replicate, epoch):
    return round(abs(design.ce_weight - 0.3) / epoch + 0.01 * replicate, 12)

def report(member, until_epoch, outcome=Outcome.TRAINED):
    state = member.state
    steps = 0 if state is None else int(state.arrays["parameters"][0])
    assert steps == member.epochs_done, "this state is of another epoch"
    epochs = range(member.epochs_done + 1, until_epoch + 1)
    values = tuple(get_error(member.design, member.replicate, epoch) for epoch in epochs)
    return Report(
        trial_number=member.trial_number, replicate=member.replicate, outcome=outcome,
        epochs_done=until_epoch, curves={"validation_error": values}, seconds=0.01,
        state=State(arrays={"parameters": np.full(2, float(until_epoch))}, steps=until_epoch),
        message="said so" if outcome is Outcome.INFEASIBLE else None,
        test={"error": 0.5},
    )

def log(pack):
    with open(os.environ["ARCHLOSS_TEST_LOG"], "a") as stream:
        stream.write(json.dumps({
            "numbers": [member.trial_number for member in pack.members],
            "widths": [member.design.width for member in pack.members],
            "from": pack.members[0].epochs_done, "until": pack.until_epoch}) + "\\n")

def finish(pack, choose=lambda member: Outcome.TRAINED):
    return PackReport(seconds=0.01, reports=tuple(
        report(member, pack.until_epoch, choose(member)) for member in pack.members))

def train(pack):
    log(pack)
    return finish(pack)

def diverge_when_plain(pack):
    return finish(pack, lambda member: Outcome.TRAINED if member.design.residual
                  else Outcome.DIVERGED)

def refuse_trial_3(pack):
    return finish(pack, lambda member: Outcome.INFEASIBLE if member.trial_number == 3
                  else Outcome.TRAINED)

def fail_trial_3(pack):
    if any(member.trial_number == 3 for member in pack.members):
        raise ZeroDivisionError("trial 3 is no good")
    return finish(pack)

def fail_always(pack):
    raise ZeroDivisionError("nothing is any good")

def find_other_data(pack):
    raise DataError("the data have changed")

def die_of_trial_3(pack):
    if any(member.trial_number == 3 for member in pack.members):
        os.kill(os.getpid(), signal.SIGKILL)
    return finish(pack)

def die_once(pack):
    try:
        os.close(os.open(os.environ["ARCHLOSS_TEST_LOG"] + ".died", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return finish(pack)
    os.kill(os.getpid(), signal.SIGKILL)

def hang_once(pack):
    try:
        os.close(os.open(os.environ["ARCHLOSS_TEST_LOG"] + ".hung", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return finish(pack)
    time.sleep(100)

def finish_slowly(pack):
    time.sleep(0.02)
    return finish(pack)

def measure(question):
    return 16
'''


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainings")
    (folder / "archloss_test_trainings.py").write_text(TRAININGS)
    sys.path.insert(0, str(folder))
    import archloss_test_trainings

    yield archloss_test_trainings
    sys.path.remove(str(folder))


class Watcher:
    """An observer that remembers."""

    def __init__(self):
        self.notes, self.progress, self.resumed, self.ended = [], [], None, None

    def on_start(self, spec, resumed):
        self.resumed = resumed

    def on_progress(self, progress):
        self.progress.append(progress)

    def on_note(self, text):
        self.notes.append(text)

    def on_end(self, progress):
        self.ended = progress


class Bench:
    """A database of its own, and studies launched in it."""

    def __init__(self, folder, trainings):
        self.folder = folder
        self.trainings = trainings
        self.log_path = folder / "log"
        self.database = Database(f"sqlite:///{folder / 'studies.db'}")

    def run(self, spec, train=None, executor=None):
        study = self.prepare(spec)
        run = Run(
            database=self.database,
            study=study,
            spec=spec,
            score=Score(objective="validation_error", penalty=0.75),
            jobs=Jobs(train=train or self.trainings.train, measure=self.trainings.measure),
        )
        watcher = Watcher()
        executor = executor or InlineExecutor()
        try:
            run_study(run, executor, watcher)
        finally:
            executor.close(now=True)
        return watcher

    def prepare(self, spec):
        if spec.name not in [line.name for line in self.database.list_studies()]:
            self.database.create_study(
                name=spec.name,
                spec=spec.to_json(),
                digest=spec.digest(),
                fingerprint="f",
                environment={},
            )
        return self.database.get_study(spec.name)

    @staticmethod
    def make_spec(name="study", *, trials=24, pack=4, minutes=None, **rest):
        return Spec.model_validate(
            {
                "name": name,
                "dataset": "iris",
                "trials": trials,
                "minutes": minutes,
                "workers": {"executor": "inline", "pack": pack},
                "recipe": {"epochs": 9},
                "search": {"sampler": "random", "pruner": "none", "seed": 1},
            }
            | rest
        )

    def trials(self, name="study"):
        return self.database.read_trials(self.database.get_study(name).study_id)

    def states(self, name="study"):
        return Counter(trial.state for trial in self.trials(name))

    def start_one(self, spec, lease_id):
        """Let another driver run a trial in the corner of the space."""
        study_id = self.database.get_study(spec.name).study_id
        distributions = to_distributions(spec.dimensions())
        starts = [
            TrialStart(
                params={name: get_corner(one) for name, one in distributions.items()},
                distributions=distributions,
            )
        ]
        return self.database.start_trials(study_id, lease_id, starts, budget=None)

    def packs(self):
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]


def get_corner(distribution):
    choices = getattr(distribution, "choices", None)
    return distribution.low if choices is None else choices[0]


@pytest.fixture
def bench(tmp_path, trainings, monkeypatch):
    monkeypatch.setenv("ARCHLOSS_TEST_LOG", str(tmp_path / "log"))
    made = Bench(tmp_path, trainings)
    yield made
    made.database.close()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a table, and be where it is."""
    monkeypatch.chdir(tmp_path)

    def write(table):
        table.to_csv(tmp_path / "trials.csv", index=False)
        return "trials.csv"

    return write
