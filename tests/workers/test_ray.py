"""What is true of the executor on a cluster, beyond the contract, while all machines live."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

import archloss
from archloss.workers.cluster import ClusterError, RayExecutor
from archloss.workers.executor import HeldLostError, WorkerLostError, WorkerTimeoutError

ROOT = str(pathlib.Path(archloss.__file__).parents[1])


@pytest.fixture(scope="module")
def lasting(ray_here, jobs):
    """One worker, for tests that leave the executor open."""
    made = RayExecutor(workers=1, cpus_per_worker=0.25, timeout_s=3)
    yield made
    made.close(now=True)


@pytest.fixture
def single(ray_here, jobs):
    made = RayExecutor(workers=1, cpus_per_worker=0.25)
    yield made
    made.close(now=True)


def test_ray_names_the_line_in_the_worker(lasting, jobs):
    error = lasting.submit(jobs.fail, "gone").exception(30)
    assert "archloss_test_jobs.py" in "".join(error.__notes__)


def test_ray_exception_that_does_not_pickle_still_tells_its_name(lasting, jobs):
    with pytest.raises(RuntimeError, match="Awkward: awkward"):
        lasting.submit(jobs.fail_awkwardly, 0).result(30)


def test_ray_exit_in_a_function_is_an_error_and_no_exit(lasting, jobs):
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        lasting.submit(jobs.leave, 0).result(30)


def test_ray_value_that_does_not_pickle_is_an_error_of_its_call(lasting, jobs):
    with pytest.raises(TypeError, match="does not travel"):
        lasting.submit_holding(jobs.give_stubborn, 0, [], count=1).result(30)


def test_ray_refuses_a_function_of_main(lasting, monkeypatch):
    def lost(_: int) -> int:
        return 0

    monkeypatch.setattr(lost, "__module__", "__main__")
    with pytest.raises(ValueError, match="__main__"):
        lasting.submit(lost, 0)


def test_ray_workers_have_one_thread_and_see_no_gpu_unasked(lasting, jobs):
    assert lasting.submit(jobs.get_variable, "OMP_NUM_THREADS").result(30) == "1"
    assert lasting.submit(jobs.get_variable, "CUDA_VISIBLE_DEVICES").result(30) == ""
    assert lasting.kinds == {"cpu": 1}


def test_ray_worker_that_is_killed_loses_its_job_alone(lasting, jobs):
    before = lasting.submit(jobs.get_pid, 0).result(30)
    error = lasting.submit(jobs.die, 0).exception(30)
    assert type(error) is WorkerLostError
    assert not error.blameless
    place = rf"the worker on \S+ \(process {before}, cpu\) ended before it answered: The actor"
    assert re.match(place, str(error))
    assert lasting.submit(jobs.get_pid, 0).result(30) != before


def test_ray_worker_killed_between_jobs_loses_nothing(lasting, jobs, wait_until_gone):
    pid = lasting.submit(jobs.get_pid, 0).result(30)
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
    assert lasting.submit(jobs.square, 5).result(30) == 25


def test_ray_kills_what_runs_too_long_and_goes_on(lasting, jobs, wait_until_gone):
    before = lasting.submit(jobs.get_pid, 0).result(30)
    with pytest.raises(WorkerTimeoutError, match="longer than 3 s"):
        lasting.submit(jobs.nap, 60).result(30)
    wait_until_gone(before)
    assert lasting.submit(jobs.square, 3).result(30) == 9


def test_ray_close_now_kills_what_runs_and_cancels_what_waits(
    single, jobs, tmp_path, read_pid, wait_until_gone
):
    mark = tmp_path / "started"
    running = single.submit(jobs.touch_then_nap, str(mark))
    waiting = single.submit(jobs.square, 2)
    pid = read_pid(mark)
    single.close(now=True)
    assert isinstance(running.exception(30), WorkerLostError)
    assert waiting.cancelled()
    wait_until_gone(pid)


def test_ray_close_waits_for_what_was_submitted(single, jobs):
    futures = [single.submit(jobs.square, number) for number in range(5)]
    held = single.submit_holding(jobs.start, 3, [], count=2)
    single.close()
    assert [future.result(0) for future in futures] == [0, 1, 4, 9, 16]
    _, (array, _) = held.result(0)
    with pytest.raises(HeldLostError, match="was closed"):
        array.fetch()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "at least 1, but got 0"),
        ({"timeout_s": 0}, "above 0, but got 0"),
        ({"cpus_per_worker": -1}, "but got -1 and 0"),
        ({"cpus_per_worker": 0}, "but got 0 and 0"),
        ({"gpus_per_worker": 1.5}, "whole number where above 1, but got 1.5"),
    ],
)
def test_ray_refuses_what_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        RayExecutor(**options)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://10.0.0.1:8265", "must be 'auto', 'host:port' or 'ray://host:port', but got 'http"),
        ("somewhere", "but got 'somewhere'; `ray start --head` prints it"),
    ],
)
def test_ray_refuses_an_address_it_cannot_use(address, message):
    with pytest.raises(ClusterError, match=message):
        RayExecutor(address=address)


def test_ray_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"pip install 'archloss\[ray\]'"):
        RayExecutor()


ALONE = """
import contextlib, os, pathlib, signal, sys
import psutil
if sys.argv[2] == "hang":
    import ray  # somebody else has needed it before
