"""What a Database promises, by both ways into Optuna's tables."""

import math

import numpy as np
import pytest

from archloss.spaces.outcome import Outcome
from archloss.storage import leases
from archloss.storage.database import Database, StudyExistsError, StudyNotFoundError
from archloss.storage.errors import StorageError
from archloss.storage.records import Checkpoint, TrialTell


def test_create_study_gives_what_get_study_gives(bench):
    assert bench.database.get_study("study") == bench.study
    assert bench.study.environment == {"python": "3"}


def test_create_study_twice_is_refused(bench):
    with pytest.raises(StudyExistsError, match="'study' is in the database already"):
        bench.database.create_study(
            name="study", spec="", digest="", fingerprint="", environment={}
        )


def test_get_study_names_the_nearest(bench):
    with pytest.raises(StudyNotFoundError, match="did you mean 'study'"):
        bench.database.get_study("stduy")
    with pytest.raises(StudyNotFoundError, match="there are 'study'"):
        bench.database.get_study("quite-another")


def test_list_studies_counts_and_names_the_best(bench):
    first, second, _ = bench.start(3)
    bench.tell(bench.make_complete(first, 0.5), bench.make_complete(second, 0.25))
    (line,) = bench.database.list_studies()
    assert (line.name, line.ours) == ("study", True)
    assert line.counts == {"COMPLETE": 2, "RUNNING": 1}
    assert (line.best_value, line.best_number) == (0.25, 1)
    assert line.created_at == bench.study.created_at
    assert bench.database.count_states(bench.study_id) == line.counts


def test_start_trials_numbers_on_and_reads_back_every_parameter(bench):
    starts = bench.make_starts(7)
    handles = []
    for part in (starts[:4], starts[4:]):
        handles += bench.database.start_trials(bench.study_id, bench.lease_id, part, budget=None)
    assert [handle.number for handle in handles] == list(range(7))
    for start, handle, trial in zip(starts, handles, bench.trials(), strict=True):
        assert (trial.trial_id, trial.number) == (handle.trial_id, handle.number)
        assert trial.state == "RUNNING"
        assert trial.params == start.params
        assert list(trial.params) == list(start.params)
        types = {name: type(value) for name, value in start.params.items()}
        assert {name: type(value) for name, value in trial.params.items()} == types
        assert trial.distributions == start.distributions


def test_start_trials_keeps_to_the_budget(bench):
    assert len(bench.start(3, budget=5)) == 3
    assert len(bench.start(3, budget=5)) == 2
    assert bench.start(3, budget=5) == []
    assert bench.start(0, budget=None) == []


def test_start_trials_counts_all_but_failed_trials_into_the_budget(bench):
    failed, paused, pruned, complete = bench.start(4)
    bench.tell(
        TrialTell(trial_id=failed.trial_id, state="FAIL", outcome=Outcome.FAILED, message="no"),
        TrialTell(trial_id=paused.trial_id, state="WAITING"),
        TrialTell(trial_id=pruned.trial_id, state="PRUNED", outcome=Outcome.PRUNED),
        bench.make_complete(complete),
    )
    assert len(bench.start(9, budget=5)) == 2
    assert len(bench.trials()) == 6


def test_tell_writes_everything_of_a_finished_trial(bench):
    (handle,) = bench.start(1)
    curves = (
        bench.make_curve([0.9, 0.8], replicate=0),
        bench.make_curve([0.7, math.inf], replicate=1, metric="train_loss"),
    )
    test = {0: {"error": 0.25, "ece": math.nan}, 1: {"error": 0.5, "ece": 0.125}}
    told = bench.make_complete(
        handle, 0.5, intermediate={2: 0.75, 4: math.inf}, curves=curves, seconds=1.5, test=test
    )
    assert bench.tell(told) == {handle.trial_id}
    (trial,) = bench.trials()
    assert (trial.state, trial.value) == ("COMPLETE", 0.5)
    assert (trial.outcome, trial.message, trial.seconds) == (Outcome.COMPLETED, None, 1.5)
    assert trial.intermediate == {2: 0.75, 4: math.inf}
    assert trial.finished_at >= trial.started_at
    assert sorted(bench.database.read_curves(bench.study_id, 0), key=lambda c: c.replicate) == [
        *curves
    ]
    read = bench.database.read_test(bench.study_id, 0)
    assert math.isnan(read[0].pop("ece"))
    assert read == {0: {"error": 0.25}, 1: {"error": 0.5, "ece": 0.125}}


