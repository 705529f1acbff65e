"""Opens a database: settings, transactions, and errors that a person can act on."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from archloss.storage.errors import StorageError

BUSY_TIMEOUT_S = 30.0


def open_engine(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Engine:
    """Return an engine on an SQLite file, whose folder is made if need be.

    Write-ahead logging, synchronous NORMAL: a transaction that was told survives a crash of the
    program, and readers do not wait for writers. Raises StorageError.
    """
    parsed = parse_url(url)
    path = Path(str(parsed.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the folder of the database must be writable, but {str(path.parent)!r} cannot be "
            f"made: {error.strerror}. Choose another place with --storage or --folder"
        ) from error
    engine = create_engine(parsed, connect_args={"timeout": busy_timeout_s})
    event.listen(engine, "connect", _set_up_connection)
    event.listen(engine, "begin", _begin)
    return engine


def parse_url(url: str) -> URL:
    """Return the parsed URL of an SQLite file; raise StorageError for anything else."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        raise StorageError(
            "the storage must be a database URL, but got something else: give for example "
            "--storage sqlite:///studies.db"
        ) from None
    if backend != "sqlite":
        raise StorageError(
            f"the storage must be an SQLite file, but got a URL of {backend!r}: give for example "
            "--storage sqlite:///studies.db"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise StorageError(
            "the storage must be an SQLite file, but got a database in memory, which workers "
            "and later launches cannot see: give for example --storage sqlite:///studies.db"
        )
    return parsed


@contextmanager
def transaction(engine: Engine, *, write: bool) -> Iterator[Connection]:
    """Give a connection in a transaction that ends with the context: all of it or nothing.

    A writing transaction takes the database's write lock at once, so that what it reads stays
    true until it ends. Raises StorageError for what the system or the disk refuses.
    """
    try:
        with engine.connect() as connection:
            connection = connection.execution_options(archloss_write=write)
            with connection.begin():
                yield connection
    except DBAPIError as error:
        raise explain(error, engine.url) from error


def explain(error: DBAPIError, url: URL) -> StorageError:
    """Return an error of the driver as a sentence with its way out."""
    reason = str(error.orig)
    where = repr(url.render_as_string(hide_password=True))
    for fragment, sentence in _SENTENCES.items():
        if fragment in reason:
            return StorageError(f"{sentence.format(where=where)} ({reason})")
    return StorageError(f"the database {where} refused: {reason}")


_SENTENCES = {
    "unable to open": (
        "the database must be in a folder that can be written to, but {where} cannot be opened: "
        "choose another place with --storage or --folder"
    ),
    "readonly": (
        "the database must be writable, but {where} is read-only: change its permissions, or "
        "choose another place with --storage or --folder"
    ),
    "disk is full": (
        "the disk that holds {where} is full, and nothing was half-written: make room, then "
        "launch again, and the study goes on where it was"
    ),
    "is locked": (
        "the database {where} is locked by another program that is writing to it: end that "
        "program, then launch again"
    ),
    "not a database": (
        "the storage must be an SQLite database, but {where} is another kind of file: choose "
        "another name with --storage"
    ),
    "malformed": (
        "the database {where} is damaged: bring back a copy, or choose another name with --storage"
    ),
}


def _set_up_connection(connection: sqlite3.Connection, _record: object) -> None:
    # Transactions are begun by `_begin`, not by sqlite3 at the first write.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("archloss_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def insert_or_ignore(table: Any) -> Any:
    """Return an INSERT that leaves rows alone which are there already."""
    return sqlite.insert(table).on_conflict_do_nothing()
