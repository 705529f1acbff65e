"""Brings a database up: Optuna's tables, ours, and the choice of a way into the former."""

import random
import time

import sqlalchemy as sa
from optuna.storages import RDBStorage

from archloss.storage import tables
from archloss.storage.dialects import (
    connect_arguments,
    insert_ignoring,
    is_race,
    prepare_engine,
    switch_to_wal,
    writing,
)
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
    _check_ours(engine)
    notes = switch_to_wal(engine, busy_timeout_s=busy_timeout_s)
    revision = _find_revision(engine)
    if revision is None:
        _make_optunas(engine, busy_timeout_s=busy_timeout_s)
        revision = _find_revision(engine)
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


def open_optuna(engine: sa.Engine, *, busy_timeout_s: float) -> RDBStorage:
    """Return an Optuna storage on the same database, with an engine of its own."""
    url = engine.url.render_as_string(hide_password=False)
    escaped = url.replace("{", "{{").replace("}", "}}")  # Optuna takes the URL for a template
    try:
        storage = RDBStorage(escaped, {"connect_args": connect_arguments(busy_timeout_s)})
    except RuntimeError as error:
        raise StorageError(f"Optuna cannot use the database: {error}") from error
    prepare_engine(storage.engine)
    storage.engine.dispose()
    return storage


def _find_revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        return read_revision(connection)


def _make_optunas(engine: sa.Engine, *, busy_timeout_s: float) -> None:
    """Let Optuna make its tables; it does not expect others to do so at the same time."""
    until = time.monotonic() + busy_timeout_s
    while True:
        try:
            open_optuna(engine, busy_timeout_s=busy_timeout_s).engine.dispose()
        except Exception as error:
            if not is_race(error) or time.monotonic() > until:
                raise
            time.sleep(random.uniform(0.01, 0.1))
        else:
            return


def _make_ours(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        if _read_version(connection) == tables.SCHEMA_VERSION:
            return
    with writing(engine) as connection:
        version = _read_version(connection)
        if version is None:
            tables.metadata.create_all(connection, tables=tables.OURS)
            row = {"schema_id": 1, "version": tables.SCHEMA_VERSION}
            connection.execute(insert_ignoring(tables.schema), [row])
        elif version < tables.SCHEMA_VERSION:
            migrate(connection, version)
            connection.execute(sa.update(tables.schema).values(version=tables.SCHEMA_VERSION))


def _check_ours(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        version = _read_version(connection)
    if version is not None and version > tables.SCHEMA_VERSION:
        raise StorageError(
            f"the database {engine.url.render_as_string(hide_password=True)} was made by a newer "
            f"archloss: its schema is {version}, and this archloss knows "
            f"{tables.SCHEMA_VERSION}. Upgrade archloss, or choose another database with --storage"
        )


def _read_version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(tables.schema.name):
        return None
    return connection.execute(sa.select(tables.schema.c.version)).scalar()