def test_one_metric_of_many_trials_is_read_at_once(bench):
    first, second, third, running = bench.start(4)
    for handle, values in ((first, [0.5, 0.25]), (second, [0.75, math.inf])):
        rungs = [
            bench.make_curve([value], replicate=replicate, first_epoch=epoch)
            for epoch, value in enumerate(values, start=1)
            for replicate in (0, 1)
        ]
        curves = (*rungs, bench.make_curve([9.0], metric="train_loss"))
        test = {0: {"test_error": values[0]}, 1: {"test_error": 0.125, "test_nll": 2.0}}
        bench.tell(bench.make_complete(handle, curves=curves, test=test))
    bench.tell(bench.make_complete(third, curves=(bench.make_curve([0.1]),)))
    wanted = [first.trial_id, second.trial_id, running.trial_id]
    read = bench.database.read_metric(bench.study_id, wanted, "validation_error")
    assert read == {
        first.trial_id: tuple(bench.make_curve([0.5, 0.25], replicate=r) for r in (0, 1)),
        second.trial_id: tuple(bench.make_curve([0.75, math.inf], replicate=r) for r in (0, 1)),
    }
    assert bench.database.read_tests(bench.study_id, wanted, "test_error") == {
        first.trial_id: {0: 0.5, 1: 0.125},
        second.trial_id: {0: 0.75, 1: 0.125},
    }
    other = bench.database.create_study(
        name="other", spec="{}", digest="d", fingerprint="f", environment={}
    )
    assert bench.database.read_metric(other.study_id, wanted, "validation_error") == {}
    assert bench.database.read_tests(other.study_id, wanted, "test_error") == {}


@pytest.mark.parametrize("value", [math.inf, -math.inf, 0.0, 1e-300, 1e300])
def test_tell_keeps_any_value(bench, value):
    (handle,) = bench.start(1)
    bench.tell(bench.make_complete(handle, value, intermediate={1: value, 2: math.nan}))
    (trial,) = bench.trials()
    assert trial.value == value
    assert trial.intermediate[1] == value
    assert math.isnan(trial.intermediate[2])


def test_tell_refuses_what_optuna_does_not_know(bench):
    (handle,) = bench.start(1)
    with pytest.raises(ValueError, match="must have a value"):
        bench.tell(bench.make_complete(handle, math.nan))
    with pytest.raises(ValueError, match="only a COMPLETE trial has a value"):
        bench.tell(TrialTell(trial_id=handle.trial_id, state="PRUNED", value=1.0))


def test_tell_joins_the_curves_of_rungs(bench):
    (handle,) = bench.start(1)
    for first, values in ((1, [0.9, 0.8]), (3, [0.7]), (1, [0.9, 0.8]), (4, [0.6, 0.5])):
        curves = (bench.make_curve(values, first_epoch=first),)
        bench.tell(TrialTell(trial_id=handle.trial_id, state=None, curves=curves))
    whole = bench.make_curve([0.9, 0.8, 0.7, 0.6, 0.5])
    assert bench.database.read_curves(bench.study_id, 0) == [whole]


def test_tell_keeps_the_first_intermediate_value_of_an_epoch(bench):
    (handle,) = bench.start(1)
    for value in (0.5, 0.75):
        bench.tell(TrialTell(trial_id=handle.trial_id, state=None, intermediate={3: value}))
    assert bench.trials()[0].intermediate == {3: 0.5}
    assert bench.trials()[0].state == "RUNNING"


def test_tell_refuses_a_trial_that_is_finished(bench):
    (handle,) = bench.start(1)
    bench.tell(bench.make_complete(handle, 0.5))
    late = bench.make_complete(handle, 0.1, curves=(bench.make_curve([0.1]),), intermediate={9: 1})
    before = bench.trials()
    assert bench.tell(late) == set()
    assert bench.trials() == before
    assert bench.database.read_curves(bench.study_id, 0) == []


