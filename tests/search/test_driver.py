"""A study from its lease to its budget, on trainings that take no time."""

import os
import signal
import time

import pytest

from archloss.search.loop import StudyStoppedError
from archloss.spaces.errors import DataError
from archloss.spaces.outcome import Outcome
from archloss.workers.local import LocalExecutor

SEARCH = {"sampler": "tpe", "pruner": "successive-halving", "seed": 1}


def test_run_study_trains_the_budget_and_leaves_nothing_running(bench, trainings):
    watcher = bench.run(bench.make_spec(trials=22))
    assert bench.states() == {"COMPLETE": 22}
    assert (watcher.ended.finished, watcher.ended.running) == (22, 0)
    best = min(bench.trials(), key=lambda trial: trial.value)
    assert (watcher.ended.best_number, watcher.ended.best_value) == (best.number, best.value)
    for trial in bench.trials():
        assert trial.outcome is Outcome.COMPLETED
        assert trial.value == pytest.approx(abs(trial.params["ce_weight"] - 0.3) / 9)
        assert set(trial.intermediate) == {9}


def test_run_study_again_does_nothing_at_its_budget_and_goes_on_to_a_higher_one(bench):
    bench.run(bench.make_spec(trials=8))
    before = bench.trials()
    bench.run(bench.make_spec(trials=8))
    assert bench.trials() == before
    bench.run(bench.make_spec(trials=13))
    assert bench.states() == {"COMPLETE": 13}
    assert bench.trials()[:8] == before
    designs = [tuple(trial.params.items()) for trial in bench.trials()]
    assert len(set(designs)) == 13  # and not the first eight once more


@pytest.mark.parametrize("search", [SEARCH, SEARCH | {"sampler": "random", "pruner": "none"}])
def test_run_study_twice_gives_the_same_designs_and_values(bench, search):
    recipe = {"epochs": 9, "replicates": 2}
    for name in ("one", "two"):
        bench.run(bench.make_spec(name, trials=40, search=search, recipe=recipe, pack=8))
    one, two = (
        [(trial.params, trial.state, trial.value, trial.intermediate) for trial in bench.trials(n)]
        for n in ("one", "two")
    )
    assert one == two


def test_run_study_on_one_local_process_equals_inline(bench):
    bench.run(bench.make_spec("one", trials=30, search=SEARCH))
    bench.run(bench.make_spec("two", trials=30, search=SEARCH), executor=LocalExecutor(1))
    one, two = (
        [(trial.params, trial.state, trial.value) for trial in bench.trials(name)]
        for name in ("one", "two")
    )
    assert one == two


def test_run_study_on_two_processes_gives_each_design_its_value(bench, trainings):
    bench.run(bench.make_spec(trials=40), executor=LocalExecutor(2))
    assert bench.states() == {"COMPLETE": 40}
    for trial in bench.trials():
        assert trial.value == pytest.approx(abs(trial.params["ce_weight"] - 0.3) / 9)


def test_run_study_packs_trials_of_one_width_up_to_the_pack_size(bench):
    space = {"name": "residual-mlp", "width": [16, 32]}
    bench.run(bench.make_spec(trials=30, pack=5, space=space))
    assert bench.states() == {"COMPLETE": 30}
    assert all(len(set(pack["widths"])) == 1 for pack in bench.packs())
    assert max(len(pack["numbers"]) for pack in bench.packs()) == 5
    assert sum(len(pack["numbers"]) == 5 for pack in bench.packs()) >= 3


def test_run_study_counts_replicates_into_the_pack_and_tells_their_mean(bench, trainings):
    bench.run(bench.make_spec(trials=6, pack=6, recipe={"epochs": 2, "replicates": 3}))
    assert all(len(pack["numbers"]) == 6 for pack in bench.packs())
    study_id = bench.database.get_study("study").study_id
    for trial in bench.trials():
        assert trial.value == pytest.approx(abs(trial.params["ce_weight"] - 0.3) / 2 + 0.01)
        curves = bench.database.read_curves(study_id, trial.number)
        assert sorted(curve.replicate for curve in curves) == [0, 1, 2]
        assert all(len(curve.values) == 2 for curve in curves)


