"""What archloss writes is an ordinary Optuna study: Optuna and its dashboard read all of it."""

import io
import json
import math
from wsgiref.util import setup_testing_defaults

import numpy as np
import optuna
import pytest

from archloss.spaces.outcome import Outcome
from archloss.storage.database import StudyExistsError, StudyNotFoundError
from archloss.storage.records import TrialTell


@pytest.fixture
def filled(bench):
    """A study with a trial in every state, finite values and others."""
    complete, infinite, pruned, failed, paused, _running = bench.start(6)
    bench.tell(
        bench.make_complete(complete, 0.25, intermediate={1: 0.5, 3: 0.25}, seconds=1.5),
        bench.make_complete(infinite, math.inf, intermediate={1: math.nan, 3: -math.inf}),
        TrialTell(
            trial_id=pruned.trial_id,
            state="PRUNED",
            outcome=Outcome.PRUNED,
            intermediate={1: 0.75},
            seconds=0.5,
        ),
        TrialTell(trial_id=failed.trial_id, state="FAIL", outcome=Outcome.LOST, message="gone"),
        TrialTell(trial_id=paused.trial_id, state="WAITING", intermediate={1: 0.5}),
    )
    return bench


def load_plainly(bench):
    """Load the study as a stranger would: by its URL alone."""
    storage = optuna.storages.RDBStorage(bench.url.replace("postgresql:", "postgresql+psycopg:"))
    return optuna.load_study(study_name="study", storage=storage), storage


def close(storage):
    storage.remove_session()
    storage.engine.dispose()


def test_optuna_reads_every_value(filled):
    study, storage = load_plainly(filled)
    assert study.direction.name == "MINIMIZE"
    for ours, theirs in zip(filled.trials(), study.trials, strict=True):
        assert ours.number == theirs.number
        assert ours.state == theirs.state.name
        assert ours.value == (theirs.value if theirs.values else None)
        assert ours.params == theirs.params
        assert ours.distributions == theirs.distributions
        assert np.array_equal(
            list(ours.intermediate.items()),
            sorted(theirs.intermediate_values.items()),
            equal_nan=True,
        )
        finished = theirs.state.is_finished()
        attributes = {"outcome": ours.outcome.name, "seconds": ours.seconds} if finished else {}
        assert theirs.user_attrs == attributes
        assert (theirs.datetime_complete is not None) == finished
    assert study.best_trial.number == 0
    close(storage)


def test_times_are_those_that_optuna_would_have_written(filled):
    study, storage = load_plainly(filled)
    trial = study.ask()
    study.tell(trial, 1.0)
    ours, theirs = filled.trials()[0], filled.trials()[trial.number]
    assert 0 <= (theirs.started_at - ours.started_at).total_seconds() < 120
    assert 0 <= (theirs.finished_at - ours.finished_at).total_seconds() < 120
    duration = study.trials[0].duration
    assert 0 <= duration.total_seconds() < 120
    close(storage)


def test_trials_dataframe_holds_every_value(filled):
    study, storage = load_plainly(filled)
    frame = study.trials_dataframe()
    trials = filled.trials()
    assert list(frame["number"]) == [0, 1, 2, 3, 4, 5]
    assert list(frame["state"]) == [trial.state for trial in trials]
    assert list(frame["value"][:2]) == [0.25, math.inf]
    for name in ("depth", "residual", "ce_weight", "learning_rate", "mse_on", "width"):
        assert list(frame[f"params_{name}"]) == [trial.params[name] for trial in trials]
    assert list(frame["user_attrs_outcome"][:4]) == ["COMPLETED", "COMPLETED", "PRUNED", "LOST"]
    assert list(frame["user_attrs_seconds"][:4]) == [1.5, 0.0, 0.5, 0.0]
    close(storage)


def test_the_given_optuna_storage_sees_what_is_told_later(quick_bench):
    storage = quick_bench.database.optuna_storage()
    study = optuna.load_study(study_name="study", storage=storage)
    (handle,) = quick_bench.start(1)
    assert [trial.state.name for trial in study.trials] == ["RUNNING"]
    quick_bench.tell(quick_bench.make_complete(handle, 0.125))
    assert study.best_value == 0.125
    assert quick_bench.database.optuna_storage() is storage


