"""Ray runs functions on this machine and on clusters whose nodes come and go."""

import os
import time

import psutil
import pytest

from archloss.workers.executor import Box, WorkerLostError, WorkerTimeoutError

JOBS = '''
"""Functions that a worker can import."""
import os, time

def fail(text): raise KeyError(text)
def die(_): os._exit(3)
def nap(seconds):
    time.sleep(seconds)
    return os.getpid()
def count_threads(_): return os.environ["OMP_NUM_THREADS"]
def add(number, values):
    return sum(values) + number, [bytes(300_000) + bytes([number]), None]
def read_last(_, values):
    return [None if value is None else value[-1] for value in values], []
def lose_count(_, values):
    return 0, [1, 2, 3]
'''


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "archloss_ray_jobs.py").write_text(JOBS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("HOME", str(folder))  # Ray keeps a token there
        import archloss_ray_jobs

        yield archloss_ray_jobs


@pytest.fixture(scope="module")
def executor(jobs):
    from archloss.workers.cluster import RayExecutor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("archloss.workers.cluster.WATCH_EVERY_S", 0.2)
        made = RayExecutor(timeout_s=3.0)
        yield made
        made.close()
        made.close()  # twice is harmless
        with pytest.raises(RuntimeError, match="closed"):
            made.submit(jobs.nap, 0)


def list_listening(process):
    found = []
    for one in process.children(recursive=True):
        try:
            sockets = one.net_connections(kind="inet")
        except psutil.NoSuchProcess:
            continue
        found += [s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN]
    return found


def test_a_ray_of_our_own_listens_on_this_machine_alone(executor):
    addresses = {address.removeprefix("::ffff:") for address in list_listening(psutil.Process())}
    assert addresses == {"127.0.0.1"}


def test_submit_runs_on_as_many_workers_as_there_are_cores(executor, jobs):
    assert executor.kinds == {"cpu": executor.slots}
    answers = [executor.submit(jobs.nap, 0.2) for _ in range(3 * executor.slots)]
    assert len({answer.result(30) for answer in answers}) == executor.slots
    assert executor.submit(jobs.count_threads, None).result(30) == "1"


def test_submit_gives_back_what_the_function_raises(executor, jobs):
    with pytest.raises(KeyError, match="no good") as caught:
        executor.submit(jobs.fail, "no good").result(30)
    assert type(caught.value) is KeyError
    assert "in fail" in caught.value.__notes__[0]


def test_a_worker_that_dies_is_replaced(executor, jobs):
    slots = executor.slots
    with pytest.raises(WorkerLostError) as caught:
        executor.submit(jobs.die, None).result(60)
    assert not caught.value.blameless
    answers = [executor.submit(jobs.nap, 0.1) for _ in range(4)]
    assert [answer.result(60) for answer in answers]
    wait_for(lambda: executor.slots == slots)


def test_a_worker_that_hangs_is_given_up(executor, jobs):
    started = time.monotonic()
    with pytest.raises(WorkerTimeoutError, match="longer than 3 s"):
        executor.submit(jobs.nap, 60).result(60)
    assert time.monotonic() - started < 30


def test_values_stay_with_ray_and_are_handed_on(executor, jobs):
    first = executor.submit_holding(jobs.add, 7, [None, None], count=2)
    with pytest.raises(TypeError):
        first.result(30)  # the values of None are None: nothing to add
    total, (held, nothing) = executor.submit_holding(jobs.add, 7, [Box(3)], count=2).result(30)
    assert (total, nothing) == (10, None)
    again = executor.submit_holding(jobs.read_last, None, [held, None, Box(b"\x05")], count=0)
    assert again.result(30) == ([7, None, 5], ())
    held.back_up()
    assert held.fetch()[-1] == 7
    with pytest.raises(ValueError, match="must give 2 values to hold, but gave 3"):
        executor.submit_holding(jobs.lose_count, None, [], count=2).result(30)


def wait_for(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.1)
