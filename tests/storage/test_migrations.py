"""Databases of earlier versions are brought up to date, with all that is in them."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from archloss.storage import tables
from archloss.storage.database import Database
from archloss.storage.errors import StorageError

SCHEMA_1 = Path(__file__).with_name("schema-1.sql")


@pytest.fixture
def old_url(tmp_path):
    """A database as archloss 0.1 made it, with three trials."""
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCHEMA_1.read_text())
    connection.close()
    return f"sqlite:///{path}"


def find_differences(engine):
    """Return how the tables of ours differ from what `tables` says of them."""
    ours = {table.name for table in tables.OURS}
    with engine.connect() as connection:
        options = {
            "include_name": lambda name, kind, _: kind != "table" or name in ours,
            "compare_type": True,
        }
        metadata = sa.MetaData()
        for table in tables.OURS:
            table.to_metadata(metadata)
        for name, key in (("studies", "study_id"), ("trials", "trial_id")):
            sa.Table(name, metadata, sa.Column(key, sa.Integer, primary_key=True))
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, metadata)
    return [one for one in differences if one[0] != "add_table" or one[1].name in ours]


def test_an_old_database_becomes_as_a_new_one(old_url, quick_bench):
    with sa.create_engine(old_url).connect() as connection:
        engine = connection.engine
    assert len(find_differences(engine)) == 6  # the columns that are new since
    engine.dispose()
    database = Database(old_url)
    assert find_differences(database._access.engine) == []
    assert find_differences(quick_bench.engine) == []
    database.close()


def test_an_old_database_keeps_what_it_holds(old_url):
    for _ in range(2):
        database = Database(old_url)
        study = database.get_study("study")
        complete, paused, running = database.read_trials(study.study_id)
        assert (complete.state, complete.value, complete.seconds) == ("COMPLETE", 0.25, 1.5)
        assert (paused.state, paused.intermediate) == ("WAITING", {1: 0.5})
        assert (running.state, running.retries) == ("RUNNING", 0)
        assert database.read_curves(study.study_id, 0)[0].values == (0.5, 0.25)
        database.close()
    database = Database(old_url)
    lease_id = database.open_lease(study.study_id)
    assert database.count_leases(study.study_id) == 2
    taken = database.take_over(study.study_id, lease_id)
    assert [(record.number, len(saved)) for record, saved in taken] == [(1, 1), (2, 0)]
    database.close()


def test_a_migration_that_fails_changes_nothing(old_url):
    path = old_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE archloss_trials ADD COLUMN token TEXT")
    before = list(connection.iterdump())
    with pytest.raises(StorageError, match="duplicate column name: token"):
        Database(old_url)
    assert list(connection.iterdump()) == before
    connection.close()
