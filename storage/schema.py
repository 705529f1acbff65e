"""Brings a database up: Optuna's tables, ours, and the choice of a way into the former."""

import random
import time

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage

from archloss.storage import tables
from archloss.storage.dialects import get_dialect, insert_rows, show_url
from archloss.storage.errors import StorageError
from archloss.storage.migrations import migrate
from archloss.storage.optuna_slow import SlowOptunaTables
from archloss.storage.optuna_tables import (
    KNOWN_REVISION,
    BulkOptunaTables,
    load_models,
    read_revision,
)
from archloss.storage.optuna_trials import OptunaTables


def open_tables(
    engine: sa.Engine, *, busy_timeout_s: float
) -> tuple[OptunaTables, tuple[str, ...]]:
    """Make the tables that are missing; return the way into Optuna's, and notes for a person.

    Raises StorageError if a newer archloss or another Optuna made the database.
    """
    dialect = get_dialect(engine)
    _check_ours(engine)
    notes = dialect.prepare_database(engine, busy_timeout_s=busy_timeout_s)
    revision, version = _find_versions(engine)
    if revision is None or version != tables.SCHEMA_VERSION:
        with dialect.making_tables(engine):
            revision, _ = _find_versions(engine)
            if revision is None:
                _make_optunas(engine, busy_timeout_s=busy_timeout_s)
                revision, _ = _find_versions(engine)
            _make_ours(engine)
    models = load_models()
    if models is not None and revision == KNOWN_REVISION:
        return BulkOptunaTables(models), notes
    slow = SlowOptunaTables(open_optuna(engine, busy_timeout_s=busy_timeout_s))
    return slow, (
        *notes,
        f"this Optuna's tables (revision {revision}) are not those that archloss knows "
        f"({KNOWN_REVISION}): trials are written through Optuna itself, one at a time, which is "
        "slow. A newer archloss may know them",
    )


def open_optuna(
    engine: sa.Engine, *, busy_timeout_s: float, make_tables: bool = False
) -> RDBStorage:
    """Return an Optuna storage on the same database, with an engine of its own."""
    dialect = get_dialect(engine)
    url = engine.url.render_as_string(hide_password=False)
    escaped = url.replace("{", "{{").replace("}", "}}")  # Optuna takes the URL for a template
    arguments = dialect.get_engine_arguments(engine.url, busy_timeout_s)
    pool = sa.create_engine(engine.url, **arguments).pool  # to be closed also if Optuna refuses
    try:
        storage = RDBStorage(escaped, {"pool": pool}, skip_table_creation=not make_tables)
    except RuntimeError as error:
        pool.dispose()
        raise StorageError(f"Optuna cannot use the database: {error}") from error
    except BaseException:
        pool.dispose()
        raise
    storage.engine_kwargs = arguments  # what a copy of it, sent elsewhere, is made with
    dialect.prepare_engine(storage.engine)
    storage.engine.dispose()
    return storage


def _find_versions(engine: sa.Engine) -> tuple[str | None, int | None]:
    """Return the revision of Optuna's tables and the version of ours, where they are there."""
    with get_dialect(engine).reading(engine) as connection:
        return read_revision(connection), _read_version(connection)


def _make_optunas(engine: sa.Engine, *, busy_timeout_s: float) -> None:
    """Let Optuna make its tables; it does not expect others to do so at the same time."""
    until = time.monotonic() + busy_timeout_s
    while True:
        try:
            made = open_optuna(engine, busy_timeout_s=busy_timeout_s, make_tables=True)
            made.engine.dispose()
        except Exception as error:
            inner = error.__cause__
            if isinstance(error, optuna.exceptions.StorageInternalError) and inner is not None:
                is_race = get_dialect(engine).is_race(inner)
            else:
                is_race = get_dialect(engine).is_race(error)
            if not is_race or time.monotonic() > until:
                raise
            time.sleep(random.uniform(0.01, 0.1))
        else:
            return


def _make_ours(engine: sa.Engine) -> None:
    with get_dialect(engine).writing(engine) as connection:
        version = _read_version(connection)
        if version is None:
            tables.metadata.create_all(connection, tables=tables.OURS)
            row = {"schema_id": 1, "version": tables.SCHEMA_VERSION}
            insert_rows(connection, tables.schema, [row], known="left")
        elif version < tables.SCHEMA_VERSION:
            migrate(connection, version)
            connection.execute(sa.update(tables.schema).values(version=tables.SCHEMA_VERSION))


def _check_ours(engine: sa.Engine) -> None:
    with get_dialect(engine).reading(engine) as connection:
        version = _read_version(connection)
    if version is not None and version > tables.SCHEMA_VERSION:
        raise StorageError(
            f"the database {show_url(engine.url)} was made by a newer archloss: its schema is "
            f"{version}, and this archloss knows {tables.SCHEMA_VERSION}. Upgrade archloss, or "
            "choose another database with --storage"
        )


def _read_version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(tables.schema.name):
        return None
    return connection.execute(sa.select(tables.schema.c.version)).scalar()
