"""A server that goes away, and connections that are cut: nothing is lost, nothing done twice."""

import contextlib
import itertools
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa
from optuna.distributions import FloatDistribution

from archloss.spaces.outcome import Outcome
from archloss.storage import schema
from archloss.storage.database import Database
from archloss.storage.errors import StorageError
from archloss.storage.records import TrialStart, TrialTell

START = TrialStart(params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)})


@contextlib.contextmanager
def cutting_commits(engine, *, done, times=1):
    """Cut the connection at the next commits: after the server made them (`done`), or before."""
    commit = engine.dialect.do_commit
    left = itertools.count(times, -1)

    def cut(connection):
        if next(left) <= 0:
            commit(connection)
            return
        if done:
            commit(connection)
        else:
            engine.dialect.do_rollback(connection)
        connection.dbapi_connection.close()
        raise psycopg.OperationalError("the connection is lost")

    engine.dialect.do_commit = cut
    try:
        yield
    finally:
        engine.dialect.do_commit = commit
    assert next(left) < 0, "nothing was committed"


def test_a_study_is_made_once(postgres_bench):
    bench = postgres_bench
    for name, done in (("after", True), ("before", False)):
        with cutting_commits(bench.engine, done=done):
            made = bench.database.create_study(
                name=name, spec="{}", digest="d", fingerprint="f", environment={}
            )
        assert bench.database.get_study(name) == made
    assert len(bench.database.list_studies()) == 3


def test_a_lease_is_opened_once(postgres_bench):
    bench = postgres_bench
    for done in (True, False):
        before = bench.database.count_leases(bench.study_id)
        with cutting_commits(bench.engine, done=done, times=2):
            bench.database.open_lease(bench.study_id)
        assert bench.database.count_leases(bench.study_id) == before + 1


def test_trials_are_started_once(postgres_bench):
    bench = postgres_bench
    for done, times in itertools.product((True, False), (1, 3)):
        count = len(bench.trials())
        with cutting_commits(bench.engine, done=done, times=times):
            handles = bench.database.start_trials(
                bench.study_id, bench.lease_id, [START] * 3, budget=99, expected_count=count
            )
        trials = bench.trials()
        assert [handle.number for handle in handles] == [count, count + 1, count + 2]
        assert [handle.trial_id for handle in handles] == [t.trial_id for t in trials[count:]]
        assert len(trials) == count + 3


def test_trials_are_started_within_the_budget_also_when_repeated(postgres_bench):
    bench = postgres_bench
    with cutting_commits(bench.engine, done=True):
        assert len(bench.start(3, budget=3)) == 3
    assert bench.start(1, budget=3) == []


def test_what_was_told_is_accepted_once(postgres_bench):
    bench = postgres_bench
    for done in (True, False):
        complete, paused, going = bench.start(3)
        tells = (
            bench.make_complete(
                complete, 0.25, intermediate={1: 0.5}, weights=(bench.make_checkpoint(),)
            ),
            TrialTell(
                trial_id=paused.trial_id, state="WAITING", checkpoints=(bench.make_checkpoint(),)
            ),
            TrialTell(trial_id=going.trial_id, state=None, intermediate={1: 0.75}, retries=1),
        )
        with cutting_commits(bench.engine, done=done, times=2):
            accepted = bench.tell(*tells, keep_weights=9)
        assert accepted == {complete.trial_id, paused.trial_id, going.trial_id}
        trials = bench.trials()[-3:]
        assert [trial.state for trial in trials] == ["COMPLETE", "WAITING", "RUNNING"]
        assert (trials[0].value, trials[2].intermediate) == (0.25, {1: 0.75})
        assert len(bench.database.read_weights(bench.study_id, complete.number)) == 1
        assert bench.tell(bench.make_complete(complete)) == set()


def test_trials_are_taken_over_once_and_with_their_states(postgres_bench):
    bench = postgres_bench
    paused, running = bench.start(2)
    saved = (bench.make_checkpoint(),)
    bench.tell(TrialTell(trial_id=paused.trial_id, state="WAITING", checkpoints=saved))
    lease_id = bench.lease_id
    for done in (True, False):
        bench.make_lease_dead(lease_id)
        lease_id = bench.database.open_lease(bench.study_id)
        with cutting_commits(bench.engine, done=done):
            taken = bench.database.take_over(bench.study_id, lease_id)
        assert [(r.trial_id, len(states)) for r, states in taken] == [
            (paused.trial_id, 1),
            (running.trial_id, 0),
        ]
        assert bench.database.take_over(bench.study_id, lease_id) == []


def test_other_changes_may_be_made_again(postgres_bench):
    bench = postgres_bench
    for done in (True, False):
        with cutting_commits(bench.engine, done=done):
            bench.database.request_stop(bench.study_id)
        with cutting_commits(bench.engine, done=done):
            assert bench.database.renew_lease(bench.lease_id)
        lease_id = bench.database.open_lease(bench.study_id)
        with cutting_commits(bench.engine, done=done):
            bench.database.close_lease(lease_id)
    assert len(bench.database.list_drivers(bench.study_id)) == 1
    with cutting_commits(bench.engine, done=True):
        bench.database.delete_study("study")
    assert bench.database.list_studies() == []


