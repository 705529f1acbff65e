"""What is true of the executors of one machine, beyond the contract."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import pytest

from archloss.workers.executor import WorkerLostError, WorkerTimeoutError
from archloss.workers.inline import InlineExecutor
from archloss.workers.local import LocalExecutor


@pytest.fixture
def local(jobs):
    made = LocalExecutor(1)
    yield made
    made.close(now=True)


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


def test_local_worker_killed_between_jobs_loses_nothing(local, jobs, wait_until_gone):
    pid = local.submit(jobs.get_pid, 0).result(30)
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
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


def test_local_close_now_kills_what_runs_and_cancels_what_waits(
    local, jobs, tmp_path, read_pid, wait_until_gone
):
    mark = tmp_path / "started"
    running = local.submit(jobs.touch_then_nap, str(mark))
    waiting = local.submit(jobs.square, 2)
    pid = read_pid(mark)
    local.close(now=True)
    assert isinstance(running.exception(30), WorkerLostError)
    assert waiting.cancelled()
    wait_until_gone(pid)


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


def test_local_kills_what_runs_too_long_and_goes_on(jobs, wait_until_gone):
    executor = LocalExecutor(1, timeout_s=3)
    try:
        before = executor.submit(jobs.get_pid, 0).result(30)
        with pytest.raises(WorkerTimeoutError, match="longer than 3 s") as caught:
            executor.submit(jobs.nap, 60).result(30)
        assert not caught.value.blameless
        wait_until_gone(before)
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


def test_local_workers_die_with_a_killed_driver(jobs, tmp_path, read_pid, wait_until_gone):
    driver = _start_driver(jobs, tmp_path / "mark", "future.result()")
    pid = read_pid(tmp_path / "mark")
    driver.kill()
    driver.wait(30)
    wait_until_gone(pid)


def test_local_does_not_keep_the_interpreter_from_exiting(
    jobs, tmp_path, read_pid, wait_until_gone
):
    driver = _start_driver(
        jobs,
        tmp_path / "mark",
        "import os, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)",
    )
    pid = read_pid(tmp_path / "mark")
    assert driver.wait(30) == 0
    wait_until_gone(pid)
