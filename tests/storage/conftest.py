"""Databases, both ways into Optuna's tables, and trials to put into them."""

import dataclasses
import itertools
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import sqlalchemy as sa
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from archloss.spaces.outcome import Outcome
from archloss.storage import schema
from archloss.storage.database import Database
from archloss.storage.records import Checkpoint, Curve, TrialStart, TrialTell

DISTRIBUTIONS = {
    "depth": IntDistribution(1, 32, log=True),
    "residual": CategoricalDistribution((False, True)),
    "ce_weight": FloatDistribution(0.0, 1.0),
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "mse_on": CategoricalDistribution(("probabilities", "logits")),
    "width": CategoricalDistribution((16, 32)),
}


class Bench:
    """A database with one study and one lease on it, and short words for what tests do."""

    def __init__(self, url, name="study"):
        self.url = url
        self.database = Database(url)
        self.study = self.database.create_study(
            name=name, spec="{}", digest="d", fingerprint="f", environment={"python": "3"}
        )
        self.study_id = self.study.study_id
        self.lease_id = self.database.open_lease(self.study_id)

    def make_starts(self, count, seed=0):
        random = np.random.default_rng(seed)
        return [
            TrialStart(
                params={
                    "depth": int(random.integers(1, 33)),
                    "residual": bool(random.integers(2)),
                    "ce_weight": float(random.uniform()),
                    "learning_rate": float(10 ** random.uniform(-4, -1)),
                    "mse_on": ("probabilities", "logits")[random.integers(2)],
                    "width": (16, 32)[random.integers(2)],
                },
                distributions=DISTRIBUTIONS,
            )
            for _ in range(count)
        ]

    def start(self, count, *, budget=None, lease_id=None):
        lease_id = self.lease_id if lease_id is None else lease_id
        return self.database.start_trials(
            self.study_id, lease_id, self.make_starts(count), budget=budget
        )

    def tell(self, *tells, lease_id=None, keep_weights=0):
        lease_id = self.lease_id if lease_id is None else lease_id
        return self.database.tell(lease_id, tells, keep_weights=keep_weights)

    def make_complete(self, handle, value=0.5, **rest):
        tell = TrialTell(
            trial_id=handle.trial_id, state="COMPLETE", value=value, outcome=Outcome.COMPLETED
        )
        return dataclasses.replace(tell, **rest)

    def make_checkpoint(self, replicate=0, epochs_done=3):
        arrays = {
            "parameters": np.arange(5, dtype=np.float32) + replicate,
            "momentum": np.linspace(0, 1, 5),
        }
        return Checkpoint(
            replicate=replicate, epochs_done=epochs_done, steps=7 * epochs_done, arrays=arrays
        )

    def make_curve(self, values, *, replicate=0, metric="validation_error", first_epoch=1):
        return Curve(
            replicate=replicate, metric=metric, first_epoch=first_epoch, values=tuple(values)
        )

    def trials(self):
        return self.database.read_trials(self.study_id)

    def make_lease_dead(self, lease_id=None):
        """Make a lease look as if its driver was killed."""
        lease_id = self.lease_id if lease_id is None else lease_id
        self.execute(
            f"UPDATE archloss_leases SET process_started_s = 1 WHERE lease_id = {lease_id}"
        )

    @property
    def engine(self):
        return self.database._access.engine

    def execute(self, statement):
        """Change the database behind the back of archloss."""
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement))

    def count_rows(self):
        """Return how many rows each table holds."""
        with self.engine.connect() as connection:
            return {
                name: connection.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar()
                for name in sa.inspect(connection).get_table_names()
            }


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory):
    """A database with all tables and nothing in them; to copy it is quicker than to make it."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    Database(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def url(tmp_path, empty_file):
    shutil.copy(empty_file, tmp_path / "studies.db")
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture(params=["bulk", "slow", "postgresql"])
def way(request, monkeypatch):
    """The ways into Optuna's tables (the slow one is for unknown revisions), and the databases."""
    if request.param == "slow":
        monkeypatch.setattr(schema, "KNOWN_REVISION", "another")
    return request.param


@pytest.fixture
def bench(request, way):
    """A bench on which the whole contract is held."""
    made = Bench(request.getfixturevalue("postgres_url" if way == "postgresql" else "url"))
    yield made
    made.database.close()


@pytest.fixture
def quick_bench(url):
    """A bench on SQLite alone, by the bulk way."""
    made = Bench(url)
    yield made
    made.database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def each_url(request):
    """A fresh database of either kind."""
    name = {"sqlite": "url", "postgresql": "postgres_url"}[request.param]
    return request.getfixturevalue(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def make_empty_url(request, tmp_path):
    """A function that gives the URL of a new database without any tables."""
    if request.param == "sqlite":
        numbers = itertools.count()
        yield lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"
        return
    server = request.getfixturevalue("postgres_server")
    names = []

    def make():
        names.append(f"empty_{len(names)}")
        return server.create_database(names[-1])

    yield make
    for name in names:
        server.drop_database(name)


@pytest.fixture(scope="session")
def processes():
    """Four processes of their own, which have loaded what they need before they race."""
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(time.sleep, [0.5] * 4))
        yield pool


@pytest.fixture
def empty_url(make_empty_url):
    return make_empty_url()


@pytest.fixture
def each_bench(each_url):
    """A bench on either kind of database, by the bulk way."""
    made = Bench(each_url)
    yield made
    made.database.close()


@pytest.fixture
def postgres_bench(postgres_url):
    made = Bench(postgres_url)
    yield made
    made.database.close()


@pytest.fixture
def make_bench():
    made = []

    def make(url, name="study"):
        made.append(Bench(url, name))
        return made[-1]

    yield make
    for bench in made:
        bench.database.close()
