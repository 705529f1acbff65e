"""What holds for PostgreSQL alone: URLs, passwords, connections, migrations."""

import logging
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import optuna
import psycopg
import pytest
import sqlalchemy as sa

from archloss.storage import leases, postgres, tables
from archloss.storage.database import Database
from archloss.storage.dialects import read_clock_s, read_up_since_s
from archloss.storage.errors import StorageError, StorageURLError
from archloss.storage.records import TrialTell

SECRET = "hush-hush"


def refuse(url, reason):
    """Open a URL that must be refused; return all that is said, with the traceback."""
    with pytest.raises(StorageError, match=reason) as caught:
        Database(url)
    return "".join(traceback.format_exception(caught.value))


def test_without_psycopg_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageURLError, match=r"pip install 'archloss\[postgresql\]'"):
        Database("postgresql://me@127.0.0.1/studies")


def test_the_driver_may_be_named(postgres_url):
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    database = Database(url)
    assert database.list_studies() == []
    database.close()


def test_refusals_say_what_to_do_and_no_password(postgres_server, postgres_url, caplog):
    right, port = postgres_server.password, str(postgres_server.port)
    wrong_password = postgres_url.replace(right, SECRET)
    with caplog.at_level(logging.DEBUG):
        said = [
            refuse(wrong_password, "password authentication failed.*in PGPASSWORD or in"),
            refuse(f"{postgres_url}-not", r"does not exist\. Make it on the server first"),
            refuse(postgres_url.replace(port, "1"), r"refused.*Start the server, or correct"),
            refuse(postgres_url.replace("127.0.0.1", "no-host.invalid"), "Correct the host"),
            refuse(f"{postgres_url}?colour=blue", "colour"),
            refuse(f"{postgres_url}?sslmode=require", "does not support SSL"),
            refuse(f"{postgres_url.replace(right, 'x')}?password={SECRET}", "authentication"),
        ]
    for secret in (right, SECRET):
        assert not any(secret in text for text in [*said, caplog.text])


def test_a_user_who_may_not_make_tables_is_told_so(postgres_server):
    url = postgres_server.create_database("forbidden")
    postgres_server.execute(f"CREATE USER guest PASSWORD '{SECRET}'")
    guest = url.replace(f"archloss:{postgres_server.password}", f"guest:{SECRET}")
    if int(postgres_server.execute("SHOW server_version_num")[0][0]) < 150000:
        with psycopg.connect(url) as connection:
            connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    assert SECRET not in refuse(guest, "permission denied for schema public.*GRANT CREATE")
    postgres_server.drop_database("forbidden")
    postgres_server.execute("DROP USER guest")


def test_the_password_may_come_from_elsewhere_and_is_shown_nowhere(
    postgres_server, postgres_url, tmp_path, monkeypatch
):
    right = postgres_server.password
    bare = postgres_url.replace(f":{right}", "")
    refuse(bare, "no password supplied.*PGPASSWORD")
    with monkeypatch.context() as patch:
        patch.setenv("PGPASSWORD", right)
        database = Database(bare)
        assert database.optuna_storage().get_all_studies() == []
        database.close()
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:*:*:archloss:{right}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    Database(bare).close()
    for url in (postgres_url, f"{postgres_url.replace(right, 'x')}?password={right}"):
        database = Database(url)
        assert right not in f"{database!r} {database.notes}"
        assert "127.0.0.1" in repr(database)
        database.close()


def test_a_driver_has_few_connections(postgres_server, make_bench, postgres_url):
    bench = make_bench(postgres_url)
    name = postgres_url.rpartition("/")[2]
    most = postgres.POOL_SIZE + postgres.POOL_OVERFLOW

    def work(_):
        for _ in range(5):
            (handle,) = bench.start(1)
            bench.tell(bench.make_complete(handle))
            bench.trials()
        return postgres_server.count_connections(name)

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(8))) <= most
    study = optuna.load_study(study_name="study", storage=bench.database.optuna_storage())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: study.trials, range(8)))
    assert postgres_server.count_connections(name) <= 2 * most
    bench.database.close()
    assert postgres_server.count_connections(name) == 0


def test_a_reader_sees_one_moment(make_bench, postgres_url):
    """What another driver commits between the statements of one reading is not half seen."""
    bench = make_bench(postgres_url)
    (handle,) = bench.start(1)
    done = []

    def finish(_connection, _cursor, statement, *_):
        if "FROM trial_values" in statement and not done:
            done.append(Database(postgres_url))
            done[0].tell(bench.lease_id, [bench.make_complete(handle, 0.5)], keep_weights=0)

    sa.event.listen(bench.engine, "after_cursor_execute", finish)
    (trial,) = bench.trials()
    assert (trial.state, trial.value, trial.outcome) == ("RUNNING", None, None)
    (trial,) = bench.trials()
    assert (trial.state, trial.value) == ("COMPLETE", 0.5)
    done[0].close()


def test_text_that_postgresql_has_no_place_for_is_replaced(make_bench, postgres_url):
    bench = make_bench(postgres_url)
    (handle,) = bench.start(1)
    failed = TrialTell(trial_id=handle.trial_id, state="FAIL", message="a\0b \ud800 ü")
    assert bench.tell(failed) == {handle.trial_id}
    assert bench.trials()[0].message == "a\N{REPLACEMENT CHARACTER}b ? ü"


def test_while_the_server_was_away_no_driver_is_given_up(make_bench, postgres_url, monkeypatch):
    """Of a driver on another machine one sees only the sign of life, which it could not give."""
    bench = make_bench(postgres_url)
    bench.start(1)
    bench.execute("UPDATE archloss_leases SET host = 'elsewhere', renewed_s = renewed_s - 61")
    other = bench.database.open_lease(bench.study_id)
    now = time.time()
    monkeypatch.setattr(leases, "read_up_since_s", lambda _: now - 30)
    assert bench.database.take_over(bench.study_id, other) == []
    monkeypatch.setattr(leases, "read_up_since_s", lambda _: now - 90)
    assert len(bench.database.take_over(bench.study_id, other)) == 1


def test_the_server_says_since_when_it_is_up(postgres_server, postgres_bench):
    def read():
        with postgres_bench.engine.connect() as connection:
            return read_up_since_s(connection), read_clock_s(connection)

    first, _ = read()
    with postgres_server.stopped():
        pass
    postgres_bench.database.list_studies()
    second, now = read()
    assert first < second < now < second + 60


def test_an_old_database_is_brought_up_to_date(make_bench, postgres_url):
    bench = make_bench(postgres_url)
    for table, column in (
        ("studies", "stop_requested_s"),
        ("leases", "opened_s"),
        ("leases", "kernel"),
        ("leases", "token"),
        ("trials", "retries"),
        ("trials", "token"),
    ):
        bench.execute(f"ALTER TABLE archloss_{table} DROP COLUMN {column}")
    bench.execute("UPDATE archloss_schema SET version = 1")
    with ThreadPoolExecutor(4) as pool:
        for database in pool.map(lambda _: Database(postgres_url), range(4)):
            assert database.count_leases(bench.study_id) == 1
            database.close()
    inspected = sa.inspect(bench.engine)
    for table in tables.OURS:
        columns = {column["name"] for column in inspected.get_columns(table.name)}
        assert columns == {column.name for column in table.columns}
    assert len(bench.database.list_drivers(bench.study_id)) == 1
