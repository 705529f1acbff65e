"""Looks at a database without changing anything in it: for `archloss doctor`."""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from archloss.storage import tables
from archloss.storage.access import explained
from archloss.storage.dialects import read_url, show_url
from archloss.storage.optuna_tables import KNOWN_REVISION, read_revision

ROUND_TRIPS = 20
_CONNECT_TIMEOUT_S = 10
_PROBE = "archloss_doctor_probe"


@dataclass(frozen=True, kw_only=True)
class DatabaseReport:
    """What was seen at one URL, which is shown without its password.

    `optuna_revision` and `schema_version` are None where the tables are not made yet; the
    expected ones are those that this archloss writes without going through Optuna's slow way.
    `latency_s` is the median of a trivial query's round trips. `refusal` is what the database
    said to an attempt to write, which was rolled back. `free_connections` of
    `most_connections` could still be opened, where the kind of database has a limit.
    """

    url: str
    kind: str
    version: str
    latency_s: float
    optuna_revision: str | None
    expected_revision: str
    schema_version: int | None
    expected_version: int
    refusal: str | None
    free_connections: int | None
    most_connections: int | None


def find_file(text: str) -> Path | None:
    """Return the file of an SQLite URL, or None for another kind of database.

    Raises StorageError for a URL that archloss does not support.
    """
    url = read_url(text)
    is_file = url.get_backend_name() == "sqlite" and url.database is not None
    return Path(str(url.database)) if is_file else None


def inspect_database(text: str) -> DatabaseReport:
    """Look at the database at a URL; raise StorageError if it cannot be reached."""
    url = read_url(text)
    engine = _open(url)
    try:
        with explained(url), engine.connect() as connection:
            latency_s = _measure_latency(connection)
            free, most = _count_connections(connection)
            return DatabaseReport(
                url=show_url(url),
                kind=engine.dialect.name,
                version=".".join(map(str, engine.dialect.server_version_info or ())),
                latency_s=latency_s,
                optuna_revision=read_revision(connection),
                expected_revision=KNOWN_REVISION,
                schema_version=_read_version(connection),
                expected_version=tables.SCHEMA_VERSION,
                refusal=_try_to_write(connection),
                free_connections=free,
                most_connections=most,
            )
    finally:
        engine.dispose()


def _open(url: URL) -> sa.Engine:
    """Return an engine whose statements are transactions of their own."""
    sqlite = url.get_backend_name() == "sqlite"
    timeout = "timeout" if sqlite else "connect_timeout"
    return sa.create_engine(
        url,
        poolclass=sa.NullPool,
        connect_args={timeout: _CONNECT_TIMEOUT_S},
        isolation_level="AUTOCOMMIT",
    )


def _measure_latency(connection: sa.Connection) -> float:
    seconds = []
    for _ in range(ROUND_TRIPS):
        started = time.perf_counter()
        connection.exec_driver_sql("SELECT 1").scalar()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _count_connections(connection: sa.Connection) -> tuple[int | None, int | None]:
    if connection.dialect.name != "postgresql":
        return None, None
    most = int(connection.exec_driver_sql("SHOW max_connections").scalar_one())
    query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    return most - int(connection.exec_driver_sql(query).scalar_one()), most


def _read_version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(tables.schema.name):
        return None
    version: int | None = connection.execute(sa.select(tables.schema.c.version)).scalar()
    return version


def _try_to_write(connection: sa.Connection) -> str | None:
    """Make a table and a row and roll both back; return what the database has against it."""
    begin = "BEGIN IMMEDIATE" if connection.dialect.name == "sqlite" else "BEGIN"
    try:
        connection.exec_driver_sql(begin)
        try:
            connection.exec_driver_sql(f"CREATE TABLE {_PROBE} (probe INTEGER)")
            connection.exec_driver_sql(f"INSERT INTO {_PROBE} VALUES (1)")
        finally:
            connection.exec_driver_sql("ROLLBACK")
    except sa.exc.DBAPIError as error:
        return str(error.orig)
    return None
