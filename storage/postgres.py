"""PostgreSQL, by psycopg 3: a server that many machines share, and that may go away for a while."""

import contextlib
import enum
import functools
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL

from archloss.storage.errors import StorageURLError
from archloss.storage.inserting import Known, settle_known

POOL_SIZE = 2
POOL_OVERFLOW = 1
_SCHEMA_LOCK = 0x617263686C6F7373  # "archloss": two programs never make tables at once
_CONNECTING = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "application_name": "archloss",
}
"""So that a server that is gone is noticed within a minute; the URL's own settings go first."""
_LARGE = 65_536
_IDLE_IN_TRANSACTION_MS = 60_000
"""How long a driver that was stopped in the middle of a change may hold up the others."""

_PASSING = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
    "25P03",  # idle_in_transaction_session_timeout
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
    "57P05",  # idle_session_timeout
    "53300",  # too_many_connections
}
_LASTING = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "no password supplied",
    "permission denied",
    "certificate",
    "server does not support SSL",
)
"""Refusals to connect that waiting does not cure; they come without a code."""
_ON_THE_WAY = (
    "the database system is",  # starting up, shutting down, in recovery mode
    "too many clients",
    "remaining connection slots",
    "too many connections",
)

_REASONS = {
    "password authentication failed": "Check the user and the password, in the URL, in PGPASSWORD "
    "or in ~/.pgpass",
    "no password supplied": "Give one in the URL, in PGPASSWORD or in ~/.pgpass",
    "does not exist": "Make it on the server first (createdb, createuser), or correct the URL",
    "failed to resolve": "Correct the host in the URL",
    "permission denied": "Let the user make tables there: GRANT CREATE ON SCHEMA public TO "
    "the user",
    "no pg_hba.conf entry": "Let this machine in, in the server's pg_hba.conf",
    "read-only transaction": "This server cannot be written to: connect to the primary one",
    "too many clients": "Raise max_connections on the server, or stop other programs: a driver "
    f"needs up to {POOL_SIZE + POOL_OVERFLOW}",
    "No space left": "The server's disk is full. Make room and launch again; what was finished is "
    "safe",
    "refused": "Start the server, or correct the host and the port in the URL",
    "timeout": "Look whether the server runs, and whether a firewall is in between",
}


class _Ids(sa.types.UserDefinedType[Collection[int]]):
    """Whole numbers as one array, written out here: psycopg takes many times as long.

    The parameter itself is the array, not a text that is made into one: so it is known when the
    statement is planned, and not searched from one end for each row.
    """

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: object) -> str:
        """Return what the parameter is cast to."""
        return "INTEGER[]"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Collection[int] | None], str]:
        """Return what writes the numbers out."""
        return lambda ids: f"{{{','.join(map(str, ids or ()))}}}"


