"""SQLite: a file on this machine, one writer at a time."""

import contextlib
import functools
import os
import random
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL

from archloss.storage.errors import StorageError, StorageURLError
from archloss.storage.inserting import Known, settle_known
from archloss.storage.mounts import find_network_file_system

_BEGIN = "archloss_begin"
_DIALECT = sqlite.dialect()
_WAY_OUT = (
    "the permissions of the file and its folder, or name another with --storage: a copy will do, "
    "with copies of the files beside it whose names begin with its own"
)
_REASONS = {
    "SQLITE_BUSY": "it is locked: another program kept writing to it for too long. Close other "
    "programs that have it open, or wait and try again",
    "SQLITE_LOCKED": "it is locked by another connection. Wait and try again",
    "SQLITE_FULL": "the database or disk is full. Make room and launch again; what was finished "
    "is safe",
    "SQLITE_NOTADB": "the file is not a database. Choose another with --storage",
    "SQLITE_CORRUPT": "the file is damaged. Bring back a copy, or choose another with --storage",
    "SQLITE_READONLY": f"it cannot be written to. Change {_WAY_OUT}",
    "SQLITE_CANTOPEN": f"it cannot be opened. Change {_WAY_OUT}",
    "SQLITE_PERM": "it cannot be opened. Change the permissions of the file and its folder, or "
    "choose another with --storage",
    "SQLITE_IOERR": "the disk reports an error. Look whether it is full or failing",
}


