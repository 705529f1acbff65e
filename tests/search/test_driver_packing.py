"""Trials wait by rung and width, and leave in packs that keep every slot busy to the end."""

from hypothesis import given
from hypothesis import strategies as st

from archloss.search.packing import ReadyTrials, even_out, limit_pack_size, read_sizes
from archloss.search.running import RunningTrial
from archloss.spaces.design import Design


def make_trial(number: int, *, epochs_done: int = 0, width: int = 32) -> RunningTrial:
    return RunningTrial(
        trial_id=number,
        number=number,
        design=Design(width=width),
        states={0: None},
        epochs_done=epochs_done,
    )


def numbers(trials: list[RunningTrial]) -> list[int]:
    return [trial.number for trial in trials]


def test_limit_pack_size_leaves_the_sampler_something_to_learn_from():
    assert limit_pack_size(64, budget=200, slots=2) == 25
    assert limit_pack_size(16, budget=200, slots=2) == 16
    assert limit_pack_size(64, budget=200, slots=16) == 3
    assert limit_pack_size(64, budget=5, slots=2) == 1
    assert limit_pack_size(64, budget=None, slots=2) == 64


@given(size=st.integers(1, 100), left=st.integers(1, 1000), slots=st.integers(1, 20))
def test_even_out_fills_whole_rounds(size, left, slots):
    even = even_out(size, left=left, slots=slots)
    assert 1 <= even <= size
    rounds = -(-left // (size * slots))
    assert even * slots * rounds >= left  # no further round
    assert (even - 1) * slots * rounds < left  # and none smaller would do


def test_read_sizes_takes_the_next_measured_width():
    read_size = read_sizes({"a": {16: 40, 64: 10}, "b": {16: 7}})
    assert [read_size("a", width) for width in (8, 16, 17, 64, 100)] == [40, 40, 10, 10, 10]
    assert read_size("b", 64) == 7
    assert read_size("that came later", 64) == 7


def test_take_full_prefers_the_trials_that_have_come_furthest():
    ready = ReadyTrials(lambda kind, width: 2)
    ready.add(make_trial(number) for number in range(3))
    ready.add(make_trial(number, epochs_done=5) for number in range(3, 6))
    assert numbers(ready.take_full("a")) == [3, 4]
    assert numbers(ready.take_full("a")) == [0, 1]
    assert ready.take_full("a") == []
    assert ready.count_fresh() == 1


def test_take_some_begins_with_the_least_trained_and_shares_them_out():
    ready = ReadyTrials(lambda kind, width: 10)
    ready.add(make_trial(number, epochs_done=5) for number in range(1))
    ready.add(make_trial(number) for number in range(1, 6))
    assert numbers(ready.take_some("a", slots=2)) == [1, 2, 3]
    assert numbers(ready.take_some("a", slots=1)) == [4, 5]
    assert numbers(ready.take_some("a", slots=1)) == [0]
    assert ready.take_some("a") == []


@given(
    trials=st.lists(st.tuples(st.sampled_from([0, 3]), st.sampled_from([8, 16])), max_size=40),
    size=st.integers(1, 7),
)
def test_ready_trials_come_out_once_each_in_packs_of_one_width_and_rung(trials, size):
    ready = ReadyTrials(lambda kind, width: size)
    ready.add(
        make_trial(number, epochs_done=epochs, width=width)
        for number, (epochs, width) in enumerate(trials)
    )
    seen = []
    while pack := (ready.take_full("a") or ready.take_some("a")):
        assert len(pack) <= size
        assert len({(trial.epochs_done, trial.design.width) for trial in pack}) == 1
        seen += numbers(pack)
    assert sorted(seen) == list(range(len(trials)))
