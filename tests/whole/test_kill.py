"""`kill -9` of a launch at random moments: nothing finished is lost, and the budget is exact."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from archloss.search.launch import open_study
from archloss.search.spec import Spec

KILLS = 3
TRIALS = 100
LAUNCH = """
import sys, archloss
archloss.launch(archloss.Spec.from_json(sys.argv[1]), folder=sys.argv[2])
"""


def make_spec(trials: int = TRIALS) -> Spec:
    return Spec.model_validate(
        {
            "name": "killed",
            "dataset": "iris",
            "trials": trials,
            "space": {"name": "residual-mlp", "depth": {"low": 1, "high": 6}, "width": [16]},
            "recipe": {"epochs": 18, "batch_size": 16},
            "search": {"sampler": "random", "pruner": "successive-halving", "seed": 0},
            "workers": {"executor": "local", "processes": 2, "pack": 3, "device": "cpu"},
        }
    )


def start(folder, trials: int = TRIALS, **rest) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, make_spec(trials).to_json(), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **rest,
    )


def read_finished(folder):
    study = open_study("killed", folder=folder)
    trials = study.trials()
    study.database.close()
    return {t.number: t for t in trials if t.state in ("COMPLETE", "PRUNED", "FAIL")}


def count_trials(folder, states: str) -> int:
    path = folder / "studies.db"
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
        try:
            question = f"select count(*) from trials where state in ({states})"
            return connection.execute(question).fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # its tables are yet to come


def wait_for_work(folder, driver, *, finished: int) -> None:
    """Wait until so many trials have finished and others are running: a kill then hurts."""
    while driver.poll() is None and not (
        count_trials(folder, "'COMPLETE', 'PRUNED'") >= finished
        and count_trials(folder, "'RUNNING'")
    ):
        time.sleep(0.02)


@pytest.mark.timeout(300)
def test_launch_after_an_interrupt_of_its_terminal_goes_on_from_there(tmp_path):
    trials = 30
    driver = start(tmp_path, trials, process_group=0)
    wait_for_work(tmp_path, driver, finished=3)
    os.killpg(driver.pid, signal.SIGINT)
    assert driver.wait(100) == 0
    study = open_study("killed", folder=tmp_path)
    counts = study.summary().counts
    study.database.close()
    assert counts.get("RUNNING", 0) == counts.get("FAIL", 0) == 0
    assert 3 <= counts.get("COMPLETE", 0) + counts.get("PRUNED", 0) < trials
    assert counts["WAITING"] > 0
    assert start(tmp_path, trials).wait(200) == 0
    assert len(read_finished(tmp_path)) == trials


@pytest.mark.timeout(300)
def test_launch_after_kills_has_exactly_its_budget(tmp_path):
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"moments of the kills: seed {seed}")  # noqa: T201  shown when the test fails
    moments = random.Random(seed)
    finished, kills, trials = {}, 0, TRIALS
    while kills < KILLS:
        driver = start(tmp_path, trials)
        wait_for_work(tmp_path, driver, finished=len(finished) + moments.randint(0, 6))
        time.sleep(moments.uniform(0.0, 0.3))
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        now = read_finished(tmp_path)
        assert {number: now[number] for number in finished} == finished
        finished = now
        if driver.returncode == -signal.SIGKILL:
            kills += 1
        else:  # a fast machine reached the budget before the kill
            assert driver.returncode == 0
            assert len(finished) == trials
        if len(finished) == trials:
            trials += TRIALS
    assert finished  # some of the kills came after the first results
    assert start(tmp_path, trials).wait(200) == 0
    study = open_study("killed", folder=tmp_path)
    told = study.trials()
    study.database.close()
    states = [trial.state for trial in told]
    assert set(states) == {"COMPLETE", "PRUNED"}
    assert len(states) == trials
    assert [trial.number for trial in told] == list(range(trials))
    assert {number: told[number] for number in finished} == finished
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
