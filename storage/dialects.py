"""Opens databases, and holds whatever differs between kinds of them."""

import contextlib
import functools
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, make_url

from archloss.storage.errors import StorageError

BUSY_TIMEOUT_S = 30.0
_BEGIN = "archloss_begin"

_SQLITE_REASONS = {
    "SQLITE_BUSY": "it is locked: another program kept writing to it for too long. Close other "
    "programs that have it open, or wait and try again",
    "SQLITE_LOCKED": "it is locked by another connection. Wait and try again",
    "SQLITE_FULL": "the database or disk is full. Make room and launch again; what was finished "
    "is safe",
    "SQLITE_NOTADB": "the file is not a database. Choose another with --storage",
    "SQLITE_CORRUPT": "the file is damaged. Bring back a copy, or choose another with --storage",
    "SQLITE_READONLY": "it cannot be written to. Change the permissions of the file and its "
    "folder, or choose another with --storage",
    "SQLITE_CANTOPEN": "it cannot be opened. Change the permissions of the file and its folder, "
    "or choose another with --storage",
    "SQLITE_PERM": "it cannot be opened. Change the permissions of the file and its folder, or "
    "choose another with --storage",
    "SQLITE_IOERR": "the disk reports an error. Look whether it is full or failing",
}


def read_url(text: str) -> URL:
    """Return the URL of a database that is supported, or raise StorageError."""
    try:
        url = make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise StorageError(
            "the storage is not a database URL; it must look like sqlite:///FILE"
        ) from None
    if url.get_backend_name() != "sqlite":
        raise StorageError(
            f"the storage must be sqlite:///FILE, but its scheme is {url.drivername!r}"
        )
    if url.database in (None, "", ":memory:"):
        raise StorageError(
            "the storage must name a file, as in sqlite:///studies.db: in memory, nothing would "
            "outlast the program"
        )
    return url


def open_engine(url: URL, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> sa.Engine:
    """Return an engine on the database, whose folder is made if it is missing."""
    assert url.database is not None
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the folder {str(folder)!r} of the database cannot be made: {error.strerror}. "
            "Choose another place with --storage"
        ) from error
    engine = sa.create_engine(url, connect_args=connect_arguments(busy_timeout_s))
    prepare_engine(engine)
    sa.event.listen(engine, "connect", _leave_transactions_to_us)
    sa.event.listen(engine, "begin", _begin)
    return engine


def connect_arguments(busy_timeout_s: float) -> dict[str, Any]:
    """Return what the driver is told on connecting: how long to wait for locks."""
    return {"timeout": busy_timeout_s}


def prepare_engine(engine: sa.Engine) -> None:
    """Set what SQLite forgets between connections; for Optuna's own engine too."""
    sa.event.listen(engine, "connect", _set_pragmas)


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _leave_transactions_to_us(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None


def _begin(connection: sa.Connection) -> None:
    begin = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if begin is not None:
        connection.exec_driver_sql(begin)


def switch_to_wal(engine: sa.Engine, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> tuple[str, ...]:
    """Let readers and a writer work at once; the file remembers it. Return notes for a person.

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
            break
        finally:
            connection.close()
        time.sleep(random.uniform(0.005, 0.05))
    if mode is not None and mode[0] == "wal":
        return ()
    return ("the database's file system does not allow SQLite's WAL mode: writing will be slow",)


@contextlib.contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Enter one transaction that holds the right to write from its start."""
    options = {_BEGIN: "BEGIN IMMEDIATE"}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def committing_each(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Enter a connection on which every statement is a transaction of its own."""
    with engine.connect().execution_options(**{_BEGIN: None}) as connection:
        yield connection


def lock_study(connection: sa.Connection, studies: sa.FromClause, study_id: int) -> bool:
    """Lock Optuna's row of the study until the transaction ends; return whether there is one.

    The lock is Optuna's own, under which trials get their numbers. SQLite ignores FOR UPDATE:
    there the transaction holds the whole database.
    """
    query = sa.select(studies.c.study_id).where(studies.c.study_id == study_id).with_for_update()
    return connection.execute(query).first() is not None


@functools.cache
def insert_ignoring(table: sa.Table) -> sa.Insert:
    """Return an INSERT that leaves rows alone which are there already."""
    return sqlite.insert(table).on_conflict_do_nothing()


@functools.cache
def insert_replacing(table: sa.Table) -> sa.Insert:
    """Return an INSERT that replaces rows with the same primary key."""
    keys = [column.name for column in table.primary_key]
    statement = sqlite.insert(table)
    changes = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)


def read_clock_s(_connection: sa.Connection) -> float:
    """Return the database's clock in seconds; SQLite has none but this machine's."""
    return time.time()


def read_up_since_s(_connection: sa.Connection) -> float:
    """Return when the database's server was started, by its clock; SQLite has none: 0."""
    return 0.0


@contextlib.contextmanager
def explained(url: URL) -> Iterator[None]:
    """Turn a database's refusal into a StorageError that says what to do; no password in it."""
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        raise StorageError(_explain(url, error.__cause__ or error)) from error
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        raise StorageError(_explain(url, error)) from error


def _explain(url: URL, error: BaseException) -> str:
    cause = getattr(error, "orig", error)
    where = url.render_as_string(hide_password=True)
    name = getattr(cause, "sqlite_errorname", "")
    reasons = [reason for prefix, reason in _SQLITE_REASONS.items() if name.startswith(prefix)]
    reason = reasons[0] if reasons else str(cause)
    return f"the database {where} cannot be used: {reason}"


def is_race(error: BaseException) -> bool:
    """Say whether another program was making the same tables, so that trying again helps."""
    if isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__ is not None:
        return is_race(error.__cause__)
    if isinstance(error, sa.exc.IntegrityError):
        return True
    return isinstance(error, sa.exc.OperationalError) and (
        "already exists" in str(error) or _is_busy(error)
    )


def _is_busy(error: Exception) -> bool:
    name = getattr(getattr(error, "orig", error), "sqlite_errorname", "")
    return bool(name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")))
