"""`archloss dashboard`: it serves, it ends, and it says what is wrong."""

import contextlib
import importlib.util
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import webbrowser
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from archloss.search.cli import dashboard
from archloss.search.cli.app import app
from archloss.search.dashboard import publishing, serving
from archloss.storage.errors import StorageError


def run(*arguments):
    runner = CliRunner(env={"COLUMNS": "100", "TERM": "dumb"})
    return runner.invoke(app, ["dashboard", *map(str, arguments)])


@contextlib.contextmanager
def take_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


HEARING_CTRL_C = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from archloss.search.cli import main
main()
"""


@contextlib.contextmanager
def serve(*arguments):
    """Start the command; give its process and the address that it prints.

    It hears Ctrl-C also where the tests run in the background, and do not.
    """
    command = [sys.executable, "-c", HEARING_CTRL_C, "dashboard", *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def fetch(url, method="GET"):
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read().decode()


@pytest.fixture
def stored(bench):
    bench.run(bench.make_spec(trials=4))
    return bench


def test_it_shows_a_study_until_ctrl_c(stored):
    with serve("study", "--folder", stored.folder) as (process, url):
        base, _, page = url.partition("/dashboard/")
        assert page == "studies/1"
        assert "<title>Optuna Dashboard</title>" in fetch(url)
        detail = json.loads(fetch(f"{base}/api/studies/1?after=0"))
        assert len(detail["trials"]) == 4
        assert detail["note"]["body"].startswith("**There is no answer yet:**")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            fetch(f"{base}/api/studies/1", "DELETE")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "read-only without --write" in said
    assert "refused: this dashboard is read-only" in said
    assert f"{url}/note" in said
    assert "Traceback" not in said
    assert stored.states() == {"COMPLETE": 4}


def test_without_a_study_it_shows_all_of_them_where_a_port_is_free(stored, monkeypatch):
    asked = []
    server = SimpleNamespace(effective_port=4711)
    monkeypatch.setattr(serving, "open_server", lambda _, port: asked.append(port) or server)
    monkeypatch.setattr(serving, "serve", asked.append)
    result = run("--folder", stored.folder)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "http://127.0.0.1:4711/dashboard\n"
    assert asked == [None, server]
    assert "/note" not in result.stderr


def test_the_usual_port_in_use_leads_to_another(monkeypatch):
    with take_port() as port:
        monkeypatch.setattr(serving, "DEFAULT_PORT", port)
        server = serving.open_server(lambda *_: [], None)
        assert server.effective_port not in (0, port)
        assert server.effective_host == "127.0.0.1"
        server.close()


def test_a_port_that_was_asked_for_and_is_in_use_is_refused(stored):
    with take_port() as port:
        result = run("study", "--folder", stored.folder, "--port", port)
    check_refusal(result, f"--port must be one that is free, but {port} is in use: choose another")


def test_bad_names_and_places_are_refused(stored, tmp_path):
    result = run("studdy", "--folder", stored.folder)
    check_refusal(result, "there is no study 'studdy'; did you mean 'study'?")
    check_refusal(run("--folder", tmp_path / "nowhere"), "there are no studies yet")
    check_refusal(run("study", "--port", 0, "--folder", stored.folder), "--port")
    stored.database.delete_study("study")
    check_refusal(run("--folder", stored.folder), "the database holds no study yet")


@pytest.mark.parametrize("missing", ["waitress", "optuna_dashboard"])
def test_without_the_extra_it_says_what_to_install(missing, stored, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == missing else find(name)
    )
    said = f"the dashboard needs {missing}, which archloss does not bring by itself"
    result = run("study", "--folder", stored.folder)
    check_refusal(result, said)
    assert "pip install 'archloss[dashboard]'" in result.stderr


def test_a_note_that_cannot_be_written_does_not_keep_the_page_away(stored, monkeypatch):
    def fail(*_):
        raise StorageError("the disk is full")

    monkeypatch.setattr(publishing, "publish", fail)
    server = SimpleNamespace(effective_port=4711)
    monkeypatch.setattr(serving, "open_server", lambda *_: server)
    monkeypatch.setattr(serving, "serve", lambda _: None)
    result = run("study", "--folder", stored.folder)
    assert result.exit_code == 0
    assert "could not be brought up to date: the disk is full" in result.stderr


@pytest.mark.parametrize(("display", "works"), [("", True), (":0", False), (":0", True)])
def test_a_browser_is_opened_where_there_is_one(display, works, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or works)
    dashboard._open_page("http://127.0.0.1/")
    assert opened == (["http://127.0.0.1/"] if display else [])
    said = capsys.readouterr().err
    assert ("no web browser was found here" in said) == (not (display and works))


def check_refusal(result, said):
    words = " ".join(result.stderr.replace("│", " ").split())
    assert result.exit_code == 2, words
    assert said in words
    assert "Traceback" not in words
    assert result.stdout == ""
