"""Makes the tables, Optuna's and ours, and refuses a database that a newer archloss made."""

import contextlib
import time
from importlib import metadata

from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import DBAPIError

from archloss.storage import optuna_tables, tables
from archloss.storage.connection import insert_or_ignore, transaction
from archloss.storage.errors import StorageError

_ATTEMPTS = 20


def make_tables(engine: Engine, url: str, *, busy_timeout_s: float) -> None:
    """Bring a database up to date, whatever it holds. Raises StorageError."""
    with transaction(engine, write=False) as connection:
        revision = optuna_tables.read_revision(connection)
        ours = inspect(connection).has_table(tables.versions.name)
    if revision is None:
        revision = _make_optuna_tables(engine, url, busy_timeout_s=busy_timeout_s)
    optuna_tables.check_revision(revision)
    if not ours:
        with transaction(engine, write=True) as connection:
            tables.metadata.create_all(connection)
            version = {
                "id": 1,
                "schema_version": tables.SCHEMA_VERSION,
                "archloss_version": metadata.version("archloss"),
            }
            connection.execute(insert_or_ignore(tables.versions).values(version))
    _check_version(engine)


def _make_optuna_tables(engine: Engine, url: str, *, busy_timeout_s: float) -> str:
    """Let Optuna make its tables; where another process is at it too, one of both will do it."""
    for attempt in range(_ATTEMPTS):
        with contextlib.suppress(DBAPIError):
            optuna_tables.open_optuna_storage(url, busy_timeout_s=busy_timeout_s)
        with transaction(engine, write=False) as connection:
            revision = optuna_tables.read_revision(connection)
        if revision is not None:
            return revision
        time.sleep(0.05 * (attempt + 1))
    # Not a race, then: let Optuna say itself what is wrong.
    try:
        optuna_tables.open_optuna_storage(url, busy_timeout_s=busy_timeout_s)
    except DBAPIError as error:
        raise StorageError(f"Optuna's tables could not be made: {error.orig}") from error
    raise StorageError("Optuna's tables could not be made: delete the database and launch again")


def _check_version(engine: Engine) -> None:
    statement = select(tables.versions.c.schema_version, tables.versions.c.archloss_version)
    with transaction(engine, write=False) as connection:
        row = connection.execute(statement).one()
    if row.schema_version > tables.SCHEMA_VERSION:
        raise StorageError(
            f"the database must have schema {tables.SCHEMA_VERSION} or older, but has "
            f"{row.schema_version}, made by archloss {row.archloss_version}, which is newer than "
            f"this one ({metadata.version('archloss')}): upgrade archloss, or choose another "
            "database with --storage"
        )
