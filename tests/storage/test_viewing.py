"""The storage behind the dashboard: what Optuna reads, sooner, and light to draw."""

import math

import optuna
import pytest

from archloss.spaces.outcome import Outcome
from archloss.storage import viewing
from archloss.storage.records import TrialTell


def tell_all(bench, handles):
    bench.tell(
        *(
            bench.make_complete(handle, 0.5 - 0.01 * handle.number, intermediate={1: 0.9, 3: 0.5})
            for handle in handles
        )
    )


def read_plainly(bench):
    """Return the trials as Optuna reads them, from the database and not from a cache."""
    url = bench.url.replace("postgresql:", "postgresql+psycopg:")
    storage = optuna.storages.RDBStorage(url)
    try:
        return storage.get_all_trials(bench.study_id)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def sort_steps(trial):
    trial.intermediate_values = dict(sorted(trial.intermediate_values.items()))
    return trial


def test_a_view_gives_the_trials_that_optuna_gives(bench):
    complete, infinite, pruned, failed, paused, _running = bench.start(6)
    bench.tell(
        bench.make_complete(complete, 0.25, intermediate={1: 0.5, 3: 0.25}, seconds=1.5),
        bench.make_complete(infinite, math.inf, intermediate={3: -math.inf}),
        TrialTell(trial_id=pruned.trial_id, state="PRUNED", outcome=Outcome.PRUNED),
        TrialTell(trial_id=failed.trial_id, state="FAIL", outcome=Outcome.LOST, message="gone"),
        TrialTell(trial_id=paused.trial_id, state="WAITING", intermediate={1: 0.5}),
    )
    view = bench.database.view_storage()
    seen = view.get_all_trials(bench.study_id)
    assert list(map(sort_steps, seen)) == list(map(sort_steps, read_plainly(bench)))
    assert view.get_best_trial(bench.study_id).number == complete.number
    waiting = view.get_all_trials(bench.study_id, states=(optuna.trial.TrialState.WAITING,))
    assert [trial.number for trial in waiting] == [paused.number]


def test_a_view_sees_what_began_and_ended_since(bench):
    view = bench.database.view_storage()
    assert view.get_all_trials(bench.study_id) == []
    first = bench.start(3)
    assert [t.state.name for t in view.get_all_trials(bench.study_id)] == ["RUNNING"] * 3
    tell_all(bench, first[1:])
    tell_all(bench, bench.start(2))
    assert list(map(sort_steps, view.get_all_trials(bench.study_id))) == list(
        map(sort_steps, read_plainly(bench))
    )


def test_a_view_of_finished_trials_reads_none_of_them_again(quick_bench, monkeypatch):
    tell_all(quick_bench, quick_bench.start(4))
    view = quick_bench.database.view_storage()
    before = view.get_all_trials(quick_bench.study_id)
    reader = type(quick_bench.database._access.optuna)
    monkeypatch.setattr(reader, "read_frozen", lambda *_: pytest.fail("read again"))
    assert view.get_all_trials(quick_bench.study_id) == before


def test_only_the_newest_trials_have_intermediate_values(quick_bench, monkeypatch):
    monkeypatch.setattr(viewing, "MOST_CURVES", 3)
    view = quick_bench.database.view_storage()
    study_id = quick_bench.study_id

    def count_steps():
        return [len(trial.intermediate_values) for trial in view.get_all_trials(study_id)]

    tell_all(quick_bench, quick_bench.start(3))
    assert count_steps() == [2, 2, 2]
    tell_all(quick_bench, quick_bench.start(2))
    assert count_steps() == [0, 0, 2, 2, 2]
    assert all(trial.intermediate for trial in quick_bench.trials())


def test_a_study_that_took_anothers_id_is_seen_anew(quick_bench):
    tell_all(quick_bench, quick_bench.start(4))
    view = quick_bench.database.view_storage()
    assert len(view.get_all_trials(quick_bench.study_id)) == 4
    quick_bench.database.delete_study("study")
    with pytest.raises(KeyError):
        view.get_all_trials(quick_bench.study_id)
    quick_bench.database.create_study(
        name="study", spec="{}", digest="d", fingerprint="f", environment={}
    )
    study_id = quick_bench.database.get_study("study").study_id
    assert view.get_all_trials(study_id) == []


def test_attributes_are_replaced_together(bench):
    database, study_id = bench.database, bench.study_id
    before = database.read_attributes(study_id)
    database.write_attributes(study_id, {"a": "x" * 5000, "b": [1, None]})
    database.write_attributes(study_id, {"b": {"c": "é"}})
    assert database.read_attributes(study_id) == before | {"a": "x" * 5000, "b": {"c": "é"}}
    storage = database.optuna_storage()
    assert storage.get_study_system_attrs(study_id)["b"] == {"c": "é"}


def test_a_stamp_changes_with_the_study_and_is_missing_while_trials_run(bench):
    database, study_id = bench.database, bench.study_id
    empty = database.stamp_study(study_id)
    handles = bench.start(2)
    assert database.stamp_study(study_id) is None
    tell_all(bench, handles)
    told = database.stamp_study(study_id)
    assert told == database.stamp_study(study_id)
    database.write_attributes(study_id, {"note": "1"})
    noted = database.stamp_study(study_id)
    database.optuna_storage().set_study_user_attr(study_id, "author", "me")
    stamps = {empty, told, noted, database.stamp_study(study_id)}
    assert len(stamps) == 4
    assert None not in stamps
    assert database.stamp_study(study_id + 1) is None
