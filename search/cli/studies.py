"""Opens studies for the commands that look at them, without loading torch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archloss.search.places import resolve_folder, resolve_storage
from archloss.search.report.points import make_points
from archloss.search.report.summary import Summary, summarise
from archloss.spaces.catalogue import SPACES
from archloss.spaces.design import Design
from archloss.spaces.dimensions import Value
from archloss.spaces.errors import ArchlossError

if TYPE_CHECKING:
    from archloss.search.report.points import Point
    from archloss.search.spec import Spec
    from archloss.storage.database import Database
    from archloss.storage.records import StudyRecord, TrialRecord

_SQLITE_FILE = "sqlite:///"


class NoStudiesError(ArchlossError):
    """There is no database to look into."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A study that is being looked at, with its database and its own folder."""

    database: "Database"
    record: "StudyRecord"
    spec: "Spec"
    folder: Path

    def make_design(self, params: Mapping[str, Value]) -> Design:
        """Return the design of a trial's parameters."""
        from archloss.search.distributions import to_design

        return to_design(SPACES[self.spec.space.name], self.spec.dimensions(), params)

    def read_trials(self) -> "list[TrialRecord]":
        """Return all trials, by number."""
        return self.database.read_trials(self.record.study_id)

    def read_points(self) -> "tuple[Point, ...]":
        """Return all trials as the report sees them, by number."""
        return make_points(self.read_trials(), self.make_design)

    def summarise(self) -> Summary:
        """Return the summary of what the study has seen so far."""
        return self.summarise_points(self.read_points())

    def summarise_points(self, points: "tuple[Point, ...]") -> Summary:
        """Return the summary of trials that were read already; of an experiment counts alone."""
        summary = summarise(
            points,
            study=self.spec.name,
            dataset=self.spec.dataset,
            objective=self.spec.objective,
            budget=self.spec.trials,
        )
        plan = self.spec.plan
        if plan is None:
            return summary
        return replace(summary, best=None, cells=(), confirms=plan.confirms)


@contextmanager
def open_database(storage: str | None, folder: Path | None) -> "Iterator[tuple[Database, Path]]":
    """Open the database for as long as the context lasts; also give the folder of studies.

    Raises NoStudiesError where it is an SQLite file that does not exist: to look must not make
    one.
    """
    from archloss.storage.database import Database

    home = resolve_folder(folder)
    url = resolve_storage(storage, home)
    if url.startswith(_SQLITE_FILE) and not Path(url.removeprefix(_SQLITE_FILE)).exists():
        raise NoStudiesError(
            f"there are no studies yet: the database {url.removeprefix(_SQLITE_FILE)!r} does not "
            "exist. `archloss launch --dataset digits` makes a first study; --storage or "
            "ARCHLOSS_STORAGE names another database, --folder or ARCHLOSS_FOLDER another folder"
        )
    database = Database(url)
    try:
        yield database, home
    finally:
        database.close()


@contextmanager
def open_study(name: str, *, storage: str | None, folder: Path | None) -> Iterator[Opened]:
    """Open one study of ours for as long as the context lasts."""
    from archloss.search.spec import Spec

    with open_database(storage, folder) as (database, home):
        record = database.get_study(name)
        spec = Spec.from_json(record.spec)
        yield Opened(database=database, record=record, spec=spec, folder=home / name)