def test_run_study_measures_an_automatic_pack_size_and_leaves_eight_asks(bench):
    bench.run(bench.make_spec(trials=48, pack="auto"))
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

    bench.run(bench.make_spec(trials=12), train=look)
    assert seen[0] == 8  # four that train, four that are ready


def test_run_study_prunes_and_packs_survivors_together(bench):
    bench.run(bench.make_spec(trials=48, search=SEARCH))
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
    watcher = bench.run(bench.make_spec(trials=16), train=trainings.diverge_when_plain)
    assert bench.states() == {"COMPLETE": 16}
    diverged = [trial for trial in bench.trials() if trial.outcome is Outcome.DIVERGED]
    assert {trial.value for trial in diverged} == {0.75}
    assert len(diverged) == watcher.ended.diverged > 0
    assert all(
        trial.params["residual"] == (trial.outcome is Outcome.COMPLETED) for trial in bench.trials()
    )


def test_run_study_ends_a_trial_that_diverged_at_its_first_rung(bench, trainings):
    bench.run(bench.make_spec(trials=16, search=SEARCH), train=trainings.diverge_when_plain)
    diverged = [trial for trial in bench.trials() if trial.outcome is Outcome.DIVERGED]
    assert diverged
    assert all(len(trial.intermediate) == 1 for trial in diverged)
    assert all(trial.state == "COMPLETE" for trial in diverged)


def test_run_study_fails_one_trial_and_finishes_the_others(bench, trainings):
    bench.run(bench.make_spec(trials=12), train=trainings.fail_trial_3)
    assert bench.states() == {"COMPLETE": 12, "FAIL": 1}
    failed = bench.trials()[3]
    assert (failed.state, failed.outcome) == ("FAIL", Outcome.FAILED)
    assert "Traceback" in failed.message
    assert "ZeroDivisionError: trial 3 is no good" in failed.message


def test_run_study_counts_a_trial_that_fits_nowhere_and_lets_the_sampler_know(bench, trainings):
    bench.run(bench.make_spec(trials=12), train=trainings.refuse_trial_3)
    assert bench.states() == {"COMPLETE": 11, "PRUNED": 1}
    refused = bench.trials()[3]
    assert (refused.outcome, refused.value, refused.message) == (
        Outcome.INFEASIBLE,
        None,
        "said so",
    )
    bench.run(bench.make_spec(trials=14), train=trainings.train)  # also after a restart
    assert bench.states() == {"COMPLETE": 13, "PRUNED": 1}


def test_run_study_stops_when_everything_fails(bench, trainings):
    with pytest.raises(StudyStoppedError, match="nothing is any good"):
        bench.run(bench.make_spec(), train=trainings.fail_always)
    states = bench.states()
    assert states["FAIL"] == 3
    assert states["RUNNING"] == 0
    bench.run(bench.make_spec())
    assert bench.states() == {"COMPLETE": 24, "FAIL": 3}


def test_run_study_stops_at_other_data(bench, trainings):
    with pytest.raises(DataError, match="have changed"):
        bench.run(bench.make_spec(), train=trainings.find_other_data)
    assert set(bench.states()) == {"WAITING"}


def test_run_study_loses_only_the_trial_that_kills_its_worker(bench, trainings):
    bench.run(bench.make_spec(trials=12), train=trainings.die_of_trial_3, executor=LocalExecutor(2))
    assert bench.states() == {"COMPLETE": 12, "FAIL": 1}
    lost = bench.trials()[3]
    assert (lost.outcome, lost.state, lost.retries) == (Outcome.LOST, "FAIL", 4)
    assert "ended with code -9" in lost.message


def test_run_study_tries_again_after_a_worker_died(bench, trainings):
    watcher = bench.run(
        bench.make_spec(trials=12), train=trainings.die_once, executor=LocalExecutor(2)
    )
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
    spec = bench.make_spec(trials=30, search=SEARCH)
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
    spec = bench.make_spec(trials=30, search=SEARCH)
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

    bench.run(bench.make_spec(trials=None, minutes=0.005), train=nap)
    states = bench.states()
    assert states["COMPLETE"] > 0
    assert states["RUNNING"] == 0
