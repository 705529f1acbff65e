"""Optuna's own tests of storages, over the storage that a Database gives out."""

import pytest
import sqlalchemy as sa
from optuna.testing.pytest_storages import StorageTestCase

from archloss.storage.database import Database


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request, tmp_path_factory):
    """One database of each kind for all the tests, each of which finds it empty."""
    if request.param == "sqlite":
        made = Database(f"sqlite:///{tmp_path_factory.mktemp('suite') / 'studies.db'}")
    else:
        server = request.getfixturevalue("postgres_server")
        made = Database(server.create_database("optuna_suite"))
    engines = set()  # also those of copies that the tests make, and leave open

    def note(connection):
        engines.add(connection.engine)

    sa.event.listen(sa.Engine, "engine_connect", note)
    yield made
    sa.event.remove(sa.Engine, "engine_connect", note)
    made.close()
    for engine in engines:
        engine.dispose()


class TestOptunaStorage(StorageTestCase):
    @pytest.fixture
    def storage(self, database):
        storage = database.optuna_storage()
        yield storage
        for study in storage.get_all_studies():
            storage.delete_study(storage.get_study_id_from_name(study.study_name))