sys.path.insert(0, sys.argv[3])
import archloss_test_jobs as jobs
from archloss.workers.cluster import ClusterError, RayExecutor

before = signal.getsignal(signal.SIGTERM)
executor = RayExecutor(workers=1)
family = psutil.Process().children(recursive=True)
hosts = set()
for process in family:
    with contextlib.suppress(psutil.NoSuchProcess):  # Ray's short helpers come and go
        sockets = process.net_connections()
        hosts |= {s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN}
assert hosts and hosts <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, hosts
assert signal.getsignal(signal.SIGTERM) is before
future = executor.submit(jobs.square, 3)
assert future.result(60) == 9
pathlib.Path(sys.argv[1]).write_text(str(executor.submit(jobs.get_pid, 0).result(60)))
if sys.argv[2] == "close":
    assert "RAY_AUTH_MODE" not in os.environ
    assert not pathlib.Path.home().joinpath(".ray").exists()
    executor.close()
    assert psutil.wait_procs(family, timeout=30)[1] == []
    assert not list(pathlib.Path(os.environ["TMPDIR"]).iterdir())
    os.environ["RAY_ADDRESS"] = "127.0.0.1:9"
    for address, place in [
        ("127.0.0.1:10", "127.0.0.1:10"),
        ("ray://127.0.0.1:10", "ray://127.0.0.1:10"),
        ("auto", "127.0.0.1:9"),
    ]:
        try:
            RayExecutor(address=address)
        except ClusterError as error:
            assert f"no cluster can be reached at '{place}'" in str(error), error
        else:
            raise AssertionError(address)
else:
    executor.submit(jobs.nap, 600).result()
"""


SHIPPED = """
import sys
from archloss.workers.cluster import RayExecutor
import archloss, archloss_test_jobs as jobs

executor = RayExecutor(address=sys.argv[1], workers=1, cpus_per_worker=0.25)
theirs, version, folders = executor.submit(jobs.find_archloss, 0).result(60)
_, (held, _) = executor.submit_holding(jobs.start, 100_000, [], count=2).result(60)
held.back_up()
assert executor.submit_holding(jobs.add, 1, [held, None], count=1).result(60)[0] == 4_999_950_000
assert held.fetch().size == 100_000
assert version == archloss.__version__, version
assert theirs != archloss.__file__, theirs
assert {"search", "spaces", "storage", "workers"} <= set(folders), folders
executor.close()
"""


UNSHIPPED = """
import sys
from archloss.workers.cluster import run_on_every_node
import archloss_test_jobs as jobs

(error,) = set(map(repr, run_on_every_node(jobs.load_executor, address=sys.argv[1]).values()))
assert "ModuleNotFoundError" in error, error
"""


def start_alone(jobs, tmp_path_factory, ending):
    """Run a driver with a Ray of its own; return it, and the file for its processes."""
    folder = tmp_path_factory.mktemp("alone")
    temp = folder / "t"
    temp.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.Popen(
        [sys.executable, "-c", ALONE, str(folder / "mark"), ending, os.path.dirname(jobs.__file__)],
        env={**env, "HOME": str(folder), "TMPDIR": str(temp), "PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
    ), folder / "mark"


def test_ray_of_its_own_listens_to_nobody_else_and_leaves_nothing(jobs, tmp_path_factory):
    driver, _ = start_alone(jobs, tmp_path_factory, "close")
    output, _ = driver.communicate(timeout=120)
    assert (driver.returncode, output) == (0, b"")


def test_ray_workers_die_with_a_killed_driver(jobs, tmp_path_factory, read_pid, wait_until_gone):
    driver, mark = start_alone(jobs, tmp_path_factory, "hang")
    pid = read_pid(mark)
    driver.kill()
    driver.communicate(timeout=30)
    wait_until_gone(pid)


def run_driver(program, address, jobs, folder, timeout_s):
    """Return the exit status of a driver outside the cluster, and what it said."""
    path = os.pathsep.join([os.path.dirname(jobs.__file__), ROOT])
    driver = subprocess.Popen(
        [sys.executable, "-c", program, address],
        env={**os.environ, "PYTHONPATH": path, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    try:
        said = driver.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        driver.kill()
        said = driver.communicate()
    return driver.returncode, *said


def test_ray_gets_the_drivers_code_where_it_has_another(machines, jobs, tmp_path):
    assert run_driver(SHIPPED, machines.address, jobs, tmp_path, 120) == (0, "", "")


def test_ray_gets_no_code_for_what_runs_on_every_node(machines, jobs, tmp_path):
    assert run_driver(UNSHIPPED, machines.address, jobs, tmp_path, 120) == (0, "", "")


def test_rays_client_gets_the_drivers_code_where_the_cluster_has_another(machines, jobs, tmp_path):
    for _ in range(3):  # its server may give up, or never answer, where a machine is very busy
        ended = run_driver(SHIPPED, machines.client_address, jobs, tmp_path, 90)
        if ended[0] == 0:
            break
    assert ended == (0, "", "")
