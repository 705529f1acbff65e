"""Serves the Optuna dashboard on this machine alone."""

import errno
import importlib.util
import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

from archloss.search.dashboard.answers import Answers
from archloss.search.dashboard.guard import Application, Guard
from archloss.spaces.errors import ArchlossError

if TYPE_CHECKING:
    from archloss.storage.database import Database

HOST = "127.0.0.1"
DEFAULT_PORT = 8080
_THREADS = 8
_LOOK_EVERY_S = 1.0
_NEEDED = ("optuna_dashboard", "waitress")


class DashboardError(ArchlossError):
    """The dashboard cannot be served as it was asked for."""


def check_installed() -> None:
    """Raise DashboardError, with the way out, where what serves the dashboard is missing."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise DashboardError(
            f"the dashboard needs {' and '.join(missing)}, which archloss does not bring by "
            "itself: pip install 'archloss[dashboard]'"
        )


def make_application(
    database: "Database", *, may_write: bool, tell: Callable[[str], None]
) -> Application:
    """Return the dashboard of all studies of a database, guarded; `tell` hears of refusals."""
    from optuna_dashboard import wsgi

    dashboard: Application = wsgi(database.view_storage())
    return Guard(Answers(dashboard, database.stamp_study), may_write=may_write, tell=tell)


def warm_up(application: Application, study_id: int) -> None:
    """Ask what the page of a study will, so that it need not wait for the trials to be read."""
    environ: dict[str, Any] = {
        "PATH_INFO": f"/api/studies/{study_id}",
        "QUERY_STRING": "after=0",
        "HTTP_HOST": HOST,
        "HTTP_ACCEPT_ENCODING": "gzip",
    }
    setup_testing_defaults(environ)
    application(environ, lambda *_: None)


def open_server(application: Application, port: int | None) -> Any:
    """Return a server that listens already; `run()` answers until Ctrl-C.

    Without a port it is `DEFAULT_PORT`, or any free one where that is in use.
    """
    try:
        listening = _bind(DEFAULT_PORT if port is None else port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        if port is not None:
            why = "is in use" if error.errno == errno.EADDRINUSE else "is not for everybody"
            raise DashboardError(
                f"--port must be one that is free, but {port} {why}: choose another, or leave it "
                "out for any that is free"
            ) from error
        listening = _bind(0)
    import waitress

    # It would warn of each page that asks for several things at once, as all do.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    return waitress.create_server(
        application, sockets=[listening], threads=_THREADS, ident="archloss"
    )


def serve(server: Any) -> None:
    """Answer until Ctrl-C, which raises KeyboardInterrupt here.

    The server runs in a thread of its own: an interrupt that falls into its handlers can be lost.
    """
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_LOOK_EVERY_S)
    finally:
        _stop(server)
        thread.join(_LOOK_EVERY_S)


def _stop(server: Any) -> None:
    """End what answers first, then close all, in the server's own thread.

    Who has answered wakes that thread by a pipe, and it waits at sockets: to close one under them
    is an error there.
    """

    def close() -> None:
        for channel in list(server.active_channels.values()):
            channel.handle_close()
        server.close()

    server.task_dispatcher.shutdown(timeout=_LOOK_EVERY_S)
    server.trigger.pull_trigger(close)


def _bind(port: int) -> socket.socket:
    """Return a socket that holds the port; waitress would leave one behind where it is in use."""
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except BaseException:
        bound.close()
        raise
    return bound
