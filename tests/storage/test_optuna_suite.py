"""Optuna's own tests of storages, over the storage that a Database gives out."""

import pytest
import sqlalchemy as sa
from optuna.testing.pytest_storages import StorageTestCase

from archloss.storage.database import Database


class TestOptunaStorage(StorageTestCase):
    @pytest.fixture
    def storage(self, each_url):
        engines = set()  # also those of copies that the tests make, and leave open

        def note(connection):
            engines.add(connection.engine)

        sa.event.listen(sa.Engine, "engine_connect", note)
        database = Database(each_url)
        yield database.optuna_storage()
        database.close()
        sa.event.remove(sa.Engine, "engine_connect", note)
        for engine in engines:
            engine.dispose()
