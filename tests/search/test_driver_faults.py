"""What a driver makes of workers that vanish, of states that are gone, and of other drivers."""

import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest
from optuna.trial import TrialState

from archloss.search.mirror import Mirror
from archloss.search.samplers import make_sampler
from archloss.search.score import Score
from archloss.spaces.outcome import Outcome
from archloss.storage.errors import StorageError
from archloss.workers.executor import HeldLostError, WorkerLostError
from archloss.workers.local import LocalExecutor

SEARCH = {"sampler": "random", "pruner": "successive-halving", "seed": 1}


class Losable:
    """A held value that a test can lose."""

    def __init__(self, cluster, value):
        self.cluster, self.value, self.lost, self.backed_up = cluster, value, False, False

    def fetch(self):
        if self.lost:
            raise HeldLostError("the machine that held a state is gone")
        return self.value

    def back_up(self):
        self.backed_up = True


class Cluster:
    """An executor that runs at once, whose slots come and go, and which loses what it is told to.

    `before` is called with the number of the call; it may raise what the call is to end with.
    """

    def __init__(self, before=lambda index, cluster: None, kinds=None):
        self.kinds = kinds or {"small": 1, "large": 1}
        self.calls, self.held, self.ran_on, self.before = 0, [], [], before

    @property
    def slots(self):
        return sum(self.kinds.values())

    def submit(self, function, argument, *, kind=None):
        future = Future()
        future.set_result(function(argument))
        return future

    def submit_holding(self, function, argument, held, *, count, kind=None):
        future = Future()
        self.calls += 1
        self.ran_on.append((kind, len(argument.pack.members)))
        try:
            self.before(self.calls, self)
            values = [None if one is None else one.fetch() for one in held]
            result, made = function(argument, values)
        except (WorkerLostError, HeldLostError) as error:
            future.set_exception(error)
        else:
            kept = tuple(None if value is None else Losable(self, value) for value in made)
            self.held += [one for one in kept if one is not None]
            assert len(kept) == count
            future.set_result((result, kept))
        return future

    def close(self, *, now=False):
        pass


def test_run_study_falls_back_when_the_states_are_gone(bench, trainings):
    def lose(index, cluster):
        if index in (6, 9):
            for held in cluster.held:
                held.lost = True

    bench.run(bench.make_spec("calm", trials=30, search=SEARCH), executor=Cluster())
    cluster = Cluster(lose)
    watcher = bench.run(bench.make_spec("lossy", trials=30, search=SEARCH), executor=cluster)
    assert any("go back by a rung or more" in note for note in watcher.notes)
    finished = bench.states("lossy")
    assert finished["COMPLETE"] + finished["PRUNED"] == 30
    for trial in bench.trials("lossy"):
        for epoch, value in trial.intermediate.items():
            assert value == pytest.approx(abs(trial.params["ce_weight"] - 0.3) / epoch)


def test_run_study_goes_back_by_one_rung_where_a_machine_goes_too_soon(bench, trainings):
    """What is a rung old has been copied; what has just come has not."""
    trained = []

    def lose(index, cluster):
        if index == 9:
            for held in cluster.held:
                held.lost = not held.backed_up or held in newest

    class Recorder(Cluster):
        def submit_holding(self, function, argument, held, *, count, kind=None):
            newest[:] = self.held[-8:]
            pack = argument.pack
            future = super().submit_holding(function, argument, held, count=count, kind=kind)
            for member in pack.members:
                key = member.trial_number, member.replicate
                trained.append((key, member.epochs_done, pack.until_epoch, future.exception()))
            return future

    newest = []
    bench.run(bench.make_spec(trials=30, search=SEARCH), executor=Recorder(lose))
    reached = {}
    steps_back = []
    for key, epochs_done, until_epoch, error in trained:
        before, rung = reached.get(key, (0, 0))
        if error is not None:
            continue
        if epochs_done < before:
            steps_back.append(epochs_done == rung)
        reached[key] = until_epoch, epochs_done
    assert steps_back
    assert all(steps_back)


