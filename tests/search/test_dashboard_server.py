"""What stands before the dashboard: who may ask, who may write, and what is kept."""

import gzip
import io
import json
import os
import signal
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from wsgiref.util import setup_testing_defaults

import pytest

from archloss.search.dashboard import answers, serving
from archloss.search.dashboard.answers import Answers
from archloss.search.dashboard.guard import Guard

PAGE = json.dumps({"trials": ["x"] * 1000}).encode()


def ask(application, method="GET", path="/api/studies/1", **headers):
    """Return status, headers and body of a request; headers are named as WSGI names them."""
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_HOST": "127.0.0.1:8080"}
    environ |= {f"HTTP_{name}": value for name, value in headers.items()}
    setup_testing_defaults(environ)
    environ["wsgi.input"] = io.BytesIO()
    begun = []
    body = b"".join(
        application(environ, lambda status, headers, *_: begun.append((status, headers)))
    )
    ((status, found),) = begun
    return int(status[:3]), dict(found), body


def make_guard(application, *, may_write, tell=lambda _: None):
    return Guard(application, may_write=may_write, tell=tell)


class Page:
    """An application that counts who gets through."""

    def __init__(self):
        self.asked = 0

    def __call__(self, environ, start_response):
        self.asked += 1
        start_response("200 OK", [("Content-Length", str(len(PAGE)))])
        return [PAGE]


def test_requests_need_not_say_which_encodings_they_take():
    def page(environ, start_response):
        start_response("200 OK", [])
        return [environ["HTTP_ACCEPT_ENCODING"].encode()]

    assert ask(make_guard(page, may_write=False), "GET", HOST="localhost")[2] == b""
    guard = make_guard(page, may_write=False)
    assert ask(guard, "GET", HOST="localhost", ACCEPT_ENCODING="gzip")[2] == b"gzip"


@pytest.mark.parametrize("may_write", [True, False])
@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:9000", "localhost", "[::1]:8080"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_pages_are_shown_under_this_machines_names(may_write, host, method):
    status, headers, body = ask(make_guard(Page(), may_write=may_write), method, HOST=host)
    assert (status, body) == (200, PAGE)
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("may_write", [True, False])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[::1", "@"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_other_names_are_refused(may_write, host, method):
    page = Page()
    origin = f"http://{host}"
    status, headers, body = ask(
        make_guard(page, may_write=may_write), method, HOST=host, ORIGIN=origin
    )
    assert status == 403
    assert page.asked == 0
    assert "open it under one of these" in json.loads(body)["reason"]
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "MADE-UP"])
def test_changes_are_refused_unless_they_are_allowed(method):
    page = Page()
    status, _, body = ask(make_guard(page, may_write=False), method, ORIGIN="http://127.0.0.1:8080")
    assert status == 403
    assert page.asked == 0
    assert "archloss dashboard --write" in json.loads(body)["reason"]


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://evil.example",
        "http://127.0.0.1:3000",
        "https://127.0.0.1:8080",
        "http://localhost:8080",
        "http://127.0.0.1:8080.evil.example",
    ],
)
def test_changes_come_from_the_dashboards_own_pages_alone(origin):
    page = Page()
    filtered = make_guard(page, may_write=True)
    status, _, body = ask(filtered, "POST", ORIGIN=origin)
    assert (status, page.asked) == (403, 0)
    assert repr(origin) in json.loads(body)["reason"]
    assert ask(filtered, "POST", ORIGIN="http://127.0.0.1:8080")[0] == 200


def test_each_reason_is_told_once():
    told = []
    filtered = make_guard(Page(), may_write=False, tell=told.append)
    ask(filtered, "PUT")
    ask(filtered, "DELETE")
    assert len(told) == 1
    for number in range(100):
        ask(filtered, HOST=f"evil-{number}.example")
    assert len(told) == 20


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_a_study_is_never_renamed(end):
    page = Page()
    origin = "http://127.0.0.1:8080"
    path = f"/api/studies/12/rename{end}"
    status, _, body = ask(make_guard(page, may_write=True), "POST", path, ORIGIN=origin)
    assert (status, page.asked) == (403, 0)
    assert "curves and weights" in json.loads(body)["reason"]


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(answers.time, "monotonic", lambda: self.now)