def drive(database, study_id, budget, pack):
    """Start and tell packs until the budget is spent; return the numbers accepted."""
    lease_id = database.open_lease(study_id)
    told = []
    while handles := database.start_trials(study_id, lease_id, [START] * pack, budget=budget):
        for state in (None, "COMPLETE"):
            tells = [
                TrialTell(
                    trial_id=handle.trial_id,
                    state=state,
                    value=None if state is None else handle.number / 8,
                    outcome=None if state is None else Outcome.COMPLETED,
                    intermediate={1 if state is None else 2: 0.5},
                )
                for handle in handles
            ]
            assert len(database.tell(lease_id, tells, keep_weights=0)) == len(handles)
        told += [handle.number for handle in handles]
    database.close_lease(lease_id)
    return told


def check(bench, told, budget):
    assert sorted(told) == list(range(budget))
    trials = bench.trials()
    assert [trial.number for trial in trials] == list(range(budget))
    for trial in trials:
        assert (trial.state, trial.value) == ("COMPLETE", trial.number / 8)
        assert trial.intermediate == {1: 0.5, 2: 0.5}


@contextlib.contextmanager
def driving(bench, count, budget):
    """Let drivers work on the study, each with connections of its own; then check the study."""
    databases = [Database(bench.url) for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        jobs = [
            pool.submit(drive, database, bench.study_id, budget, pack)
            for pack, database in enumerate(databases, start=3)
        ]
        yield
        told = [number for job in jobs for number in job.result()]
    for database in databases:
        database.close()
    check(bench, told, budget)


def test_drivers_outlive_cut_connections(postgres_bench, postgres_server):
    with driving(postgres_bench, 3, 250):
        cut = 0
        for _ in range(12):
            time.sleep(0.1)
            cut += postgres_server.cut_connections()
    assert cut >= 10


def test_drivers_outlive_a_server_that_is_stopped_and_started(postgres_bench, postgres_server):
    with driving(postgres_bench, 3, 250):
        for how in ("fast", "immediate", "immediate"):
            time.sleep(0.3)
            with postgres_server.stopped(how):
                time.sleep(0.2)


def test_a_server_that_stays_away_is_given_up_and_said_once(
    postgres_bench, postgres_server, caplog
):
    database = Database(postgres_bench.url, reconnect_s=0.5)
    with postgres_server.stopped(), caplog.at_level(logging.WARNING):
        began = time.monotonic()
        with pytest.raises(StorageError, match=r"refused.*Start the server"):
            database.read_trials(postgres_bench.study_id)
        assert 0.4 < time.monotonic() - began < 5
    (record,) = (record for record in caplog.records if record.name == "archloss.storage.access")
    assert "Trying again for up to" in record.message
    assert database.read_trials(postgres_bench.study_id) == []
    database.close()


def test_closing_ends_the_wait_for_a_server(postgres_bench, postgres_server):
    database = Database(postgres_bench.url)
    with postgres_server.stopped(), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(database.read_trials, postgres_bench.study_id)
        time.sleep(0.3)
        assert not waiting.done()
        database.close()
        with pytest.raises(StorageError, match="refused"):
            waiting.result(timeout=10)


def test_a_change_that_another_program_holds_up_is_made_when_it_lets_go(postgres_bench):
    database = Database(postgres_bench.url, busy_timeout_s=0.2)
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with postgres_bench.engine.begin() as connection:
            connection.execute(sa.text("SELECT * FROM studies FOR UPDATE"))
            held.set()
            let_go.wait(10)

    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(hold)
        held.wait(10)
        arguments = (postgres_bench.study_id, postgres_bench.lease_id, [START])
        starting = pool.submit(database.start_trials, *arguments, budget=None)
        time.sleep(0.5)
        assert not starting.done()
        let_go.set()
        holding.result()
        assert [handle.number for handle in starting.result()] == [0]
    database.close()


def test_the_slow_way_outlives_cut_connections_too(
    make_bench, postgres_url, postgres_server, monkeypatch
):
    """By it a repeat may leave trials that wait and nobody runs, but none of ours is lost."""
    monkeypatch.setattr(schema, "KNOWN_REVISION", "another")
    bench = make_bench(postgres_url)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(drive, bench.database, bench.study_id, 24, 3)
        cut = 0
        for _ in range(8):
            time.sleep(0.3)
            cut += postgres_server.cut_connections()
        told = job.result()
    assert cut >= 4
    assert len(set(told)) == len(told) == 24
    finished = {trial.number: trial for trial in bench.trials() if trial.state != "WAITING"}
    assert sorted(told) == sorted(finished)
    for trial in finished.values():
        assert (trial.state, trial.value) == ("COMPLETE", trial.number / 8)
        assert trial.intermediate == {1: 0.5, 2: 0.5}
