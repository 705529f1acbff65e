"""What a Database promises to several drivers on one study."""

import os
import socket
import threading

import pytest

from archloss.spaces.outcome import Outcome
from archloss.storage import leases
from archloss.storage.errors import StudyMovedError, StudyNotFoundError
from archloss.storage.records import TrialTell


def pause(handle, **rest):
    return TrialTell(trial_id=handle.trial_id, state="WAITING", **rest)


def read_numbers(bench, first_number, trial_ids=()):
    news = bench.database.read_news(bench.study_id, first_number=first_number, trial_ids=trial_ids)
    by_number = {trial.number: trial for trial in bench.trials()}
    for told in (*news.begun, *news.ended):
        assert vars(told).items() <= vars(by_number[told.number]).items()
    return [begin.number for begin in news.begun], sorted(end.number for end in news.ended)


def test_leases_are_counted_also_when_they_are_closed(bench):
    assert bench.database.count_leases(bench.study_id) == 1
    bench.database.close_lease(bench.lease_id)
    second = bench.database.open_lease(bench.study_id)
    third = bench.database.open_lease(bench.study_id)
    assert bench.database.count_leases(bench.study_id) == 3
    before = [bench.database.count_leases(bench.study_id, before=one) for one in (second, third)]
    assert before == [1, 2]
    other = bench.database.create_study(
        name="other", spec="{}", digest="d", fingerprint="f", environment={}
    )
    assert bench.database.count_leases(other.study_id) == 0


def test_leases_are_opened_one_after_another(bench):
    """A driver that starts beside another must count it as one before it, or as none."""
    opened = []
    later = threading.Thread(
        target=lambda: opened.append(bench.database.open_lease(bench.study_id))
    )
    access = bench.database._access
    with access.dialect.writing(access.engine) as connection:
        first = leases.open_lease(connection, bench.study_id, "token")
        later.start()
        later.join(timeout=0.3)
        assert not opened
    later.join()
    assert bench.database.count_leases(bench.study_id, before=first) == 1
    assert bench.database.count_leases(bench.study_id, before=opened[0]) == 2


def test_read_news_gives_later_trials_and_how_known_ones_ended(bench):
    assert read_numbers(bench, 0) == ([], [])
    handles = bench.start(9)
    bench.tell(
        bench.make_complete(handles[2], 0.5, intermediate={1: 0.75, 3: 0.5}, seconds=2.0),
        pause(handles[4], intermediate={1: 0.75}),
        TrialTell(
            trial_id=handles[6].trial_id,
            state="PRUNED",
            outcome=Outcome.PRUNED,
            intermediate={1: 0.875},
        ),
        TrialTell(trial_id=handles[7].trial_id, state="FAIL", outcome=Outcome.FAILED),
    )
    assert read_numbers(bench, 0) == (list(range(9)), [2, 6, 7])
    assert read_numbers(bench, 7) == ([7, 8], [7])
    assert read_numbers(bench, 9) == ([], [])
    ids = {handles[number].trial_id for number in (8, 7, 6, 4, 2)}
    assert read_numbers(bench, 8, ids) == ([8], [2, 6, 7])
    assert read_numbers(bench, 99, ids) == ([], [2, 6, 7])
    news = bench.database.read_news(bench.study_id, first_number=8, trial_ids=(), with_params=False)
    assert [(begin.number, begin.params) for begin in news.begun] == [(8, {})]


def test_read_news_knows_studies_apart(bench):
    other = bench.database.create_study(
        name="other", spec="{}", digest="d", fingerprint="f", environment={}
    )
    lease_id = bench.database.open_lease(other.study_id)
    for _ in range(3):
        handles = bench.start(2)
        bench.database.start_trials(other.study_id, lease_id, bench.make_starts(1), budget=None)
    bench.tell(bench.make_complete(handles[0], 0.5))
    assert read_numbers(bench, 3, [handles[0].trial_id]) == ([3, 4, 5], [4])
    ids = [handles[0].trial_id]
    news = bench.database.read_news(other.study_id, first_number=1, trial_ids=ids)
    assert [begin.number for begin in news.begun] == [1, 2]
    assert news.ended == ()


def test_read_news_reads_back_through_many_trials(quick_bench):
    quick_bench.start(400)
    for first in (0, 1, 79, 80, 335, 336, 399):
        assert read_numbers(quick_bench, first) == (list(range(first, 400)), [])


