"""`kill -9` of a driver at random moments: what was told is there, the rest is taken over."""

import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from archloss.spaces.outcome import Outcome
from archloss.storage.records import TrialTell

KILLS = {"sqlite": 6, "postgresql": 4}
BUDGET = 100_000
DRIVER = """
import sys
import numpy as np
from optuna.distributions import FloatDistribution
from archloss.spaces.outcome import Outcome
from archloss.storage.database import Database
from archloss.storage.records import Checkpoint, Curve, TrialStart, TrialTell

url, study_id = sys.argv[1], int(sys.argv[2])
database = Database(url)
lease_id = database.open_lease(study_id)
start = TrialStart(params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)})
saved = Checkpoint(replicate=0, epochs_done=1, steps=5, arrays={"parameters": np.arange(99.0)})
first = Curve(replicate=0, metric="validation_error", first_epoch=1, values=(0.5,))
second = Curve(replicate=0, metric="validation_error", first_epoch=2, values=(0.25,))
taken = database.take_over(study_id, lease_id)
ids = [record.trial_id for record, _ in taken]
numbers = {record.trial_id: record.number for record, _ in taken}
while True:
    handles = database.start_trials(study_id, lease_id, [start] * 8, budget=100_000)
    ids += [handle.trial_id for handle in handles]
    numbers |= {handle.trial_id: handle.number for handle in handles}
    rung = [TrialTell(trial_id=i, state=None, intermediate={1: 0.5}, curves=(first,),
                      checkpoints=(saved,)) for i in ids]
    assert len(database.tell(lease_id, rung, keep_weights=2)) == len(ids)
    ends = [TrialTell(trial_id=i, state="COMPLETE", value=numbers[i] / 8, curves=(second,),
                      outcome=Outcome.COMPLETED, intermediate={2: 0.25}, weights=(saved,))
            for i in ids]
    assert len(database.tell(lease_id, ends, keep_weights=2)) == len(ids)
    print(*(numbers[i] for i in ids), flush=True)
    ids = []
"""


def check_finished(bench, trial):
    assert (trial.value, trial.outcome) == (trial.number / 8, Outcome.COMPLETED)
    assert trial.intermediate == {1: 0.5, 2: 0.25}
    assert trial.params == {"x": 0.5}


def run_and_kill(bench, after_s):
    """Run a driver until it has told something, and on for a while; return what it told of."""
    arguments = [sys.executable, "-c", DRIVER, bench.url, str(bench.study_id)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        lines = [driver.stdout.readline()]
        assert lines[0], "the driver ended by itself"
        time.sleep(after_s)
        driver.send_signal(signal.SIGKILL)
        lines += driver.stdout.readlines()
    # A line may be cut short by the kill: its last number then is not to be trusted.
    complete = "".join(lines).rpartition("\n")[0]
    return {int(number) for number in complete.split()}


@pytest.mark.timeout(300)
def test_no_kill_loses_or_doubles_a_trial(each_bench):
    bench = each_bench
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"moments of the kills: seed {seed}")  # noqa: T201  shown when the test fails
    moments = random.Random(seed)
    told = set()
    for _ in range(KILLS[bench.engine.dialect.name]):
        told |= run_and_kill(bench, moments.uniform(0.0, 0.3))
        trials = bench.trials()
        assert [trial.number for trial in trials] == list(range(len(trials)))
        finished = {trial.number for trial in trials if trial.state == "COMPLETE"}
        assert told <= finished
        for trial in trials:
            if trial.number in finished:
                check_finished(bench, trial)
            else:
                assert trial.state == "RUNNING"
                assert trial.intermediate in ({}, {1: 0.5})
        assert len(trials) - len(finished) <= 8
    taken = bench.database.take_over(bench.study_id, bench.lease_id)
    assert [record.number for record, _ in taken] == sorted(
        trial.number for trial in bench.trials() if trial.state == "RUNNING"
    )
    for record, checkpoints in taken:
        assert bool(record.intermediate) == bool(checkpoints)
    bench.tell(
        *(
            TrialTell(trial_id=record.trial_id, state="PRUNED", outcome=Outcome.PRUNED)
            for record, _ in taken
        )
    )
    assert set(bench.database.count_states(bench.study_id)) <= {"COMPLETE", "PRUNED"}
    weights = [bool(bench.database.read_weights(bench.study_id, n)) for n in range(4)]
    assert weights == [True, True, False, False]
    if bench.engine.dialect.name == "sqlite":
        check_file(bench)


def check_file(bench):
    with sqlite3.connect(bench.url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
