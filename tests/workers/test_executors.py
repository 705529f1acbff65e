"""One contract, kept by every executor; then what is true of the local one alone."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from archloss.spaces.errors import DataError
from archloss.workers.executor import Executor, WorkerLostError, WorkerTimeoutError
from archloss.workers.inline import InlineExecutor
from archloss.workers.local import LocalExecutor

JOBS = '''
"""Functions that a worker can import."""
import os, signal, subprocess, sys, time
import numpy as np
from archloss.spaces.errors import DataError

class Awkward(Exception):
    def __init__(self, one, two):
        super().__init__("awkward")

def square(x): return x * x
def double(array): return array * 2
def fail(text): raise DataError(text)
def fail_awkwardly(_): raise Awkward(1, 2)
def leave(_): sys.exit(3)
def die(_): os.kill(os.getpid(), signal.SIGKILL)
def get_pid(_): return os.getpid()
def get_variable(name): return os.environ.get(name)
def chat(_):
    print("to nobody")
    os.write(1, b"straight to the descriptor")
    return sys.stdin.read()
def nap(seconds):
    time.sleep(seconds)
    return os.getpid()
def interrupt(_):
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"
def start(size, _): return size, [np.arange(size), None]
def add(number, values):
    array, nothing = values
    assert nothing is None
    return int(array.sum()), [array + number]
def fail_holding(text, values): raise DataError(text)
def give_one(_, values): return 0, [1]
class Stubborn:
    def __reduce__(self): raise TypeError("does not travel")
def give_stubborn(_, values): return 0, [Stubborn()]
def touch_then_nap(path):
    open(path, "w").write(str(os.getpid()))
    time.sleep(60)
'''


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "archloss_test_jobs.py").write_text(JOBS)
    sys.path.insert(0, str(folder))
    import archloss_test_jobs

    yield archloss_test_jobs
    sys.path.remove(str(folder))


@pytest.fixture(params=["inline", "local"])
def executor(request, jobs):
    made: Executor = InlineExecutor() if request.param == "inline" else LocalExecutor(2)
    yield made
    made.close(now=True)


@pytest.fixture
def local(jobs):
    made = LocalExecutor(1)
    yield made
    made.close(now=True)


def test_submit_returns_each_result_to_its_future(executor, jobs):
    futures = [executor.submit(jobs.square, number) for number in range(20)]
    assert [future.result(30) for future in futures] == [number**2 for number in range(20)]


def test_submit_keeps_arrays_bit_for_bit(executor, jobs):
    array = np.random.default_rng(0).normal(size=(300, 1000))
    np.testing.assert_array_equal(executor.submit(jobs.double, array).result(30), array * 2)


def test_submit_gives_the_exception_to_the_future(executor, jobs):
    future = executor.submit(jobs.fail, "no such column")
    with pytest.raises(DataError, match="no such column"):
        future.result(30)
    assert executor.submit(jobs.square, 3).result(30) == 9


def test_submit_after_close_is_refused(executor, jobs):
    executor.close()
    with pytest.raises(RuntimeError, match="closed"):
        executor.submit(jobs.square, 1)


def test_close_twice_is_harmless(executor):
    executor.close()
    executor.close(now=True)


def test_slots_is_at_least_one(executor):
    assert executor.slots >= 1


def test_kinds_sum_up_to_slots(executor):
    assert sum(executor.kinds.values()) == executor.slots


def test_submit_runs_on_the_kind_that_is_asked_for(executor, jobs):
    (kind,) = executor.kinds
    assert executor.submit(jobs.square, 3, kind=kind).result(30) == 9
    future = executor.submit_holding(jobs.start, 3, [], count=2, kind=kind)
    assert future.result(30)[0] == 3


def test_submit_refuses_a_kind_that_never_was(executor, jobs):
    with pytest.raises(ValueError, match="'abacus'"):
        executor.submit(jobs.square, 3, kind="abacus")
    with pytest.raises(ValueError, match="'abacus'"):
        executor.submit_holding(jobs.start, 3, [], count=2, kind="abacus")


def test_held_values_go_from_call_to_call(executor, jobs):
    size, held = executor.submit_holding(jobs.start, 1000, [], count=2).result(30)
    assert size == 1000
    assert held[1] is None
    total, more = executor.submit_holding(jobs.add, 7, held, count=1).result(30)
    assert total == sum(range(1000))
    np.testing.assert_array_equal(more[0].fetch(), np.arange(1000) + 7)


def test_held_values_serve_more_than_once(executor, jobs):
    _, held = executor.submit_holding(jobs.start, 10, [], count=2).result(30)
    futures = [executor.submit_holding(jobs.add, number, held, count=1) for number in range(4)]
    for number, future in enumerate(futures):
        _, (changed,) = future.result(30)
        np.testing.assert_array_equal(changed.fetch(), np.arange(10) + number)
    np.testing.assert_array_equal(held[0].fetch(), np.arange(10))


def test_held_values_of_another_executor_are_taken(executor, jobs):
    _, held = InlineExecutor().submit_holding(jobs.start, 10, [], count=2).result(30)
    assert executor.submit_holding(jobs.add, 1, held, count=1).result(30)[0] == 45


def test_submit_holding_gives_the_exception_to_the_future(executor, jobs):
    future = executor.submit_holding(jobs.fail_holding, "no such column", [], count=3)
    with pytest.raises(DataError, match="no such column"):
        future.result(30)


def test_submit_holding_wants_as_many_values_as_promised(executor, jobs):
    future = executor.submit_holding(jobs.give_one, 0, [], count=2)
    with pytest.raises(ValueError, match="give_one must give 2 values to hold, but gave 1"):
        future.result(30)


def test_submit_holding_after_close_is_refused(executor, jobs):
    executor.close()
    with pytest.raises(RuntimeError, match="closed"):
        executor.submit_holding(jobs.start, 1, [], count=2)


def test_inline_leaves_a_keyboard_interrupt_to_the_caller():
    def interrupt(_: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        InlineExecutor().submit(interrupt, 0)


def test_local_names_the_line_in_the_worker(local, jobs):
    error = local.submit(jobs.fail, "gone").exception(30)
    assert "archloss_test_jobs.py" in "".join(error.__notes__)


def test_local_exception_that_does_not_pickle_still_tells_its_name(local, jobs):
    with pytest.raises(RuntimeError, match="Awkward: awkward"):
        local.submit(jobs.fail_awkwardly, 0).result(30)


def test_local_exit_in_a_function_is_an_error_and_no_exit(local, jobs):
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        local.submit(jobs.leave, 0).result(30)


def test_local_output_of_a_function_does_not_disturb_the_answers(local, jobs):
    assert local.submit(jobs.chat, 0).result(30) == ""


def test_local_worker_that_is_killed_loses_its_job_alone(local, jobs):
    before = local.submit(jobs.get_pid, 0).result(30)
    with pytest.raises(WorkerLostError, match=f"{before} ended with code -9"):
        local.submit(jobs.die, 0).result(30)
    after = local.submit(jobs.get_pid, 0).result(30)
    assert after != before


def test_local_worker_killed_between_jobs_loses_nothing(local, jobs):
    pid = local.submit(jobs.get_pid, 0).result(30)
    os.kill(pid, signal.SIGKILL)
    _wait_until_gone(pid)
    assert local.submit(jobs.square, 5).result(30) == 25


def test_local_gives_each_slot_its_environment_and_one_thread(jobs):
    executor = LocalExecutor(2, environments=[{"MY_SLOT": "a"}, {"MY_SLOT": "b"}])
    try:
        naps = [executor.submit(jobs.nap, 0.5) for _ in range(2)]
        assert len({nap.result(30) for nap in naps}) == 2
        assert executor.submit(jobs.get_variable, "OMP_NUM_THREADS").result(30) == "1"
        seen = {executor.submit(jobs.get_variable, "MY_SLOT").result(30) for _ in range(4)}
        assert seen <= {"a", "b"}
    finally:
        executor.close()


def test_local_worker_ignores_an_interrupt(local, jobs):
    assert local.submit(jobs.interrupt, 0).result(30) == "still here"


def test_local_close_now_kills_what_runs_and_cancels_what_waits(local, jobs, tmp_path):
    mark = tmp_path / "started"
    running = local.submit(jobs.touch_then_nap, str(mark))
    waiting = local.submit(jobs.square, 2)
    pid = _read_pid(mark)
    local.close(now=True)
    assert isinstance(running.exception(30), WorkerLostError)
    assert waiting.cancelled()
    _wait_until_gone(pid)


def test_local_close_waits_for_what_was_submitted(jobs):
    executor = LocalExecutor(1)
    futures = [executor.submit(jobs.square, number) for number in range(5)]
    executor.close()
    assert [future.result(0) for future in futures] == [0, 1, 4, 9, 16]


def test_local_refuses_a_function_of_main(local, monkeypatch):
    def lost(_: int) -> int:
        return 0

    monkeypatch.setattr(lost, "__module__", "__main__")
    with pytest.raises(ValueError, match="__main__"):
        local.submit(lost, 0)


def test_local_with_no_process_is_refused():
    with pytest.raises(ValueError, match="at least 1, but got 0"):
        LocalExecutor(0)


def test_local_kills_what_runs_too_long_and_goes_on(jobs):
    executor = LocalExecutor(1, timeout_s=5)
    try:
        before = executor.submit(jobs.get_pid, 0).result(30)
        with pytest.raises(WorkerTimeoutError, match="longer than 5 s") as caught:
            executor.submit(jobs.nap, 60).result(30)
        assert not caught.value.blameless
        _wait_until_gone(before)
        assert executor.submit(jobs.square, 3).result(30) == 9
    finally:
        executor.close()


def test_local_death_within_the_time_is_no_timeout(jobs):
    executor = LocalExecutor(1, timeout_s=30)
    try:
        error = executor.submit(jobs.die, 0).exception(30)
        assert type(error) is WorkerLostError
    finally:
        executor.close()


@pytest.mark.parametrize("timeout_s", [0, -1.5])
def test_local_with_no_time_at_all_is_refused(timeout_s):
    with pytest.raises(ValueError, match=f"above 0, but got {timeout_s}"):
        LocalExecutor(1, timeout_s=timeout_s)


def test_local_value_that_does_not_pickle_is_an_error_of_its_call(local, jobs):
    with pytest.raises(TypeError, match="does not travel"):
        local.submit_holding(jobs.give_stubborn, 0, [], count=1).result(30)
    assert local.submit(jobs.square, 3).result(30) == 9


DRIVER = """
import sys
import archloss_test_jobs as jobs
from archloss.workers.local import LocalExecutor
executor = LocalExecutor(1)                     # no main guard, on purpose
future = executor.submit(jobs.touch_then_nap, sys.argv[1])
"""


def _start_driver(jobs, mark: pathlib.Path, ending: str) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join(
        [str(pathlib.Path(jobs.__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER + textwrap.dedent(ending), str(mark)],
        env={**os.environ, "PYTHONPATH": path},
    )


def test_local_workers_die_with_a_killed_driver(jobs, tmp_path):
    driver = _start_driver(jobs, tmp_path / "mark", "future.result()")
    pid = _read_pid(tmp_path / "mark")
    driver.kill()
    driver.wait(30)
    _wait_until_gone(pid)


def test_local_does_not_keep_the_interpreter_from_exiting(jobs, tmp_path):
    driver = _start_driver(
        jobs,
        tmp_path / "mark",
        "import os, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)",
    )
    pid = _read_pid(tmp_path / "mark")
    assert driver.wait(30) == 0
    _wait_until_gone(pid)


def _read_pid(mark: pathlib.Path) -> int:
    for _ in range(3000):
        if mark.exists() and (text := mark.read_text()):
            return int(text)
        time.sleep(0.01)
    raise AssertionError("the worker never started")


def _wait_until_gone(pid: int) -> None:
    for _ in range(3000):
        try:
            os.kill(pid, 0)
            process = pathlib.Path(f"/proc/{pid}")
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
            # A zombie whose other threads still die cannot be waited for yet.
            if state == "Z" and len(list((process / "task").iterdir())) == 1:
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} is still alive")