def test_tell_refuses_a_trial_under_another_lease_and_takes_the_rest(bench):
    mine = bench.start(2)
    other = bench.database.open_lease(bench.study_id)
    (theirs,) = bench.start(1, lease_id=other)
    told = [bench.make_complete(handle, 0.5) for handle in (*mine, theirs)]
    assert bench.tell(*told) == {handle.trial_id for handle in mine}
    assert [trial.state for trial in bench.trials()] == ["COMPLETE", "COMPLETE", "RUNNING"]


def test_tell_without_tells_is_nothing(bench):
    assert bench.tell() == set()


def test_take_over_leaves_the_trials_of_a_live_driver(bench):
    bench.start(2)
    other = bench.database.open_lease(bench.study_id)
    assert bench.database.take_over(bench.study_id, other) == []


def test_take_over_takes_what_a_dead_driver_was_running(bench):
    told, untold = bench.start(2)
    saved = (bench.make_checkpoint(0), bench.make_checkpoint(1))
    bench.tell(
        TrialTell(
            trial_id=told.trial_id,
            state=None,
            intermediate={3: 0.5},
            checkpoints=saved,
            seconds=2.0,
        )
    )
    bench.make_lease_dead()
    other = bench.database.open_lease(bench.study_id)
    taken = bench.database.take_over(bench.study_id, other)
    assert [record.number for record, _ in taken] == [0, 1]
    assert {record.state for record, _ in taken} == {"RUNNING"}
    record, checkpoints = taken[0]
    assert record.intermediate == {3: 0.5}
    assert record.seconds == 2.0
    for wanted, got in zip(saved, checkpoints, strict=True):
        assert (wanted.replicate, wanted.epochs_done, wanted.steps) == (
            got.replicate,
            got.epochs_done,
            got.steps,
        )
        assert list(wanted.arrays) == sorted(got.arrays, key=list(wanted.arrays).index)
        for name, array in wanted.arrays.items():
            assert got.arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(got.arrays[name], array)
    assert taken[1][1] == ()
    assert bench.tell(bench.make_complete(told, 0.1)) == set()
    assert bench.tell(bench.make_complete(told, 0.1), lease_id=other) == {told.trial_id}
    assert bench.tell(bench.make_complete(untold, 0.2), lease_id=other) == {untold.trial_id}


def test_take_over_takes_what_a_closed_lease_left(bench):
    bench.start(1)
    bench.database.close_lease(bench.lease_id)
    other = bench.database.open_lease(bench.study_id)
    assert len(bench.database.take_over(bench.study_id, other)) == 1
    assert bench.database.take_over(bench.study_id, other) == []


def test_take_over_takes_a_paused_trial_once(bench):
    (handle,) = bench.start(1)
    pause = TrialTell(
        trial_id=handle.trial_id, state="WAITING", checkpoints=(bench.make_checkpoint(),)
    )
    bench.tell(pause)
    assert bench.database.count_states(bench.study_id) == {"WAITING": 1}
    first, second = (bench.database.open_lease(bench.study_id) for _ in range(2))
    ((record, checkpoints),) = bench.database.take_over(bench.study_id, first)
    assert (record.trial_id, record.state) == (handle.trial_id, "RUNNING")
    assert checkpoints[0].epochs_done == 3
    assert bench.database.take_over(bench.study_id, second) == []


def test_take_over_waits_for_a_driver_in_another_container(bench, monkeypatch):
    """Of which one cannot see the process, only the sign of life."""
    monkeypatch.setattr(leases, "read_up_since_s", lambda _: 0.0)
    bench.start(1)
    bench.execute("UPDATE archloss_leases SET host = 'elsewhere', process_started_s = 1")
    assert bench.database.take_over(bench.study_id, bench.database.open_lease(bench.study_id)) == []
    older = "UPDATE archloss_leases SET renewed_s = renewed_s - 61"
    bench.execute(older)
    bench.database.renew_lease(bench.lease_id)
    assert bench.database.take_over(bench.study_id, bench.database.open_lease(bench.study_id)) == []
    bench.execute(older)
    last = bench.database.open_lease(bench.study_id)
    assert len(bench.database.take_over(bench.study_id, last)) == 1