def test_answers_are_compressed_for_who_takes_it():
    application = Answers(Page(), lambda _: None)
    status, headers, body = ask(application, ACCEPT_ENCODING="gzip, br")
    assert status == 200
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Content-Length"] == str(len(body))
    assert gzip.decompress(body) == PAGE
    assert ask(application)[2] == PAGE
    assert ask(application, path="/static/bundle.js", ACCEPT_ENCODING="gzip")[2] == PAGE


def test_an_answer_is_kept_while_the_study_rests(monkeypatch):
    clock, page, stamps = Clock(monkeypatch), Page(), {1: "a", 2: "b"}
    application = Answers(page, stamps.get)

    def look(path="/api/studies/1", *, later=0.0):
        clock.now += later
        return ask(application, path=path, ACCEPT_ENCODING="gzip")

    assert look() == look() == look()
    assert page.asked == 1
    look("/api/studies/2")
    look("/api/studies/1/param_importances")
    assert page.asked == 3
    # A page may have been shown the study as it was: the dashboard remembers that for a while.
    stamps[1] = "c"
    look(later=5)
    look(later=5)
    assert page.asked == 5
    look(later=11)
    look(later=100)
    assert page.asked == 6
    stamps[1] = None
    look(later=100)
    look(later=100)
    assert page.asked == 8
    stamps[1] = "c"
    look()
    assert page.asked == 8, "it is what it was"
    stamps[1] = "d"
    look("/api/studies/1/plot/edf")
    look(later=10)
    look(later=10)
    look()
    assert page.asked == 11


def test_a_question_that_is_being_answered_is_not_answered_twice():
    begun, go_on = threading.Event(), threading.Event()
    asked = []

    def think(environ, start_response):
        asked.append(environ)
        begun.set()
        go_on.wait(30)
        start_response("200 OK", [])
        return [PAGE]

    application = Answers(think, lambda _: "a")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, application, ACCEPT_ENCODING="gzip")
        begun.wait(30)
        second = pool.submit(ask, application, ACCEPT_ENCODING="gzip")
        go_on.set()
        assert first.result(30) == second.result(30)
    assert len(asked) == 1


def test_what_went_wrong_is_not_kept(monkeypatch):
    clock = Clock(monkeypatch)
    asked = []

    def fail(environ, start_response):
        asked.append(environ)
        start_response("500 Internal Server Error", [])
        return [b"{}"]

    application = Answers(fail, lambda _: "a")
    for _ in range(4):
        clock.now += 20
        assert ask(application, ACCEPT_ENCODING="gzip")[0] == 500
    assert len(asked) == 4


def test_ctrl_c_waits_for_who_has_answered_but_not_yet_said_so(monkeypatch, caplog):
    def answer(_environ, start_response):
        start_response("200 OK", [("Content-Length", "4")])
        return [b"page"]

    others = set(threading.enumerate())
    server = serving.open_server(answer, None)
    wake = server.pull_trigger

    def wake_late():
        time.sleep(0.3)
        wake()

    def interrupt():
        with urllib.request.urlopen(url, timeout=30) as response:
            assert response.read() == b"page"
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(server, "pull_trigger", wake_late)
    monkeypatch.setattr(serving, "_LOOK_EVERY_S", 10)
    url = f"http://127.0.0.1:{server.effective_port}/"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    client = threading.Thread(target=interrupt)
    client.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            serving.serve(server)
    finally:
        signal.signal(signal.SIGINT, before)
    for thread in set(threading.enumerate()) - others:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert [record.message for record in caplog.records] == []
