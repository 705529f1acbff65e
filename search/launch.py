"""Launch a study, or go on with one: `archloss.launch(spec)`, and the Study that comes back."""

import importlib.util
import json
import platform
import shlex
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import optuna

import archloss
from archloss.search.confirm import make_command
from archloss.search.driver import Run, run_study
from archloss.search.executors import make_executor
from archloss.search.places import resolve_folder, resolve_ray_address, resolve_storage
from archloss.search.progress import Observer, SilentObserver
from archloss.search.scoring import score_study
from archloss.search.spec import Spec, differing_keys
from archloss.spaces.data import Dataset, Splits, load_dataset, split_dataset
from archloss.spaces.errors import ArchlossError, DataError
from archloss.storage.database import Database, StudyExistsError
from archloss.storage.records import StudyRecord, StudySummary, TrialRecord

_PACKAGES = ("torch", "optuna", "numpy", "scikit-learn", "sqlalchemy")


class StudyDiffersError(ArchlossError):
    """A study of this name exists, and was launched with another spec or on other data."""


class FolderError(ArchlossError):
    """The folder for studies cannot be used."""


class Study:
    """A study that was launched: its trials, wherever they are kept, and its own folder."""

    def __init__(self, name: str, *, database: Database, folder: Path) -> None:
        self.name = name
        self.database = database
        self.folder = folder

    def __repr__(self) -> str:
        return f"Study({self.name!r}, folder={str(self.folder)!r})"

    def optuna_study(self) -> optuna.Study:
        """Return the study as plain Optuna reads it from the same database."""
        return optuna.load_study(study_name=self.name, storage=self.database.optuna_storage())

    def trials(self) -> list[TrialRecord]:
        """Return all trials, by number."""
        return self.database.read_trials(self.database.get_study(self.name).study_id)

    def summary(self) -> StudySummary:
        """Return the counts of trials by state, and the best one."""
        return next(line for line in self.database.list_studies() if line.name == self.name)


def launch(
    spec: Spec,
    *,
    storage: str | None = None,
    folder: Path | str | None = None,
    ray_address: str | None = None,
    observer: Observer | None = None,
) -> Study:
    """Work on the study of this spec until its budget is spent, and return it.

    A study of that name is gone on with, if it was launched with the same spec (budget and
    workers aside) on the same data. `storage` is a database URL; `folder` is where the study's
    files go, and the default database. Without them come ARCHLOSS_STORAGE and ARCHLOSS_FOLDER,
    then "archloss-studies" in the current folder. With the executor "ray", `ray_address` is the
    cluster to join ("auto" for one on this machine, HOST:PORT, or ray://HOST:PORT); without it
    comes ARCHLOSS_RAY_ADDRESS, then a Ray of its own on this machine. Ctrl-C once pauses at the
    next rung and returns; twice raises KeyboardInterrupt. Raises ArchlossError for whatever the
    user can mend.
    """
    observer = observer or SilentObserver()
    dataset = load_dataset(spec.dataset, spec.target)
    splits = _split(spec, dataset)
    for note in splits.notes:
        observer.on_note(f"{spec.dataset}: {note}")
    score = score_study(spec, dataset, splits)
    stored = store_study(
        spec, fingerprint=dataset.fingerprint, storage=storage, folder=folder, observer=observer
    )
    database, study = stored.database, stored.database.get_study(spec.name)
    counts = database.count_states(study.study_id)
    finished = counts.get("COMPLETE", 0) + counts.get("PRUNED", 0)
    if spec.trials is not None and finished >= spec.trials:
        more = "" if spec.plan else f". `trials` above {finished} makes it go on"
        observer.on_note(
            f"study {spec.name!r} has its {finished} trials already: nothing was run{more}"
        )
    else:
        run = Run(database=database, study=study, spec=spec, score=score)
        _work(run, resolve_ray_address(ray_address), observer)
        _publish(database, study, observer)
    return stored


def store_study(
    spec: Spec,
    *,
    fingerprint: str,
    storage: str | None = None,
    folder: Path | str | None = None,
    observer: Observer | None = None,
) -> Study:
    """Store the study of this spec on data with this fingerprint, without training anything.

    One of that name is returned as it is, if it has the same spec and data. Raises ArchlossError
    for whatever the user can mend.
    """
    home = resolve_folder(folder)
    own = home / spec.name
    _make_folder(own)
    database = Database(resolve_storage(storage, home))
    for note in database.notes:
        (observer or SilentObserver()).on_note(note)
    _open_or_create(database, spec, fingerprint)
    return Study(spec.name, database=database, folder=own)