def test_take_over_leaves_what_another_program_enqueued(bench):
    import optuna

    bench.start(1)
    study = optuna.load_study(study_name="study", storage=bench.database.optuna_storage())
    study.enqueue_trial({"depth": 3})
    other = bench.database.open_lease(bench.study_id)
    assert bench.database.take_over(bench.study_id, other) == []
    assert len(bench.start(9, budget=3)) == 2


def test_finishing_a_trial_deletes_its_checkpoints(bench):
    (handle,) = bench.start(1)
    saved = (bench.make_checkpoint(),)
    bench.tell(TrialTell(trial_id=handle.trial_id, state=None, checkpoints=saved))
    bench.tell(bench.make_complete(handle))
    assert bench.count_rows()["archloss_arrays"] == 0


def test_weights_are_kept_of_the_best_trials_only(bench):
    handles = bench.start(5)
    for handle, value in zip(handles, (0.5, 0.3, 0.4, 0.3, 0.2), strict=True):
        weights = (bench.make_checkpoint(0), bench.make_checkpoint(1))
        bench.tell(bench.make_complete(handle, value, weights=weights), keep_weights=2)
    kept = {
        number: [w.replicate for w in bench.database.read_weights(bench.study_id, number)]
        for number in range(5)
    }
    assert kept == {0: [], 1: [0, 1], 2: [], 3: [], 4: [0, 1]}


def test_read_of_a_trial_that_is_not_there_says_so(bench):
    with pytest.raises(StorageError, match="has no trial 3"):
        bench.database.read_curves(bench.study_id, 3)


def test_delete_study_leaves_no_row_behind(bench):
    (handle,) = bench.start(1)
    bench.tell(
        bench.make_complete(
            handle,
            intermediate={1: 0.5},
            curves=(bench.make_curve([0.5]),),
            weights=(bench.make_checkpoint(),),
            test={0: {"error": 0.5}},
        ),
        keep_weights=1,
    )
    bench.database.delete_study("study")
    assert bench.database.list_studies() == []
    left = {name for name, count in bench.count_rows().items() if count}
    assert left == {"alembic_version", "version_info", "archloss_schema"}
    with pytest.raises(StudyNotFoundError):
        bench.database.delete_study("study")


def test_a_driver_whose_study_was_deleted_is_told_so(bench):
    (handle,) = bench.start(1)
    bench.database.delete_study("study")
    with pytest.raises(StudyNotFoundError, match="deleted meanwhile"):
        bench.tell(bench.make_complete(handle))


def test_studies_do_not_mix(bench):
    other = bench.database.create_study(
        name="other", spec="{}", digest="d", fingerprint="f", environment={}
    )
    bench.start(2)
    lease_id = bench.database.open_lease(other.study_id)
    handles = bench.database.start_trials(other.study_id, lease_id, bench.make_starts(2), budget=2)
    assert [handle.number for handle in handles] == [0, 1]
    assert len(bench.trials()) == 2
    assert len(bench.start(9, budget=3)) == 1
    bench.database.delete_study("other")
    assert len(bench.trials()) == 3


def test_the_way_in_says_when_it_is_slow(bench, way):
    note = "".join(bench.database.notes)
    assert ("through Optuna itself" in note) is (way == "slow")


def test_a_database_can_be_opened_again(bench):
    bench.start(2)
    again = Database(bench.url)
    assert again.read_trials(bench.study_id) == bench.trials()
    again.close()


def test_states_of_any_size_are_kept_as_they_are(bench):
    (handle,) = bench.start(1)
    saved = [
        Checkpoint(replicate=r, epochs_done=1, steps=1, arrays={"weights": np.arange(float(size))})
        for r, size in enumerate((0, 1, 100_000))
    ]
    bench.tell(TrialTell(trial_id=handle.trial_id, state="WAITING", checkpoints=tuple(saved)))
    ((_, states),) = bench.database.take_over(bench.study_id, bench.lease_id)
    for wanted, got in zip(saved, states, strict=True):
        np.testing.assert_array_equal(got.arrays["weights"], wanted.arrays["weights"])