class SqliteDialect:
    """What is done, and said, otherwise with SQLite."""

    is_served = False

    def check_url(self, url: URL) -> URL:
        """Return the URL, or raise StorageURLError if it names no file."""
        if url.database in (None, "", ":memory:"):
            raise StorageURLError(
                "the storage must name a file, as in sqlite:///studies.db: in memory, nothing "
                "would outlast the program"
            )
        return url

    def open_engine(self, url: URL, *, busy_timeout_s: float) -> sa.Engine:
        """Return an engine on the database, whose folder is made if it is missing."""
        folder = _find_file(url).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"the folder {str(folder)!r} of the database cannot be made: {error.strerror}. "
                "Choose another place with --storage"
            ) from error
        engine = sa.create_engine(url, **self.get_engine_arguments(url, busy_timeout_s))
        self.prepare_engine(engine)
        sa.event.listen(engine, "connect", _leave_transactions_to_us)
        sa.event.listen(engine, "begin", _begin)
        return engine

    def get_engine_arguments(self, url: URL, busy_timeout_s: float) -> dict[str, Any]:
        """Return what an engine is made with: how long to wait for locks, and how to only read."""
        if _is_only_read(url):
            # Each connection looks anew at whether anybody has begun to write.
            connect = functools.partial(_connect_to_read, _find_file(url), busy_timeout_s)
            return {"creator": connect, "poolclass": sa.NullPool}
        return {"connect_args": {"timeout": busy_timeout_s}}

    def prepare_engine(self, engine: sa.Engine) -> None:
        """Set what SQLite forgets between connections; for Optuna's own engine too."""
        sa.event.listen(engine, "connect", _set_pragmas)

    def prepare_database(self, engine: sa.Engine, *, busy_timeout_s: float) -> tuple[str, ...]:
        """Let readers and a writer work at once; return notes for a person."""
        notes = []
        kind = find_network_file_system(_find_file(engine.url))
        if kind is not None:
            notes.append(
                f"the database lies on a network file system ({kind}), where SQLite's locks are "
                "not to be trusted: keep it on a local disk, or use PostgreSQL "
                "(--storage postgresql://...)"
            )
        if _is_only_read(engine.url):
            notes.append("the database lies in a folder that cannot be written to: it is only read")
        elif not _switch_to_wal(engine, busy_timeout_s=busy_timeout_s):
            notes.append(
                "the database's file system does not allow SQLite's WAL mode: writing will be slow"
            )
        return tuple(notes)

    @contextlib.contextmanager
    def making_tables(self, _engine: sa.Engine) -> Iterator[None]:
        """Enter the making of tables; each step of it locks the file."""
        yield

    @contextlib.contextmanager
    def reading(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Enter a transaction that sees the database as it is at one moment."""
        with engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Enter one transaction that holds the right to write from its start."""
        options = {_BEGIN: "BEGIN IMMEDIATE"}
        with engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def committing_each(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Enter a connection on which every statement is a transaction of its own."""
        with engine.connect().execution_options(**{_BEGIN: None}) as connection:
            yield connection

    def sending(self, connection: sa.Connection) -> contextlib.AbstractContextManager[None]:
        """Do nothing: nobody is waited for here."""
        return contextlib.nullcontext()

    def insert_rows(
        self,
        connection: sa.Connection,
        table: sa.Table,
        rows: Sequence[Mapping[str, object]],
        *,
        known: Known,
    ) -> None:
        """Insert rows, which have the same columns, with one statement for each, compiled once.

        SQLAlchemy would look at every value of every row, which takes longer than SQLite.
        """
        statement, places = _prepare_insert(table, tuple(rows[0]), known)
        columns = [
            [row[name] if convert is None else convert(row[name]) for row in rows]
            for name, convert in places
        ]
        connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))

    def is_among(
        self, column: sa.ColumnElement[int], ids: Collection[int]
    ) -> sa.ColumnElement[bool]:
        """Return the condition that a column holds one of these ids."""
        return column.in_(ids)

    def get_clock(self) -> sa.ColumnElement[float]:
        """Return the time in seconds; SQLite has no clock but this machine's."""
        return sa.literal(time.time(), sa.Float(53))

    def get_start(self) -> sa.ColumnElement[float]:
        """Return when the server was started; there is none."""
        return sa.literal(0.0, sa.Float(53))

    def explain(self, error: BaseException) -> str | None:
        """Return what an error means and what to do, if it is SQLite's."""
        name = getattr(getattr(error, "orig", error), "sqlite_errorname", "")
        return next((text for start, text in _REASONS.items() if name.startswith(start)), None)

    def is_away(self, _error: BaseException) -> bool:
        """Say whether the database may come back: a file does not go away."""
        return False

    def is_on_the_way(self, _error: BaseException) -> bool:
        """Say whether a server is about to answer: there is none."""
        return False

    def is_race(self, error: BaseException) -> bool:
        """Say whether another program was making the same tables, so that trying again helps."""
        if isinstance(error, sa.exc.IntegrityError):
            return True
        return isinstance(error, sa.exc.OperationalError) and (
            "already exists" in str(error) or _is_busy(error)
        )


@functools.lru_cache(maxsize=64)
def _prepare_insert(
    table: sa.Table, names: tuple[str, ...], known: Known
) -> tuple[str, list[tuple[str, Callable[[Any], Any] | None]]]:
    """Return the INSERT as text; and for each of its places the column, and how it is stored."""
    insert = settle_known(sqlite.insert(table), table, known)
    compiled = insert.compile(dialect=_DIALECT, column_keys=names)
    places = compiled.positiontup
    assert places is not None
    return str(compiled), [
        (name, table.c[name].type.dialect_impl(_DIALECT).bind_processor(_DIALECT))
        for name in places
    ]


def _find_file(url: URL) -> Path:
    """Return the database's file, which may be written as SQLite's own kind of URL."""
    assert url.database is not None
    return Path(url.database.removeprefix("file:").partition("?")[0])


def _is_only_read(url: URL) -> bool:
    """Say whether a file is there that SQLite would refuse for want of a place for its WAL."""
    file = _find_file(url)
    is_named_plainly = not str(url.database).startswith("file:")
    return is_named_plainly and _lies_still(file) and not os.access(file.parent, os.W_OK)


def _lies_still(file: Path) -> bool:
    """Say whether a database is there that nobody is writing to, so that the file is all of it."""
    beside = (Path(f"{file}-{end}") for end in ("wal", "journal"))
    return _measure(file) is not None and not any(_measure(path) for path in beside)


def _measure(file: Path) -> int | None:
    """Return the size of a file in bytes, None if there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return None


def _connect_to_read(file: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """Return a connection that reads the file as it lies, or beside the program that writes."""
    mode = "immutable=1" if _lies_still(file) else "mode=ro"
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?{mode}",
        uri=True,
        timeout=busy_timeout_s,
        check_same_thread=False,
    )


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _leave_transactions_to_us(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None


def _begin(connection: sa.Connection) -> None:
    options: Mapping[str, Any] = connection.get_execution_options()
    begin = options.get(_BEGIN, "BEGIN")
    if begin is not None:
        connection.exec_driver_sql(begin)


def _switch_to_wal(engine: sa.Engine, *, busy_timeout_s: float) -> bool:
    """Turn WAL on, which the file remembers; return whether its file system allows it.

    SQLite does not wait for other connections here, so this does.
    """
    until = time.monotonic() + busy_timeout_s
    while True:
        connection = engine.raw_connection()
        try:
            mode = connection.cursor().execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > until:
                raise
        else:
            return mode is not None and bool(mode[0] == "wal")
        finally:
            connection.close()
        time.sleep(random.uniform(0.005, 0.05))


def _is_busy(error: Exception) -> bool:
    name = getattr(getattr(error, "orig", error), "sqlite_errorname", "")
    return bool(name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")))