def test_plain_tpe_goes_on_with_the_study(quick_bench):
    handles = quick_bench.start(20)
    tells = [
        quick_bench.make_complete(handle, trial.params["ce_weight"])
        for handle, trial in zip(handles, quick_bench.trials(), strict=True)
    ]
    quick_bench.tell(*tells)
    study, storage = load_plainly(quick_bench)
    study.sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=5)
    distributions = quick_bench.trials()[0].distributions
    for _ in range(5):
        trial = study.ask(distributions)
        study.tell(trial, trial.params["ce_weight"])
    assert [trial.number for trial in quick_bench.trials()] == list(range(25))
    assert quick_bench.database.count_states(quick_bench.study_id) == {"COMPLETE": 25}
    assert len(quick_bench.start(9, budget=30)) == 5
    later = np.mean([trial.value for trial in quick_bench.trials()[20:25]])
    assert later < np.mean([trial.value for trial in quick_bench.trials()[:20]])
    close(storage)


def ask_dashboard(storage, path):
    """GET a page of the dashboard's JSON interface, without a server."""
    from optuna_dashboard import wsgi

    environ: dict[str, object] = {}
    setup_testing_defaults(environ)
    environ |= {"PATH_INFO": path, "QUERY_STRING": "after=0", "wsgi.input": io.BytesIO()}
    statuses: list[str] = []

    def start(status: str, _headers: object, _error: object = None) -> None:
        statuses.append(status)

    body = b"".join(wsgi(storage)(environ, start))
    assert statuses == ["200 OK"]
    return json.loads(body)


def test_the_dashboard_shows_every_value(filled):
    study, storage = load_plainly(filled)
    (line,) = ask_dashboard(storage, "/api/studies")["study_summaries"]
    assert line["study_name"] == "study"
    detail = ask_dashboard(storage, f"/api/studies/{line['study_id']}")
    assert len(detail["trials"]) == 6
    for ours, shown in zip(filled.trials(), detail["trials"], strict=True):
        assert (shown["number"], shown["state"].upper()) == (ours.number, ours.state.upper())
        values = {None: None, 0.25: [0.25], math.inf: ["inf"]}[ours.value]
        assert shown.get("values") == values
        params = {pair["name"]: pair["param_external_value"] for pair in shown["params"]}
        assert params == {name: str(value) for name, value in ours.params.items()}
        steps = {pair["step"]: float(pair["value"]) for pair in shown["intermediate_values"]}
        assert np.array_equal(list(steps.items()), list(ours.intermediate.items()), equal_nan=True)
        attributes = {pair["key"]: pair["value"] for pair in shown["user_attrs"]}
        told = study.trials[ours.number].user_attrs
        assert attributes == {key: str(value) for key, value in told.items()}
    close(storage)


def test_a_study_of_another_program_is_listed_but_not_ours(quick_bench):
    _, storage = load_plainly(quick_bench)
    study = optuna.create_study(storage=storage, study_name="theirs", direction="maximize")
    for value in (1.0, 3.0, 2.0):
        study.tell(study.ask(), value)
    line = quick_bench.database.list_studies()[1]
    assert (line.name, line.ours, line.counts) == ("theirs", False, {"COMPLETE": 3})
    assert (line.best_value, line.best_number) == (3.0, 1)
    with pytest.raises(StudyNotFoundError, match="another program"):
        quick_bench.database.get_study("theirs")
    with pytest.raises(StudyNotFoundError, match="another program"):
        quick_bench.database.delete_study("theirs")
    with pytest.raises(StudyExistsError):
        quick_bench.database.create_study(
            name="theirs", spec="", digest="", fingerprint="", environment={}
        )
    close(storage)


def test_ids_that_optuna_gives_out_again_bring_nothing_of_ours_back(quick_bench):
    (handle,) = quick_bench.start(1)
    curves = (quick_bench.make_curve([0.5]),)
    quick_bench.tell(quick_bench.make_complete(handle, curves=curves))
    _, storage = load_plainly(quick_bench)
    optuna.delete_study(study_name="study", storage=storage)
    theirs = optuna.create_study(storage=storage, study_name="study")
    theirs.tell(theirs.ask(), 1.0)
    assert [line.ours for line in quick_bench.database.list_studies()] == [False]
    with pytest.raises(StudyNotFoundError, match="another program"):
        quick_bench.database.get_study("study")
    optuna.delete_study(study_name="study", storage=storage)
    quick_bench.database.create_study(
        name="study", spec="new", digest="", fingerprint="", environment={}
    )
    assert quick_bench.database.get_study("study").spec == "new"
    quick_bench.lease_id = quick_bench.database.open_lease(quick_bench.study_id)
    assert quick_bench.start(1) == [handle]
    assert quick_bench.database.read_curves(quick_bench.study_id, 0) == []
    assert quick_bench.trials()[0].outcome is None
    close(storage)
