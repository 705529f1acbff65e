"""Opening databases, and what is said of those that cannot be opened or written."""

import os
import sqlite3
import traceback

import optuna
import pytest
import sqlalchemy as sa

from archloss.storage import optuna_tables
from archloss.storage.database import Database
from archloss.storage.dialects import read_url
from archloss.storage.errors import StorageError, StorageURLError
from archloss.storage.tables import SCHEMA_VERSION

SECRET = "hush-hush"


def test_open_makes_missing_folders(tmp_path):
    path = tmp_path / "a" / "b {c} d" / "studies.db"
    database = Database(f"sqlite:///{path}")
    assert path.exists()
    assert database.notes == ()
    assert database.optuna_storage().get_all_studies() == []
    database.close()


def test_open_sets_what_sqlite_forgets(url):
    database = Database(url, busy_timeout_s=7.0)
    wanted = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 7000}
    for engine in (database._access.engine, database.optuna_storage()._backend.engine):
        with engine.connect() as connection:
            for name, value in wanted.items():
                assert connection.exec_driver_sql(f"PRAGMA {name}").scalar() == value
    database.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("studies.db", "must look like sqlite:///FILE"),
        ("", "must look like sqlite:///FILE"),
        (f"mysql://me:{SECRET}@host/db", "must be sqlite:///FILE or .* its scheme is 'mysql'"),
        (f"postgres://me:{SECRET}@host/db", "its scheme is 'postgres'"),
        (f"postgresql+psycopg2://me:{SECRET}@host/db", r"scheme must be postgresql.*psycopg2"),
        (f"postgresql://me:{SECRET}@host:port/db", "must look like"),
        (f"redis://me:{SECRET}@host/db", "its scheme is 'redis'"),
        (f"me:{SECRET}@host", "must look like"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
    ],
)
def test_open_refuses_other_urls_without_their_password(url, reason):
    with pytest.raises(StorageURLError, match=reason) as caught:
        Database(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert not isinstance(caught.value, StorageError)  # it is bad input, not a bad database


def test_open_refuses_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StorageError, match=r"folder .*file' of the database cannot be made: File exists"
    ):
        Database(f"sqlite:///{tmp_path / 'file' / 'studies.db'}")


def test_open_refuses_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(StorageError, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_open_refuses_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="permissions"):
            Database(f"sqlite:///{tmp_path / 'studies.db'}")
    finally:
        tmp_path.chmod(0o700)


def test_writing_to_a_read_only_database_is_refused(quick_bench, monkeypatch, tmp_path):
    bench = quick_bench
    path = bench.url.removeprefix("sqlite:///")
    monkeypatch.chdir(tmp_path)
    database = Database(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert database.get_study("study") == bench.study
    with pytest.raises(StorageError, match="cannot be written to"):
        database.open_lease(bench.study_id)
    database.close()
    assert not (tmp_path / "file:").exists()


@pytest.fixture
def locked(monkeypatch):
    """Nobody may write to any folder; root is told so too, who may."""
    monkeypatch.setattr("os.access", lambda _, mode: mode != os.W_OK)


def test_a_database_in_a_folder_that_cannot_be_written_is_read(quick_bench, locked, tmp_path):
    bench = quick_bench
    bench.tell(*(bench.make_complete(handle) for handle in bench.start(3)))
    trials = bench.trials()
    bench.database.close()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(before) == 1  # the file alone: SQLite would make others beside it to read it
    database = Database(bench.url)
    assert database.notes == (
        "the database lies in a folder that cannot be written to: it is only read",
    )
    assert database.get_study("study") == bench.study
    assert database.read_trials(bench.study_id) == trials
    assert len(database.optuna_storage().get_all_trials(bench.study_id)) == 3
    with pytest.raises(StorageError, match=r"cannot be written to.* a copy will do"):
        database.open_lease(bench.study_id)
    database.close()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_others_write_meanwhile_is_read_too(quick_bench, locked):
    bench = quick_bench
    bench.database.close()
    reader = Database(bench.url)
    assert reader.read_trials(bench.study_id) == []
    writer = sqlite3.connect(bench.url.removeprefix("sqlite:///"))
    writer.execute("UPDATE studies SET study_name = 'renamed'")
    writer.commit()
    assert [study.name for study in reader.list_studies()] == ["renamed"]
    writer.close()
    assert [study.name for study in reader.list_studies()] == ["renamed"]
    reader.close()


@pytest.mark.parametrize("content", ["this is no database" * 99, "PK\3\4" * 999])
def test_open_refuses_a_file_that_is_not_a_database(tmp_path, content):
    path = tmp_path / "studies.db"
    path.write_text(content)
    with pytest.raises(StorageError, match="is not a database"):
        Database(f"sqlite:///{path}")
    assert path.read_text() == content


def test_a_locked_database_is_said_to_be_locked(quick_bench):
    database = Database(quick_bench.url, busy_timeout_s=0.1)
    path = quick_bench.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="it is locked: another program"):
            database.open_lease(quick_bench.study_id)
        assert database.read_trials(quick_bench.study_id) == []
    other.close()
    database.close()


def test_a_full_disk_is_said_to_be_full_and_nothing_is_half_written(quick_bench):
    handles = quick_bench.start(4)
    before = quick_bench.trials()
    engine = quick_bench.engine
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    curves = (quick_bench.make_curve([0.5] * 10_000),)
    tells = [quick_bench.make_complete(handle, curves=curves) for handle in handles]
    with pytest.raises(StorageError, match=r"disk is full. Make room and launch again"):
        quick_bench.tell(*tells)
    assert quick_bench.trials() == before
    assert quick_bench.database.read_curves(quick_bench.study_id, 0) == []
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert len(quick_bench.tell(*tells)) == 4


def test_a_newer_schema_is_refused(each_bench):
    each_bench.execute(f"UPDATE archloss_schema SET version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StorageError, match=r"made by a newer archloss.*Upgrade archloss"):
        Database(each_bench.url)


def test_a_database_of_optuna_is_taken_in(empty_url):
    url = empty_url
    storage = optuna.storages.RDBStorage(url)
    study = optuna.create_study(storage=storage, study_name="theirs")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    database = Database(url)
    (line,) = database.list_studies()
    assert (line.name, line.ours, line.counts) == ("theirs", False, {"COMPLETE": 2})
    database.close()
    storage.remove_session()
    storage.engine.dispose()


def test_tables_that_optuna_itself_does_not_know_are_refused(each_bench):
    each_bench.execute("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    with pytest.raises(StorageError, match=r"Optuna cannot use the database: .*updating optuna"):
        Database(each_bench.url)


def test_models_that_changed_are_left_to_optuna(url, monkeypatch):
    changed = optuna_tables._KNOWN_COLUMNS | {"TrialModel": "trial_id number and more"}
    monkeypatch.setattr(optuna_tables, "_KNOWN_COLUMNS", changed)
    database = Database(url)
    assert "through Optuna itself" in database.notes[0]
    database.close()


def open_and_close(url: str) -> tuple[str, ...]:
    database = Database(url)
    notes = database.notes
    database.close()
    return notes


def test_many_processes_may_make_the_tables_at_once(make_empty_url, processes):
    for _ in range(3):
        url = make_empty_url()
        assert list(processes.map(open_and_close, [url] * 8)) == [()] * 8
        engine = sa.create_engine(read_url(url))
        with engine.connect() as connection:
            for table in ("version_info", "alembic_version", "archloss_schema"):
                assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 1
        engine.dispose()