def test_run_study_backs_up_the_states_of_survivors_alone(bench, trainings):
    cluster = Cluster()
    bench.run(bench.make_spec(trials=20, search=SEARCH), executor=cluster)
    rungs = sum(len(trial.intermediate) - 1 for trial in bench.trials())
    assert sum(held.backed_up for held in cluster.held) == rungs > 0


@pytest.mark.parametrize("refused", range(1, 6))
def test_run_study_leaves_no_gap_in_curves_where_a_rung_could_not_be_told(
    bench, trainings, monkeypatch, refused
):
    calls = []

    def tell(*arguments, **rest):
        calls.append(arguments)
        if len(calls) == refused:
            raise StorageError("the disk is full")
        return real(*arguments, **rest)

    real = bench.database.tell
    monkeypatch.setattr(bench.database, "tell", tell)
    spec = bench.make_spec(trials=12, search=SEARCH)
    with pytest.raises(StorageError, match="disk is full"):
        bench.run(spec, train=trainings.finish)
    bench.run(spec, train=trainings.finish)
    study_id = bench.database.get_study("study").study_id
    for trial in bench.trials():
        epochs = [
            epoch
            for curve in bench.database.read_curves(study_id, trial.number)
            for epoch in range(curve.first_epoch, curve.first_epoch + len(curve.values))
        ]
        assert sorted(epochs) == list(range(1, max(trial.intermediate) + 1))


@pytest.mark.parametrize("blameless", [False, True])
def test_run_study_splits_a_lost_pack_unless_its_machine_went(bench, blameless):
    def lose(index, cluster):
        if index == 3:
            raise WorkerLostError("gone", blameless=blameless)

    cluster = Cluster(lose, kinds={"only": 2})
    bench.run(bench.make_spec(trials=24, pack=6), executor=cluster)
    assert bench.states() == {"COMPLETE": 24}
    sizes = [size for _, size in cluster.ran_on]
    assert sizes.count(3) == (0 if blameless else 2)
    assert [trial.retries for trial in bench.trials()].count(1) == 6


def test_run_study_gives_a_trial_up_after_its_retries(bench, trainings):
    workers = {"executor": "local", "pack": 4, "max_retries": 0}
    bench.run(
        bench.make_spec(trials=12, workers=workers),
        train=trainings.die_of_trial_3,
        executor=LocalExecutor(1),
    )
    lost = [trial for trial in bench.trials() if trial.outcome is Outcome.LOST]
    assert [trial.number for trial in lost] == [0, 1, 2, 3]  # one pack, and no second try
    assert bench.states()["COMPLETE"] == 12


def test_run_study_gives_up_a_worker_that_hangs(bench, trainings):
    executor = LocalExecutor(2, timeout_s=2.0)
    watcher = bench.run(bench.make_spec(trials=12), train=trainings.hang_once, executor=executor)
    assert bench.states() == {"COMPLETE": 12}
    assert any("longer than" in note for note in watcher.notes)


def test_run_study_uses_slots_that_come_while_it_runs(bench):
    def grow(index, cluster):
        if index == 3:
            cluster.kinds = {"small": 1, "large": 3}
        if index == 9:
            cluster.kinds = {"large": 1}

    cluster = Cluster(grow, kinds={"small": 1})
    bench.run(bench.make_spec(trials=60), executor=cluster)
    assert bench.states() == {"COMPLETE": 60}
    assert {kind for kind, _ in cluster.ran_on[:3]} == {"small"}
    assert {kind for kind, _ in cluster.ran_on[-3:]} == {"large"}


def run_beside(bench, spec, others, **rest):
    """Run the study by several drivers at once; return what their observers saw."""
    watchers, errors = [], []

    def run():
        try:
            watchers.append(bench.run(spec, **rest))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return watchers


@pytest.fixture
def impatient(monkeypatch):
    """Let drivers that have nothing left look around more often."""
    monkeypatch.setattr("archloss.search.loop.LOOK_AROUND_EVERY_S", 0.2)


