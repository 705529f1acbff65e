"""Leases: a driver that lives is let alone, one that was killed is not."""

import os
import subprocess
import sys

from archloss.storage import leases

HOLD = """
import sys
from archloss.storage.database import Database
database = Database(sys.argv[1])
print(database.open_lease(int(sys.argv[2])), flush=True)
sys.stdin.read()
"""


def find_live(bench, *lease_ids):
    with bench.engine.connect() as connection:
        return leases.find_live(connection, set(lease_ids))


def test_a_lease_lives_as_long_as_its_process(quick_bench):
    arguments = [sys.executable, "-c", HOLD, quick_bench.url, str(quick_bench.study_id)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(arguments, **pipes) as holder:
        lease_id = int(holder.stdout.readline())
        assert find_live(quick_bench, lease_id) == {lease_id}
        holder.kill()
        holder.wait()
        assert find_live(quick_bench, lease_id) == set()


def test_a_process_that_nobody_waited_for_is_dead(quick_bench):
    arguments = [sys.executable, "-c", HOLD, quick_bench.url, str(quick_bench.study_id)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(arguments, **pipes) as holder:
        lease_id = int(holder.stdout.readline())
        holder.kill()
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # leaves it a zombie
        assert find_live(quick_bench, lease_id) == set()


def test_a_closed_lease_and_none_at_all_are_dead(quick_bench):
    quick_bench.database.close_lease(quick_bench.lease_id)
    assert find_live(quick_bench, quick_bench.lease_id, None, 99) == set()


def test_lease_ids_are_not_given_out_again(quick_bench):
    quick_bench.database.delete_study("study")
    study = quick_bench.database.create_study(
        name="study", spec="", digest="", fingerprint="", environment={}
    )
    assert quick_bench.database.open_lease(study.study_id) > quick_bench.lease_id
