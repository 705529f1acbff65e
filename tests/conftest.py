"""What all tests may use: a PostgreSQL server, and fresh databases on it."""

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest

from archloss.storage.database import Database

sys.path.insert(0, str(Path(__file__).parent / "shared"))  # for what tests of several folders use

_SERVER = Path(__file__).parents[1] / "benchmarks" / "postgres_server.py"
_TEMPLATE = "archloss_template"


def load_server_module():
    """Import the module that benchmarks also use, which lies outside any package."""
    if "postgres_server" not in sys.modules:
        spec = importlib.util.spec_from_file_location("postgres_server", _SERVER)
        module = importlib.util.module_from_spec(spec)
        sys.modules["postgres_server"] = module
        spec.loader.exec_module(module)
    return sys.modules["postgres_server"]


@pytest.fixture(scope="session")
def postgres_server():
    """A server for the whole session; whoever stops it starts it again."""
    with load_server_module().PostgresServer() as server:
        Database(server.create_database(_TEMPLATE)).close()
        yield server


@pytest.fixture
def postgres_url(postgres_server):
    """A fresh database with all tables and nothing in them."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name, template=_TEMPLATE)
    postgres_server.drop_database(name)


_numbers = itertools.count()