@pytest.mark.parametrize(
    ("sampler", "trials"), [("random", 60), ("qmc", 60), ("grid", 32), ("tpe", 60)]
)
def test_run_study_by_three_drivers_is_exact_and_trains_no_design_twice(
    bench, trainings, impatient, sampler, trials
):
    search = {"sampler": sampler, "pruner": "successive-halving", "seed": 3, "grid_points": 2}
    spec = bench.make_spec(trials=trials, search=search)
    bench.prepare(spec)
    run_beside(bench, spec, 3, train=trainings.finish_slowly)
    states = bench.states()
    assert states["COMPLETE"] + states["PRUNED"] == trials
    assert set(states) <= {"COMPLETE", "PRUNED"}
    designs = [tuple(sorted(trial.params.items())) for trial in bench.trials()]
    assert len(set(designs)) == trials


def test_run_study_waits_for_another_driver_and_takes_over_what_it_leaves(
    bench, trainings, impatient
):
    study = bench.prepare(bench.make_spec(trials=10))
    other = bench.database.open_lease(study.study_id)
    bench.start_one(bench.make_spec(), other)
    closer = threading.Timer(1.5, bench.database.close_lease, [other])
    closer.start()
    watcher = bench.run(bench.make_spec(trials=10), train=trainings.finish)
    closer.join()
    assert bench.states() == {"COMPLETE": 10}
    assert any("waiting for 1 trials of other drivers" in note for note in watcher.notes)


def test_run_study_pauses_when_someone_asks_it_to_stop(bench, trainings, monkeypatch):
    monkeypatch.setattr("archloss.search.heartbeat.RENEW_EVERY_S", 0.05)

    def train(pack):
        time.sleep(0.1)
        bench.database.request_stop(bench.database.get_study("study").study_id)
        return trainings.finish(pack)

    spec = bench.make_spec(trials=400, search=SEARCH)
    watcher = bench.run(spec, train=train)
    assert any("asked the study to stop" in note for note in watcher.notes)
    states = bench.states()
    assert states.get("RUNNING", 0) == 0
    assert states["WAITING"] > 0
    bench.run(spec, train=trainings.finish)  # what was asked before does not stop it again
    assert sum(bench.states()[state] for state in ("COMPLETE", "PRUNED")) == 400


def test_mirror_keeps_the_sampler_away_from_what_others_run(bench, trainings):
    spec = bench.make_spec(trials=30)
    bench.run(spec, train=trainings.finish)
    study_id = bench.database.get_study("study").study_id
    bench.start_one(spec, bench.database.open_lease(study_id))
    mirror = make_mirror(spec)
    records = bench.trials()
    mirror.load(records)
    assert mirror.elsewhere == {records[-1].trial_id}
    assert mirror.next_number == 31
    states = [trial.state for trial in mirror._study.get_trials()]
    assert states.count(TrialState.RUNNING) == 1


def test_mirror_shows_the_sampler_a_design_that_fits_nowhere_as_bad(bench, trainings):
    spec = bench.make_spec(trials=8)
    bench.run(spec, train=trainings.refuse_trial_3)
    mirror = make_mirror(spec)
    mirror.load(bench.trials())
    assert mirror._study.get_trials()[3].value == 0.75


def make_mirror(spec):
    from archloss.search.distributions import to_distributions
    from archloss.search.pruners import make_pruner

    score = Score(objective="validation_error", penalty=0.75)
    return Mirror(
        spec.name,
        sampler=make_sampler(spec),
        pruner=make_pruner(spec),
        distributions=to_distributions(spec.dimensions()),
        penalty=score.penalty,
    )


def test_make_sampler_differs_between_drivers_unless_it_follows_a_list(bench):
    drawn = {}
    for sampler in ("random", "qmc"):
        spec = bench.make_spec(search={"sampler": sampler, "pruner": "none", "seed": 1})
        for driver in (0, 1):
            mirror = Mirror(
                "study",
                sampler=make_sampler(spec, drivers_before=driver),
                pruner=None,
                distributions=make_mirror(spec).distributions,
                penalty=1.0,
            )
            drawn[sampler, driver] = [trial.params for trial in mirror.ask(4)]
    assert drawn["random", 0] != drawn["random", 1]
    assert drawn["qmc", 0] == drawn["qmc", 1]
    assert np.unique([params["ce_weight"] for params in drawn["qmc", 0]]).size == 4
