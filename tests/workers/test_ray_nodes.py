"""A cluster whose machines come, go and die."""

import time

import numpy as np
import pytest

from archloss.search.doctor.cluster import check_cluster
from archloss.workers.cluster import ClusterError, RayExecutor, run_on_every_node
from archloss.workers.executor import HeldLostError, WorkerLostError
from archloss.workers.inspection import inspect_machine

KIND = "Abacus 9"


@pytest.fixture(scope="module")
def first(machines, ray_here):
    """A machine with two GPUs."""
    return machines.add(cpus=4, gpus=2)


@pytest.fixture(scope="module")
def executor(first):
    """Two workers on each GPU there is."""
    made = RayExecutor(gpus_per_worker=0.5)
    yield made
    made.close(now=True)


def wait_until(holds):
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it never came about")


def test_workers_share_the_gpus_of_each_machine(executor, jobs):
    wait_until(lambda: executor.slots == 4)
    assert executor.kinds == {KIND: 4}
    futures = [executor.submit(jobs.get_gpu, 0.5) for _ in range(4)]
    assert sorted(future.result(30) for future in futures) == ["0", "0", "1", "1"]


def test_every_node_is_asked(first, jobs):
    places = run_on_every_node(jobs.get_place, address=None)
    assert len(places) == 2
    assert len(set(places.values())) == 2
    failures = run_on_every_node(jobs.fail_alone, address=None)
    assert [str(error) for error in failures.values()] == ["no such column"] * 2
    late = run_on_every_node(jobs.oversleep, address=None, timeout_s=1)
    assert {type(error) for error in late.values()} == {TimeoutError}


def test_the_doctor_looks_at_every_node(first):
    cluster, *nodes = check_cluster(None, inspect_machine())
    assert cluster.message.endswith(": 2 nodes")
    assert len({finding.area for finding in nodes}) == len(nodes) == 2
    # GPUs in Ray's books alone
    assert [(one.level, one.message) for one in nodes if "Abacus 9" not in one.message] == []
    assert {finding.level for finding in nodes} == {"warning"}


def test_machines_come_and_go(executor, machines, first, jobs, tmp_path):
    """One test, for what happens to a machine happens once."""
    wait_until(lambda: executor.slots == 4)
    _, (kept, _) = executor.submit_holding(jobs.start, 1_000_000, [], count=2).result(60)
    _, (copied, _) = executor.submit_holding(jobs.start, 1_000_000, [], count=2).result(60)
    copied.back_up()
    _, (small, _) = executor.submit_holding(jobs.start, 10, [], count=2).result(60)
    running = [executor.submit(jobs.touch_then_nap, str(tmp_path / f"{n}")) for n in range(4)]
    wait_until(lambda: len(list(tmp_path.iterdir())) == 4)

    second = machines.add(cpus=4, gpus=2)
    wait_until(lambda: executor.slots == 8)
    _, (other, _) = executor.submit_holding(jobs.start, 1_000_001, [], count=2).result(60)

    machines.kill(first)
    started = time.monotonic()
    lost = [future.exception(60) for future in running]
    assert time.monotonic() - started < 15
    assert [(type(error), error.blameless) for error in lost] == [(WorkerLostError, True)] * 4
    wait_until(lambda: executor.kinds == {KIND: 4})

    with pytest.raises(HeldLostError, match="gone"):
        kept.fetch()
    with pytest.raises(HeldLostError, match="gone"):
        executor.submit_holding(jobs.add, 1, [kept, None], count=1).result(60)
    np.testing.assert_array_equal(copied.fetch(), np.arange(1_000_000))
    np.testing.assert_array_equal(other.fetch(), np.arange(1_000_001))
    assert executor.submit_holding(jobs.add, 1, [small, None], count=1).result(60)[0] == 45

    machines.kill(second)
    wait_until(lambda: executor.slots == 0)
    waiting = executor.submit(jobs.square, 3)
    pinned = executor.submit(jobs.square, 3, kind=KIND).exception(30)
    assert isinstance(pinned, WorkerLostError)
    assert pinned.blameless
    assert not waiting.done()
    third = machines.add(cpus=1, gpus=1)
    assert waiting.result(60) == 9
    assert executor.kinds == {KIND: 1}
    machines.kill(third)


def test_too_little_room_is_told(ray_here):
    with pytest.raises(ClusterError, match=r"each needs 1 CPUs and 99 GPUs, and there is .* with"):
        RayExecutor(gpus_per_worker=99, start_timeout_s=2)
