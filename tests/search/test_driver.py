"""A study from its lease to its budget, on trainings that take no time."""

import json
import os
import signal
import sys
import time
from collections import Counter

import pytest

from archloss.search.driver import Jobs, Run, run_study
from archloss.search.loop import StudyStoppedError
from archloss.search.score import Score
from archloss.search.spec import Spec
from archloss.spaces.errors import DataError
from archloss.spaces.outcome import Outcome
from archloss.storage.database import Database
from archloss.workers.inline import InlineExecutor
from archloss.workers.local import LocalExecutor

TRAININGS = '''
"""Trainings that only pretend: what they report is a function of the design and the epoch."""
import json, os, signal
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
        test={"test_error": 0.5},
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
        study = self._open(spec)
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

    def _open(self, spec):
        if spec.name not in [line.name for line in self.database.list_studies()]:
            self.database.create_study(
                name=spec.name,
                spec=spec.to_json(),
                digest=spec.digest(),
                fingerprint="f",
                environment={},
            )
        return self.database.get_study(spec.name)

    def trials(self, name="study"):
        return self.database.read_trials(self.database.get_study(name).study_id)

    def states(self, name="study"):
        return Counter(trial.state for trial in self.trials(name))

    def packs(self):
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]


@pytest.fixture
def bench(tmp_path, trainings, monkeypatch):
    monkeypatch.setenv("ARCHLOSS_TEST_LOG", str(tmp_path / "log"))
    made = Bench(tmp_path, trainings)
    yield made
    made.database.close()


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


SEARCH = {"sampler": "tpe", "pruner": "successive-halving", "seed": 1}


def test_run_study_trains_the_budget_and_leaves_nothing_running(bench, trainings):
    watcher = bench.run(make_spec(trials=22))
    assert bench.states() == {"COMPLETE": 22}
    assert (watcher.ended.finished, watcher.ended.running) == (22, 0)
    best = min(bench.trials(), key=lambda trial: trial.value)
    assert (watcher.ended.best_number, watcher.ended.best_value) == (best.number, best.value)
    for trial in bench.trials():
        assert trial.outcome is Outcome.COMPLETED
        assert trial.value == pytest.approx(abs(trial.params["ce_weight"] - 0.3) / 9)
        assert set(trial.intermediate) == {9}


def test_run_study_again_does_nothing_at_its_budget_and_goes_on_to_a_higher_one(bench):
    bench.run(make_spec(trials=8))
    before = bench.trials()
    bench.run(make_spec(trials=8))
    assert bench.trials() == before
    bench.run(make_spec(trials=13))
    assert bench.states() == {"COMPLETE": 13}
    assert bench.trials()[:8] == before
    designs = [tuple(trial.params.items()) for trial in bench.trials()]
    assert len(set(designs)) == 13  # and not the first eight once more


@pytest.mark.parametrize("search", [SEARCH, SEARCH | {"sampler": "random", "pruner": "none"}])
def test_run_study_twice_gives_the_same_designs_and_values(bench, search):
    recipe = {"epochs": 9, "replicates": 2}
    for name in ("one", "two"):
        bench.run(make_spec(name, trials=40, search=search, recipe=recipe, pack=8))
    one, two = (
        [(trial.params, trial.state, trial.value, trial.intermediate) for trial in bench.trials(n)]
        for n in ("one", "two")
    )
    assert one == two


def test_run_study_on_one_local_process_equals_inline(bench):
    bench.run(make_spec("one", trials=30, search=SEARCH))
    bench.run(make_spec("two", trials=30, search=SEARCH), executor=LocalExecutor(1))
    one, two = (
        [(trial.params, trial.state, trial.value) for trial in bench.trials(name)]
        for name in ("one", "two")
    )
    assert one == two


def test_run_study_on_two_processes_gives_each_design_its_value(bench, trainings):
    bench.run(make_spec(trials=40), executor=LocalExecutor(2))
    assert bench.states() == {"COMPLETE": 40}
    for trial in bench.trials():
        assert trial.value == pytest.approx(abs(trial.params["ce_weight"] - 0.3) / 9)


def test_run_study_packs_trials_of_one_width_up_to_the_pack_size(bench):
    space = {"name": "residual-mlp", "width": [16, 32]}
    bench.run(make_spec(trials=30, pack=5, space=space))
    assert bench.states() == {"COMPLETE": 30}
    assert all(len(set(pack["widths"])) == 1 for pack in bench.packs())
    assert max(len(pack["numbers"]) for pack in bench.packs()) == 5
    assert sum(len(pack["numbers"]) == 5 for pack in bench.packs()) >= 3


def test_run_study_counts_replicates_into_the_pack_and_tells_their_mean(bench, trainings):
    bench.run(make_spec(trials=6, pack=6, recipe={"epochs": 2, "replicates": 3}))
    assert all(len(pack["numbers"]) == 6 for pack in bench.packs())
    study_id = bench.database.get_study("study").study_id
    for trial in bench.trials():
        assert trial.value == pytest.approx(abs(trial.params["ce_weight"] - 0.3) / 2 + 0.01)
        curves = bench.database.read_curves(study_id, trial.number)
        assert sorted(curve.replicate for curve in curves) == [0, 1, 2]
        assert all(len(curve.values) == 2 for curve in curves)


def test_run_study_measures_an_automatic_pack_size_and_leaves_eight_asks(bench):
    bench.run(make_spec(trials=48, pack="auto"))
    assert [len(pack["numbers"]) for pack in bench.packs()] == [6] * 8


def test_run_study_asks_the_next_pack_while_one_trains(bench, trainings):
    seen = []

    def look(pack):
        for _ in range(500):
            count = bench.states()["RUNNING"]
            if count == 8:
                break
            time.sleep(0.01)
        seen.append(count)
        return trainings.finish(pack)

    bench.run(make_spec(trials=12), train=look)
    assert seen[0] == 8  # four that train, four that are ready


def test_run_study_prunes_and_packs_survivors_together(bench):
    bench.run(make_spec(trials=48, search=SEARCH))
    states = bench.states()
    assert states["PRUNED"] > 0
    assert states["COMPLETE"] + states["PRUNED"] == 48
    first = {}
    for index, pack in enumerate(bench.packs()):
        if pack["from"] == 0:
            first |= dict.fromkeys(pack["numbers"], index)
    later = [pack for pack in bench.packs() if pack["from"] > 0]
    assert any(len({first[number] for number in pack["numbers"]}) > 1 for pack in later)
    for trial in bench.trials():
        assert (trial.outcome is Outcome.PRUNED) == (trial.state == "PRUNED")
        assert trial.intermediate == pytest.approx(
            {epoch: abs(trial.params["ce_weight"] - 0.3) / epoch for epoch in trial.intermediate}
        )
        assert (9 in trial.intermediate) == (trial.state == "COMPLETE")


def test_run_study_tells_divergence_as_data(bench, trainings):
    watcher = bench.run(make_spec(trials=16), train=trainings.diverge_when_plain)
    assert bench.states() == {"COMPLETE": 16}
    diverged = [trial for trial in bench.trials() if trial.outcome is Outcome.DIVERGED]
    assert {trial.value for trial in diverged} == {0.75}
    assert len(diverged) == watcher.ended.diverged > 0
    assert all(
        trial.params["residual"] == (trial.outcome is Outcome.COMPLETED) for trial in bench.trials()
    )


def test_run_study_ends_a_trial_that_diverged_at_its_first_rung(bench, trainings):
    bench.run(make_spec(trials=16, search=SEARCH), train=trainings.diverge_when_plain)
    diverged = [trial for trial in bench.trials() if trial.outcome is Outcome.DIVERGED]
    assert diverged
    assert all(len(trial.intermediate) == 1 for trial in diverged)
    assert all(trial.state == "COMPLETE" for trial in diverged)


@pytest.mark.parametrize(
    ("train", "outcome", "message"),
    [
        ("fail_trial_3", Outcome.FAILED, "ZeroDivisionError: trial 3 is no good"),
        ("refuse_trial_3", Outcome.INFEASIBLE, "said so"),
    ],
)
def test_run_study_fails_one_trial_and_finishes_the_others(
    bench, trainings, train, outcome, message
):
    bench.run(make_spec(trials=12), train=getattr(trainings, train))
    assert bench.states() == {"COMPLETE": 12, "FAIL": 1}
    failed = bench.trials()[3]
    assert (failed.state, failed.outcome) == ("FAIL", outcome)
    assert message in failed.message


def test_run_study_stops_when_everything_fails(bench, trainings):
    with pytest.raises(StudyStoppedError, match="nothing is any good"):
        bench.run(make_spec(), train=trainings.fail_always)
    states = bench.states()
    assert states["FAIL"] == 3
    assert states["RUNNING"] == 0
    bench.run(make_spec())
    assert bench.states() == {"COMPLETE": 24, "FAIL": 3}


def test_run_study_stops_at_other_data(bench, trainings):
    with pytest.raises(DataError, match="have changed"):
        bench.run(make_spec(), train=trainings.find_other_data)
    assert set(bench.states()) == {"WAITING"}


def test_run_study_loses_only_the_trial_that_kills_its_worker(bench, trainings):
    bench.run(make_spec(trials=12), train=trainings.die_of_trial_3, executor=LocalExecutor(2))
    assert bench.states() == {"COMPLETE": 12, "FAIL": 1}
    lost = bench.trials()[3]
    assert (lost.outcome, lost.state) == (Outcome.LOST, "FAIL")
    assert "ended with code -9" in lost.message


def test_run_study_tries_again_after_a_worker_died(bench, trainings):
    watcher = bench.run(make_spec(trials=12), train=trainings.die_once, executor=LocalExecutor(2))
    assert bench.states() == {"COMPLETE": 12}
    assert any("tried again" in note for note in watcher.notes)


def interrupt_in_pack(trainings, index, *, times):
    """Return a training that presses Ctrl-C in the pack of this index."""
    count = iter(range(1000))

    def train(pack):
        if next(count) == index:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return trainings.train(pack)

    return train


def test_run_study_pauses_at_ctrl_c_and_goes_on_from_there(bench, trainings):
    spec = make_spec(trials=30, search=SEARCH)
    watcher = bench.run(spec, train=interrupt_in_pack(trainings, 3, times=1))
    assert any("Ctrl-C once more" in note for note in watcher.notes)
    states = bench.states()
    assert states["RUNNING"] == 0
    assert states["WAITING"] > 0
    before = {t.number: t for t in bench.trials() if t.state in ("COMPLETE", "PRUNED")}
    rungs_before = {t.number: set(t.intermediate) for t in bench.trials()}
    packs_before = len(bench.packs())
    watcher = bench.run(spec)
    assert watcher.resumed == states["WAITING"]
    assert sum(bench.states()[state] for state in ("COMPLETE", "PRUNED")) == 30
    assert set(bench.states()) <= {"COMPLETE", "PRUNED"}
    for pack in bench.packs()[packs_before:]:
        for number in pack["numbers"]:  # no rung is trained twice
            assert pack["until"] not in rungs_before.get(number, set())
    after = {trial.number: trial for trial in bench.trials()}
    assert all(after[number] == trial for number, trial in before.items())


def test_run_study_stops_at_the_second_ctrl_c_and_is_taken_over(bench, trainings):
    spec = make_spec(trials=30, search=SEARCH)
    with pytest.raises(KeyboardInterrupt):
        bench.run(spec, train=interrupt_in_pack(trainings, 3, times=2))
    left = bench.states()["RUNNING"]
    assert left > 0
    watcher = bench.run(spec)
    assert watcher.resumed == left
    assert sum(bench.states()[state] for state in ("COMPLETE", "PRUNED")) == 30
    assert set(bench.states()) <= {"COMPLETE", "PRUNED"}


def test_run_study_pauses_when_its_minutes_are_up(bench, trainings):
    def nap(pack):
        time.sleep(0.05)
        return trainings.finish(pack)

    bench.run(make_spec(trials=None, minutes=0.005), train=nap)
    states = bench.states()
    assert states["COMPLETE"] > 0
    assert states["RUNNING"] == 0


def test_run_study_by_two_drivers_shares_the_budget(bench, trainings):
    def join(pack):
        """Let a second driver do everything that is left while the first one trains."""
        if not joined:
            joined.append(True)
            other = Bench.__new__(Bench)
            other.__dict__ |= bench.__dict__
            other.run(make_spec(trials=20), train=trainings.finish)
        return trainings.finish(pack)

    joined = []
    bench.run(make_spec(trials=20), train=join)
    assert bench.states() == {"COMPLETE": 20}
    assert sorted(trial.number for trial in bench.trials()) == list(range(20))
