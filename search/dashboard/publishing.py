"""Puts a study's answer on its page in the Optuna dashboard: a note, and two plots."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import optuna

import archloss
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.confirm.findings import make_findings
from archloss.search.confirm.results import IncompleteError, read_experiment
from archloss.search.dashboard.note import make_excuse, make_note
from archloss.search.dashboard.plots import Plot, plot_best, plot_nothing, plot_surface
from archloss.search.memory import MemoryStorage
from archloss.search.report.answer.asking import Asked, ask
from archloss.search.report.answer.findings import Findings
from archloss.search.spec import Spec

if TYPE_CHECKING:
    from archloss.storage.database import Database
    from archloss.storage.records import StudyRecord

PUBLISHED = "archloss:published"
"""The attribute of a study that says what was published, and from which trials."""
PLOTS = ("archloss-best-mix", "archloss-surface")
"""The ids of the plots; one with a colon would break the dashboard's page."""
_PLOT_KEY = "dashboard:plot_data:{}:0"
_OURS = "dashboard:"
_FORMAT = 2


def publish(database: "Database", record: "StudyRecord") -> str | None:
    """Bring a study's note and plots up to date, and return what a person should know of it.

    Nothing is done where they are. A note that a person has edited is left as it is, and one that
    is empty is written anew.
    """
    attributes = database.read_attributes(record.study_id)
    stamp = _make_stamp(database, record)
    if attributes.get(PUBLISHED, {}).get("of") == stamp and _read_note(attributes):
        return None
    try:
        findings = _find_answer(database, record)
    except (AnalysisError, IncompleteError) as error:
        note = make_excuse(record.name, str(error))
        plots = {name: plot_nothing() for name in PLOTS if _PLOT_KEY.format(name) in attributes}
    else:
        note = make_note(findings)
        plots = dict(zip(PLOTS, (plot_best(findings), plot_surface(findings)), strict=True))
    changed, remark = compose(attributes, stamp=stamp, note=note, plots=plots)
    database.write_attributes(record.study_id, changed)
    return remark


def _find_answer(database: "Database", record: "StudyRecord") -> Findings:
    """Return what a study or an experiment says; raise where it says nothing yet."""
    spec = Spec.from_json(record.spec)
    if spec.plan is not None:
        return make_findings(spec, read_experiment(spec, database.read_trials(record.study_id)))
    return ask(database, record, Asked(command=f"archloss report {shlex.quote(record.name)}"))


def _read_note(attributes: Mapping[str, Any]) -> str:
    from optuna_dashboard import get_note

    return str(get_note(_make_study(attributes)))


def compose(
    attributes: Mapping[str, Any], *, stamp: str, note: str, plots: Mapping[str, Plot]
) -> tuple[dict[str, Any], str | None]:
    """Return the attributes that change where a note and plots go to, and a remark on it.

    The dashboard's own functions write them into a study in memory, so that all can go to the
    database at once: a page that reads half a plot breaks.
    """
    from optuna_dashboard import get_note, save_note, save_plotly_graph_object

    study = _make_study(attributes)
    written = attributes.get(PUBLISHED, {}).get("note")
    now = get_note(study)
    edited = bool(now) and _hash(now) != written
    if not edited:
        save_note(study, note)
        written = _hash(note)
    for name, plot in plots.items():
        save_plotly_graph_object(study, plot, graph_object_id=name)
    after = study._storage.get_study_system_attrs(study._study_id)
    changed = {key: value for key, value in after.items() if attributes.get(key) != value}
    changed[PUBLISHED] = {"of": stamp, "note": written}
    remark = "the study's note in the dashboard was edited by hand, and is left as it is"
    return changed, f"{remark}: empty it to have the answer there" if edited else None


def _make_study(attributes: Mapping[str, Any]) -> optuna.Study:
    """Return a study in memory with what the dashboard keeps in another's attributes."""
    storage = MemoryStorage()
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a person has only the other study
    try:
        study = optuna.create_study(storage=storage)
    finally:
        optuna.logging.set_verbosity(verbosity)
    for key, value in attributes.items():
        if key.startswith(_OURS):
            storage.set_study_system_attr(study._study_id, key, value)
    return study


def _make_stamp(database: "Database", record: "StudyRecord") -> str:
    """Return what changes when the answer may: the finished trials, and who answers."""
    counts = database.count_states(record.study_id)
    finished = {state: counts.get(state, 0) for state in ("COMPLETE", "PRUNED", "FAIL")}
    goes_on = bool(database.list_drivers(record.study_id))
    return _hash(json.dumps([_FORMAT, archloss.__version__, finished, goes_on]))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
