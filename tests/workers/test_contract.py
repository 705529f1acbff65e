"""One contract, kept by every executor."""

import numpy as np
import pytest

from archloss.spaces.errors import DataError
from archloss.workers.executor import HeldLostError
from archloss.workers.inline import InlineExecutor


class Gone:
    def fetch(self):
        raise HeldLostError("gone with its machine")


def test_submit_returns_each_result_to_its_future(executor, jobs):
    futures = [executor.submit(jobs.square, number) for number in range(20)]
    assert [future.result(30) for future in futures] == [number**2 for number in range(20)]


def test_submit_keeps_arrays_bit_for_bit(executor, jobs):
    array = np.random.default_rng(0).normal(size=(300, 1000))
    np.testing.assert_array_equal(executor.submit(jobs.double, array).result(30), array * 2)


def test_submit_gives_the_exception_to_the_future(executor, jobs):
    future = executor.submit(jobs.fail, "no such column")
    with pytest.raises(DataError, match="no such column"):
        future.result(30)
    assert executor.submit(jobs.square, 3).result(30) == 9


def test_submit_after_close_is_refused_and_closing_twice_is_harmless(new_executor, jobs):
    new_executor.close()
    with pytest.raises(RuntimeError, match="closed"):
        new_executor.submit(jobs.square, 1)
    with pytest.raises(RuntimeError, match="closed"):
        new_executor.submit_holding(jobs.start, 1, [], count=2)
    new_executor.close(now=True)


def test_slots_is_at_least_one(executor):
    assert executor.slots >= 1


def test_kinds_sum_up_to_slots(executor):
    assert sum(executor.kinds.values()) == executor.slots


def test_submit_runs_on_the_kind_that_is_asked_for(executor, jobs):
    (kind,) = executor.kinds
    assert executor.submit(jobs.square, 3, kind=kind).result(30) == 9
    future = executor.submit_holding(jobs.start, 3, [], count=2, kind=kind)
    assert future.result(30)[0] == 3


def test_submit_refuses_a_kind_that_never_was(executor, jobs):
    with pytest.raises(ValueError, match="'abacus'"):
        executor.submit(jobs.square, 3, kind="abacus")
    with pytest.raises(ValueError, match="'abacus'"):
        executor.submit_holding(jobs.start, 3, [], count=2, kind="abacus")


def test_held_values_go_from_call_to_call(executor, jobs):
    size, held = executor.submit_holding(jobs.start, 1000, [], count=2).result(30)
    assert size == 1000
    assert held[1] is None
    total, more = executor.submit_holding(jobs.add, 7, held, count=1).result(30)
    assert total == sum(range(1000))
    np.testing.assert_array_equal(more[0].fetch(), np.arange(1000) + 7)


def test_held_values_serve_more_than_once(executor, jobs):
    _, held = executor.submit_holding(jobs.start, 10, [], count=2).result(30)
    futures = [executor.submit_holding(jobs.add, number, held, count=1) for number in range(4)]
    for number, future in enumerate(futures):
        _, (changed,) = future.result(30)
        np.testing.assert_array_equal(changed.fetch(), np.arange(10) + number)
    np.testing.assert_array_equal(held[0].fetch(), np.arange(10))


def test_held_values_of_another_executor_are_taken(executor, jobs):
    _, held = InlineExecutor().submit_holding(jobs.start, 10, [], count=2).result(30)
    assert executor.submit_holding(jobs.add, 1, held, count=1).result(30)[0] == 45


def test_submit_holding_gives_the_exception_to_the_future(executor, jobs):
    future = executor.submit_holding(jobs.fail_holding, "no such column", [], count=3)
    with pytest.raises(DataError, match="no such column"):
        future.result(30)


def test_submit_holding_wants_as_many_values_as_promised(executor, jobs):
    future = executor.submit_holding(jobs.give_one, 0, [], count=2)
    with pytest.raises(ValueError, match="give_one must give 2 values to hold, but gave 1"):
        future.result(30)


def test_held_value_that_is_gone_is_told_by_the_future(executor, jobs):
    future = executor.submit_holding(jobs.add, 1, [Gone(), None], count=1)
    with pytest.raises(HeldLostError, match="gone with its machine"):
        future.result(30)


def test_submit_holding_without_values(executor, jobs):
    assert executor.submit_holding(jobs.give_none, 5, [], count=0).result(30) == (5, ())
