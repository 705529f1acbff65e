"""What turns the tables of an earlier archloss into today's, by alembic's operations.

The version stays a number in `archloss_schema`: an archloss from before there were migrations
looks for it there, and refuses what is newer than itself.
"""

from collections.abc import Callable

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from archloss.storage import tables


def migrate(connection: sa.Connection, version: int) -> None:
    """Bring our tables from a version up to today's, inside the caller's transaction."""
    operations = Operations(MigrationContext.configure(connection))
    for step in _STEPS[version - 1 :]:
        step(operations)


def _to_version_2(operations: Operations) -> None:
    """Several drivers: requests to stop, machines of leases, retries, tokens of calls."""
    seconds, token = sa.Float(53), sa.String(64)
    operations.add_column("archloss_studies", sa.Column("stop_requested_s", seconds))
    for name, kind, default in (("opened_s", seconds, "0"), ("kernel", token, "")):
        column = sa.Column(name, kind, nullable=False, server_default=default)
        operations.add_column("archloss_leases", column)
    operations.add_column("archloss_leases", sa.Column("token", token))
    operations.execute("UPDATE archloss_leases SET opened_s = renewed_s")
    retries = sa.Column("retries", sa.Integer, nullable=False, server_default="0")
    operations.add_column("archloss_trials", retries)
    operations.add_column("archloss_trials", sa.Column("token", token))


_STEPS: tuple[Callable[[Operations], None], ...] = (_to_version_2,)
assert len(_STEPS) == tables.SCHEMA_VERSION - 1