class PostgresDialect:
    """What is done, and said, otherwise with PostgreSQL."""

    is_served = True

    def check_url(self, url: URL) -> URL:
        """Return the URL with psycopg named in it, or raise StorageURLError."""
        if url.drivername not in ("postgresql", "postgresql+psycopg"):
            raise StorageURLError(
                f"the storage's scheme must be postgresql, which psycopg 3 serves, but it is "
                f"{url.drivername!r}"
            )
        try:
            import psycopg  # noqa: F401  only users of PostgreSQL need it
        except ImportError as error:
            raise StorageURLError(
                "the storage is on PostgreSQL, but psycopg cannot be loaded "
                f"({error}). Install it: pip install 'archloss[postgresql]'"
            ) from error
        return url.set(drivername="postgresql+psycopg")

    def open_engine(self, url: URL, *, busy_timeout_s: float) -> sa.Engine:
        """Return an engine on the database, with a pool of few connections."""
        return sa.create_engine(url, **self.get_engine_arguments(url, busy_timeout_s))

    def get_engine_arguments(self, url: URL, busy_timeout_s: float) -> dict[str, Any]:
        """Return what an engine is made with: a small pool, and how long to wait for whom."""
        connecting = {name: value for name, value in _CONNECTING.items() if name not in url.query}
        given = url.query.get("options", "")
        connecting["options"] = (
            f"-c lock_timeout={round(busy_timeout_s * 1000)} "
            f"-c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_MS} "
            "-c plan_cache_mode=force_custom_plan "  # a plan outlives the size of its tables
            f"{given if isinstance(given, str) else ' '.join(given)}"
        )
        return {
            "pool_size": POOL_SIZE,
            "max_overflow": POOL_OVERFLOW,
            "pool_pre_ping": True,
            "connect_args": connecting,
        }

    def prepare_engine(self, engine: sa.Engine) -> None:
        """Do nothing: what a connection needs, it is opened with."""

    def prepare_database(self, _engine: sa.Engine, *, busy_timeout_s: float) -> tuple[str, ...]:
        """Do nothing, and note nothing: a server is ready as it is."""
        return ()

    @contextlib.contextmanager
    def making_tables(self, engine: sa.Engine) -> Iterator[None]:
        """Hold the lock under which tables are made, Optuna's too; a dead program loses it."""
        with engine.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
            yield

    @contextlib.contextmanager
    def reading(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Enter a transaction that sees the database as it is at one moment."""
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with engine.connect().execution_options(**options) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Enter one transaction; what it locks, and so sees newly, is up to the caller."""
        with engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def committing_each(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Enter a connection on which every statement is a transaction of its own."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    @contextlib.contextmanager
    def sending(self, connection: sa.Connection) -> Iterator[None]:
        """Send statements that give nothing back all at once, and wait for the server once.

        Each wait counts where others wait for the locks of this transaction.
        """
        import psycopg

        driver = connection.connection.driver_connection
        if not isinstance(driver, psycopg.Connection) or not psycopg.Pipeline.is_supported():
            yield
            return
        try:
            with driver.pipeline():
                yield
        except psycopg.Error as error:
            raise sa.exc.DBAPIError.instance(
                None, None, error, psycopg.Error, dialect=connection.dialect
            ) from error

    def insert_rows(
        self,
        connection: sa.Connection,
        table: sa.Table,
        rows: Sequence[Mapping[str, Any]],
        *,
        known: Known,
    ) -> None:
        """Insert all rows with one statement, to which they go as JSON.

        It is twice as quick as a statement for each row, also as a pipeline of them; only large
        binary values would suffer from being written in hexadecimal.
        """
        names = tuple(rows[0])
        binary = [name for name in names if isinstance(table.c[name].type, sa.LargeBinary)]
        if any(len(row[name]) > _LARGE for name in binary for row in rows):
            insert = settle_known(postgresql.insert(table), table, known)
            connection.execute(insert, rows)
            return
        connection.execute(_insert_json(table, names, known), {"records": _dump(rows)})

    def is_among(
        self, column: sa.ColumnElement[int], ids: Collection[int]
    ) -> sa.ColumnElement[bool]:
        """Return the condition that a column holds one of these ids, which go as one array.

        So the statement is the same for any number of them.
        """
        return column == sa.func.any(sa.bindparam(None, sorted(ids), type_=_Ids()))

    def get_clock(self) -> sa.ColumnElement[float]:
        """Return the server's time in seconds since 1970."""
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float(53))

    def get_start(self) -> sa.ColumnElement[float]:
        """Return when the server was started, in seconds since 1970."""
        return sa.cast(sa.extract("epoch", sa.func.pg_postmaster_start_time()), sa.Float(53))

    def explain(self, error: BaseException) -> str | None:
        """Return what an error means and what to do, if it is PostgreSQL's."""
        if not _is_psycopgs(getattr(error, "orig", error)):
            return None
        text = " ".join(str(getattr(error, "orig", error)).split()).rstrip(".?")
        hints = [hint for words, hint in _REASONS.items() if words in text]
        return ". ".join([text, *hints[:1]])

    def is_away(self, error: BaseException) -> bool:
        """Say whether the server is away or lost its way, so that the same may work later."""
        cause = getattr(error, "orig", error)
        if isinstance(error, sa.exc.PendingRollbackError):  # Optuna goes on after a cut connection
            return True
        if getattr(error, "connection_invalidated", False):
            return True
        if not _is_psycopgs(cause):
            return False
        code = getattr(cause, "sqlstate", None)
        if code is not None:
            return code in _PASSING or code.startswith("08")
        is_operational = isinstance(error, sa.exc.OperationalError)
        return is_operational and not any(words in str(cause) for words in _LASTING)

    def is_on_the_way(self, error: BaseException) -> bool:
        """Say whether the server refused a first call, but is there and will soon take it."""
        cause = getattr(error, "orig", error)
        if getattr(cause, "sqlstate", None) is not None:
            return self.is_away(error)
        return any(words in str(cause) for words in _ON_THE_WAY)

    def is_race(self, error: BaseException) -> bool:
        """Say whether another program was making the same tables, so that trying again helps."""
        if isinstance(error, sa.exc.IntegrityError):
            return True
        return isinstance(error, sa.exc.ProgrammingError) and "already exists" in str(error)


@functools.cache
def _insert_json(table: sa.Table, names: tuple[str, ...], known: Known) -> sa.Insert:
    """Return an INSERT of the columns of these names, from records given as JSON."""
    columns = [sa.column(name, table.c[name].type) for name in names]
    records = sa.cast(sa.bindparam("records", type_=sa.Text), postgresql.JSON)
    source = sa.func.json_to_recordset(records).table_valued(*columns)
    select = sa.select(*source.render_derived(with_types=True).c)
    return settle_known(postgresql.insert(table).from_select(names, select), table, known)


def _dump(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as JSON that PostgreSQL reads back; it has no word for what is not finite."""
    try:
        return json.dumps(rows, default=_to_json, allow_nan=False)
    except ValueError:
        finite = [{name: _name_infinite(value) for name, value in row.items()} for row in rows]
        return json.dumps(finite, default=_to_json, allow_nan=False)


def _to_json(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    assert isinstance(value, enum.Enum), f"{value!r} has no place in a row"
    return value.name


def _name_infinite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _is_psycopgs(error: object) -> bool:
    return type(error).__module__.partition(".")[0] == "psycopg"
