"""What a rung's reports make of a trial: its value, its curves, and what is saved of it."""

import math
import os
import signal
import threading

import numpy as np
import pytest

from archloss.search.interrupts import Interrupts
from archloss.search.running import RungResult, RunningTrial, take_reports
from archloss.search.score import Score, make_score
from archloss.search.tally import Tally
from archloss.spaces.design import Design
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import Report, State
from archloss.storage.records import Checkpoint
from archloss.workers.executor import Box

SCORE = Score(objective="validation_error", penalty=0.9)


def make_trial(replicates: int = 1) -> RunningTrial:
    return RunningTrial(
        trial_id=1, number=7, design=Design(), states=dict.fromkeys(range(replicates))
    )


def make_report(replicate: int, *values: float, outcome: Outcome = Outcome.TRAINED) -> Report:
    return Report(
        trial_number=7,
        replicate=replicate,
        outcome=outcome,
        epochs_done=len(values),
        curves={"validation_error": values},
        seconds=1.5,
    )


def take(trial: RunningTrial, *reports: Report, until_epoch: int) -> RungResult:
    states = [
        Box(State(arrays={"parameters": np.full(3, float(report.replicate))}, steps=10))
        for report in reports
    ]
    return take_reports(trial, reports, states, until_epoch=until_epoch, score=SCORE)


def test_take_reports_gives_the_mean_of_the_replicates():
    trial = make_trial(2)
    result = take(trial, make_report(0, 0.5, 0.2), make_report(1, 0.6, 0.4), until_epoch=2)
    assert result.value == pytest.approx(0.3)
    assert [(c.replicate, c.first_epoch, c.values) for c in result.curves] == [
        (0, 1, (0.5, 0.2)),
        (1, 1, (0.6, 0.4)),
    ]
    assert (trial.epochs_done, trial.seconds) == (2, 3.0)


def test_take_reports_begins_the_curves_after_the_last_rung():
    trial = make_trial()
    take(trial, make_report(0, 0.5, 0.4), until_epoch=2)
    result = take(trial, make_report(0, 0.3), until_epoch=3)
    assert result.curves[0].first_epoch == 3


def test_take_reports_counts_a_diverged_replicate_with_the_penalty_ever_after():
    trial = make_trial(2)
    diverged = make_report(1, outcome=Outcome.DIVERGED)
    first = take(trial, make_report(0, 0.2), diverged, until_epoch=1)
    assert first.value == pytest.approx((0.2 + 0.9) / 2)
    assert [member.replicate for member in trial.make_members()] == [0]
    second = take(trial, make_report(0, 0.1), until_epoch=2)
    assert second.value == pytest.approx((0.1 + 0.9) / 2)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_take_reports_takes_a_score_that_is_not_finite_for_divergence(value):
    trial = make_trial()
    assert take(trial, make_report(0, value), until_epoch=1).value == 0.9
    assert trial.diverged == {0}


def test_take_reports_fails_with_its_member():
    trial = make_trial(2)
    reports = make_report(0, 0.2), make_report(1, outcome=Outcome.INFEASIBLE)
    result = take(trial, *reports, until_epoch=1)
    assert result.failure is Outcome.INFEASIBLE


def test_restore_goes_on_where_the_checkpoints_were_made():
    trial = make_trial(2)
    take(trial, make_report(0, 0.2), make_report(1, 0.3), until_epoch=4)
    again = make_trial(2)
    again.restore(trial.make_checkpoints())
    assert again.make_members() != ()
    for before, after in zip(trial.make_members(), again.make_members(), strict=True):
        assert (before.replicate, before.epochs_done) == (after.replicate, after.epochs_done)
    for before, after in zip(trial.list_states(), again.list_states(), strict=True):
        np.testing.assert_array_equal(
            before.fetch().arrays["parameters"], after.fetch().arrays["parameters"]
        )


def test_restore_knows_a_replicate_that_diverged_by_its_absence():
    trial = make_trial(3)
    old = Checkpoint(replicate=0, epochs_done=1, steps=1, arrays={"parameters": np.zeros(1)})
    new = Checkpoint(replicate=1, epochs_done=2, steps=2, arrays={"parameters": np.zeros(1)})
    trial.restore([old, new])
    assert (trial.epochs_done, trial.diverged) == (2, {0, 2})


def test_restore_without_checkpoints_begins_anew():
    trial = make_trial(2)
    take(trial, make_report(0, 0.2), make_report(1, 0.3), until_epoch=4)
    trial.restore([])
    assert [member.epochs_done for member in trial.make_members()] == [0, 0]
    assert trial.list_states() == (None, None)


def test_make_weights_leaves_the_optimizer_behind():
    trial = make_trial()
    arrays = {"parameters": np.ones(2), "momentum": np.zeros(2)}
    trial.states[0] = Box(State(arrays=arrays, steps=1))
    assert [set(saved.arrays) for saved in trial.make_weights()] == [{"parameters"}]


def test_make_score_is_what_guessing_reaches():
    labels = np.array([0, 0, 1, 2])
    arguments = {"classes": ("a", "b", "c"), "y_validation": labels, "majority_class": 0}
    assert make_score("validation_error", **arguments).penalty == 0.5
    assert make_score("validation_nll", **arguments).penalty == pytest.approx(math.log(3))
    # three classes at 1/3 each: (2/3)^2 + 2 (1/3)^2
    assert make_score("validation_brier", **arguments).penalty == pytest.approx(6 / 9)


def test_tally_counts_what_ended_and_keeps_the_first_of_the_best():
    tally = Tally()
    for number, (state, value, outcome) in enumerate(
        [
            ("COMPLETE", 0.4, Outcome.COMPLETED),
            ("COMPLETE", 0.9, Outcome.DIVERGED),
            ("PRUNED", None, Outcome.PRUNED),
            ("FAIL", None, Outcome.FAILED),
            ("RUNNING", None, None),
            ("COMPLETE", 0.4, Outcome.COMPLETED),
        ]
    ):
        for _ in range(2):  # to count a trial again changes nothing
            tally.count(number, number=number, state=state, value=value, outcome=outcome)
    assert (tally.finished, tally.pruned, tally.diverged, tally.failed) == (4, 1, 1, 1)
    assert (tally.best_value, tally.best_number) == (0.4, 0)
    assert tally.is_among_best(0.5, 3)
    assert not tally.is_among_best(0.5, 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupts_asks_first_and_stops_then(number):
    before = signal.getsignal(number)
    asked = []
    with Interrupts(lambda: asked.append(True)) as interrupts:
        os.kill(os.getpid(), number)
        assert (interrupts.requested, asked) == (True, [True])
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_interrupts_does_nothing_outside_the_main_thread():
    handlers = []

    def look() -> None:
        with Interrupts(lambda: None):
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]
