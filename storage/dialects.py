"""What differs between kinds of databases, and which kind a URL or a connection is of."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from archloss.storage.errors import StorageURLError
from archloss.storage.inserting import Known
from archloss.storage.postgres import PostgresDialect
from archloss.storage.sqlite import SqliteDialect

BUSY_TIMEOUT_S = 30.0
_SECRETS = ("password", "sslpassword")


class Dialect(Protocol):
    """A kind of database; all that the rest of the folder must not know of it."""

    is_served: bool
    """Whether a server holds it, which other machines reach as well."""

    def check_url(self, url: URL) -> URL:
        """Return the URL made complete, or raise StorageURLError."""

    def open_engine(self, url: URL, *, busy_timeout_s: float) -> sa.Engine:
        """Return an engine on the database."""

    def get_engine_arguments(self, url: URL, busy_timeout_s: float) -> dict[str, Any]:
        """Return what an engine on the database is made with, also one of Optuna's."""

    def prepare_engine(self, engine: sa.Engine) -> None:
        """Set what each connection needs, also on an engine of Optuna's."""

    def prepare_database(self, engine: sa.Engine, *, busy_timeout_s: float) -> tuple[str, ...]:
        """Set what the database remembers; return notes for a person."""

    def making_tables(self, engine: sa.Engine) -> AbstractContextManager[None]:
        """Enter the making of tables, alone where programs would be in each other's way."""

    def reading(self, engine: sa.Engine) -> AbstractContextManager[sa.Connection]:
        """Enter a transaction that sees the database as it is at one moment."""

    def writing(self, engine: sa.Engine) -> AbstractContextManager[sa.Connection]:
        """Enter one transaction that writes."""

    def committing_each(self, engine: sa.Engine) -> AbstractContextManager[sa.Connection]:
        """Enter a connection on which every statement is a transaction of its own."""

    def sending(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Enter a part of a transaction whose statements give nothing back.

        They need not be waited for one by one; an error in any may come at the end.
        """

    def insert_rows(
        self,
        connection: sa.Connection,
        table: sa.Table,
        rows: Sequence[Mapping[str, object]],
        *,
        known: Known,
    ) -> None:
        """Insert rows, many at a time, all with the same keys."""

    def is_among(
        self, column: sa.ColumnElement[int], ids: Collection[int]
    ) -> sa.ColumnElement[bool]:
        """Return the condition that a column holds one of these ids."""

    def get_clock(self) -> sa.ColumnElement[float]:
        """Return the database's time in seconds since 1970."""

    def get_start(self) -> sa.ColumnElement[float]:
        """Return when the server was started, on the same clock; 0 where there is none."""

    def explain(self, error: BaseException) -> str | None:
        """Return what an error means and what to do, if it is of this kind of database."""

    def is_away(self, error: BaseException) -> bool:
        """Say whether the server is away or cut the call off, so that it may work later."""

    def is_on_the_way(self, error: BaseException) -> bool:
        """Say whether a server refused a first call, but will soon take it."""

    def is_race(self, error: BaseException) -> bool:
        """Say whether another program was making the same tables, so that trying again helps."""


_DIALECTS: dict[str, Dialect] = {"sqlite": SqliteDialect(), "postgresql": PostgresDialect()}


def read_url(text: str) -> URL:
    """Return the URL of a database that is supported, or raise StorageURLError."""
    try:
        url = make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise StorageURLError(
            "the storage is not a database URL; it must look like sqlite:///FILE or "
            "postgresql://USER@HOST/DATABASE"
        ) from None
    dialect = _DIALECTS.get(url.get_backend_name())
    if dialect is None:
        raise StorageURLError(
            "the storage must be sqlite:///FILE or postgresql://USER@HOST/DATABASE, but its scheme "
            f"is {url.drivername!r}"
        )
    return dialect.check_url(url)


def show_url(url: URL) -> str:
    """Return the URL as it may be shown: without any password."""
    return url.difference_update_query(_SECRETS).render_as_string(hide_password=True)


def hide_secrets(url: URL, text: str) -> str:
    """Return the text without the URL's passwords."""
    secrets = [url.password, *(url.query.get(name) for name in _SECRETS)]
    for secret in secrets:
        if isinstance(secret, str) and secret:
            text = text.replace(secret, "***")
    return text


def get_dialect(held: URL | sa.Engine | sa.Connection) -> Dialect:
    """Return the kind of database that something is of."""
    if isinstance(held, URL):
        return _DIALECTS[held.get_backend_name()]
    return _DIALECTS[held.dialect.name]


def lock_study(
    connection: sa.Connection, studies: sa.FromClause, study_id: int, *, alone: bool
) -> bool:
    """Lock a study's row until the transaction ends; return whether there is one.

    On the row in Optuna's table the lock is Optuna's own, under which trials get their numbers.
    Not `alone`, it keeps out those alone that are alone. SQLite ignores FOR UPDATE: there the
    transaction holds the whole database.
    """
    query = sa.select(studies.c.study_id).where(studies.c.study_id == study_id)
    query = query.with_for_update(read=not alone, key_share=not alone)
    return connection.execute(query).first() is not None


def is_among(
    connection: sa.Connection, column: sa.ColumnElement[int], ids: Collection[int]
) -> sa.ColumnElement[bool]:
    """Return the condition that a column holds one of these ids."""
    return get_dialect(connection).is_among(column, ids)


def insert_rows(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, object]],
    *,
    known: Known = "refused",
) -> None:
    """Insert rows; those whose keys are there already are refused, left alone or replaced."""
    if rows:
        get_dialect(connection).insert_rows(connection, table, rows, known=known)


def read_clock_s(connection: sa.Connection) -> float:
    """Return the database's clock in seconds since 1970."""
    return float(connection.execute(sa.select(get_dialect(connection).get_clock())).scalar_one())


def read_up_since_s(connection: sa.Connection) -> float:
    """Return when the database's server was started, by its clock; 0 where there is no server."""
    return float(connection.execute(sa.select(get_dialect(connection).get_start())).scalar_one())