def test_start_trials_starts_nothing_in_a_study_that_moved(bench):
    starts = bench.make_starts(2)

    def start(expected_count):
        return bench.database.start_trials(
            bench.study_id, bench.lease_id, starts, budget=None, expected_count=expected_count
        )

    assert [handle.number for handle in start(0)] == [0, 1]
    with pytest.raises(StudyMovedError, match="holds 2 trials where 0 were expected"):
        start(0)
    assert len(bench.trials()) == 2
    assert [handle.number for handle in start(2)] == [2, 3]


def test_a_request_to_stop_reaches_the_drivers_of_now_and_no_later_ones(bench):
    other = bench.database.open_lease(bench.study_id)
    assert not bench.database.stop_requested(bench.lease_id)
    assert bench.database.renew_lease(bench.lease_id) is False
    bench.database.request_stop(bench.study_id)
    for lease_id in (bench.lease_id, other):
        assert bench.database.stop_requested(lease_id)
        assert bench.database.renew_lease(lease_id) is True
    later = bench.database.open_lease(bench.study_id)
    assert not bench.database.stop_requested(later)
    assert bench.database.renew_lease(later) is False
    bench.database.request_stop(bench.study_id)
    assert bench.database.renew_lease(later) is True


def test_a_request_to_stop_a_study_that_is_not_there_is_refused(bench):
    with pytest.raises(StudyNotFoundError, match="id 99"):
        bench.database.request_stop(99)


def test_list_drivers_names_the_live_ones_and_what_they_run(bench):
    finished, paused, _running = bench.start(3)
    bench.tell(bench.make_complete(finished), pause(paused))
    other = bench.database.open_lease(bench.study_id)
    first, second = bench.database.list_drivers(bench.study_id)
    assert (first.lease_id, first.running) == (bench.lease_id, 1)
    assert (second.lease_id, second.running) == (other, 0)
    for driver in (first, second):
        assert (driver.host, driver.pid) == (socket.gethostname(), os.getpid())
        assert driver.opened_s == driver.renewed_s
    bench.database.renew_lease(other)
    (_, second) = bench.database.list_drivers(bench.study_id)
    assert second.renewed_s > second.opened_s
    bench.make_lease_dead()
    bench.database.close_lease(other)
    assert bench.database.list_drivers(bench.study_id) == []


def test_retries_only_grow(bench):
    first, second = bench.start(2)
    for retries in (0, 2, 1, 0):
        rung = TrialTell(trial_id=first.trial_id, state=None, retries=retries)
        bench.tell(rung, TrialTell(trial_id=second.trial_id, state=None))
    assert [trial.retries for trial in bench.trials()] == [2, 0]
    bench.tell(pause(first, retries=3))
    other = bench.database.open_lease(bench.study_id)
    ((record, _),) = bench.database.take_over(bench.study_id, other)
    assert record.retries == 3
    failed = TrialTell(
        trial_id=first.trial_id, state="FAIL", outcome=Outcome.LOST, message="gone", retries=4
    )
    bench.tell(failed, lease_id=other)
    assert [trial.retries for trial in bench.trials()] == [4, 0]


def test_take_over_leaves_paused_what_the_budget_has_no_room_for(bench):
    handles = bench.start(7)
    bench.tell(
        *(bench.make_complete(handle) for handle in handles[:2]),
        *(pause(handle) for handle in handles[2:6]),
    )
    bench.make_lease_dead()  # it was running the last one
    other = bench.database.open_lease(bench.study_id)
    taken = bench.database.take_over(bench.study_id, other, budget=5)
    assert [record.number for record, _ in taken] == [2, 3, 6]
    assert bench.database.count_states(bench.study_id) == {
        "COMPLETE": 2,
        "RUNNING": 3,
        "WAITING": 2,
    }
    assert bench.database.take_over(bench.study_id, other, budget=5) == []
    assert [r.number for r, _ in bench.database.take_over(bench.study_id, other)] == [4, 5]


def test_take_over_pauses_what_a_dead_driver_was_running_beyond_the_budget(bench):
    handles = bench.start(4)
    saved = (bench.make_checkpoint(),)
    bench.tell(
        bench.make_complete(handles[0]),
        TrialTell(trial_id=handles[3].trial_id, state=None, checkpoints=saved),
    )
    bench.make_lease_dead()
    other = bench.database.open_lease(bench.study_id)
    assert bench.database.take_over(bench.study_id, other, budget=1) == []
    assert bench.database.count_states(bench.study_id) == {"COMPLETE": 1, "WAITING": 3}
    late = bench.make_complete(handles[3])
    assert bench.tell(late) == set()
    taken = bench.database.take_over(bench.study_id, other, budget=4)
    assert [(record.number, len(states)) for record, states in taken] == [(1, 0), (2, 0), (3, 1)]