def open_study(name: str, *, storage: str | None = None, folder: Path | str | None = None) -> Study:
    """Return a study that was launched before, without running anything."""
    home = resolve_folder(folder)
    database = Database(resolve_storage(storage, home))
    database.get_study(name)
    return Study(name, database=database, folder=home / name)


def _split(spec: Spec, dataset: Dataset) -> Splits:
    recipe = spec.make_recipe()
    return split_dataset(
        dataset,
        validation_fraction=recipe.validation_fraction,
        test_fraction=recipe.test_fraction,
        seed=recipe.find_split_seed(0),
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(
            f"the folder {str(folder)!r} cannot be made: {error.strerror}. "
            "Choose another with --folder or ARCHLOSS_FOLDER"
        ) from error


def _open_or_create(database: Database, spec: Spec, fingerprint: str) -> StudyRecord:
    try:
        return database.create_study(
            name=spec.name,
            spec=spec.to_json(),
            digest=spec.digest(),
            fingerprint=fingerprint,
            environment=describe_environment(),
        )
    except StudyExistsError:
        study = database.get_study(spec.name)
    if study.digest != spec.digest():
        raise StudyDiffersError(_explain_difference(spec, Spec.from_json(study.spec)))
    if study.fingerprint != fingerprint:
        raise DataError(
            f"the data of study {spec.name!r} have changed: {spec.dataset!r} had the fingerprint "
            f"{study.fingerprint}, and has {fingerprint} now. Bring the old data back, or launch "
            "under another name"
        )
    return study


def _explain_difference(spec: Spec, old: Spec) -> str:
    if old.plan is not None:
        command = make_command(old.plan.confirms, spec.name)
        return (
            f"study {spec.name!r} exists, and is an experiment that confirms "
            f"{old.plan.confirms!r}, with a plan of its own: `{command}` goes on with it, or take "
            "another name"
        )
    if spec.plan is not None:
        return (
            f"study {spec.name!r} exists, and is no experiment; the new one confirms "
            f"{spec.plan.confirms!r}, with a plan of its own: take another name"
        )
    keys = differing_keys(old, spec)
    lines = [f"  {key}: {_look_up(old, key)!r} then, {_look_up(spec, key)!r} now" for key in keys]
    had = {key: _look_up(old, key) for key in keys}
    way_back = [
        "--set " + shlex.quote(f"{key}={value if isinstance(value, str) else json.dumps(value)}")
        for key, value in had.items()
        if value is not None
    ]
    lacked = [
        key
        for key, value in had.items()
        # Of a range and choices the one that is set takes the other's place.
        if value is None and key.rpartition(".")[2] not in ("low", "high", "log", "choices")
    ]
    way_back += [f"without {' and '.join(lacked)}"] if lacked else []
    return "\n".join(
        [
            f"study {spec.name!r} exists, and was launched with another spec:",
            *lines,
            f"Launch under another name, or as it was: {' '.join(way_back)}",
        ]
    )


def _look_up(spec: Spec, key: str) -> object:
    """Return what a dotted key stands for; None if this spec does not have it."""
    value: object = spec.model_dump(mode="json")
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _work(run: Run, ray_address: str | None, observer: Observer) -> None:
    executor = make_executor(run.spec.workers, ray_address=ray_address)
    try:
        run_study(run, executor, observer)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            error.add_note("run it again to take up what was running")
        executor.close(now=True)
        raise
    executor.close()


def _publish(database: Database, study: StudyRecord, observer: Observer) -> None:
    """Put the answer so far on the study's page in the Optuna dashboard, if that is installed.

    Nothing that goes wrong here may fail a launch, which has done its work.
    """
    if importlib.util.find_spec("optuna_dashboard") is None:
        return
    from archloss.search.dashboard.publishing import publish

    try:
        remark = publish(database, study)
    except KeyboardInterrupt:
        remark = "the study's note in the dashboard was left as it was"
    except Exception as error:
        remark = f"the study's note in the dashboard could not be written: {error}"
    if remark is not None:
        observer.on_note(remark)


def describe_environment(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Return what a result may depend on beside the spec: versions, and the platform."""
    return {
        "archloss": archloss.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: metadata.version(name) for name in packages},
    }
