"""The server that tests and benchmarks start for themselves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
HOLD = """
import sys
sys.path.insert(0, sys.argv[1])
from postgres_server import PostgresServer
with PostgresServer() as server:
    print(server.process.pid, server._folder, flush=True)
    sys.stdin.read()
"""


def test_the_server_listens_on_this_machine_alone(postgres_server):
    sockets = psutil.Process(postgres_server.process.pid).net_connections()
    listening = {s.laddr for s in sockets if s.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", postgres_server.port)}


@pytest.mark.parametrize("how", ["killed", "at its end"])
def test_nothing_of_the_server_outlives_its_parent(how):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, BENCHMARKS], **pipes) as parent:
        pid, folder = parent.stdout.readline().split(maxsplit=1)
        server, folder = psutil.Process(int(pid)), Path(os.fsdecode(folder).strip())
        assert folder.is_dir()
        if how == "killed":
            parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while server.is_running() or folder.exists():
        assert time.monotonic() < until, "the server is still there"
        time.sleep(0.05)
