"""The mirror: what sampler and pruner are told, whoever ran a trial and whenever."""

import numpy as np
import pytest

from archloss.search.distributions import to_distributions
from archloss.search.mirror import Mirror
from archloss.search.pruners import make_pruner
from archloss.search.samplers import make_sampler
from archloss.search.spec import read_spec
from archloss.storage.records import News, TrialBegin, TrialEnd, TrialHandle, TrialRecord

RUNG = 2


@pytest.fixture
def make_mirror():
    values = {"name": "a", "dataset": "d", "search.pruner": "successive-halving"}
    spec = read_spec(None, [], values)

    def make():
        return Mirror(
            "a",
            sampler=make_sampler(spec),
            pruner=make_pruner(spec),
            distributions=to_distributions(spec.dimensions()),
            penalty=0.9,
        )

    return make


def start(mirror, first_number, count):
    """Start trials whose ids are 1,000 more than their numbers; return the ids."""
    asked = mirror.ask(count)
    ids = []
    for number, trial in enumerate(asked, first_number):
        mirror.start(TrialHandle(trial_id=1000 + number, number=number), trial)
        ids.append(1000 + number)
    return ids


def make_record(number, params, distributions, *, state, reached):
    return TrialRecord(
        trial_id=1000 + number,
        number=number,
        state=state,
        value=None,
        outcome=None,
        message=None,
        params=params,
        distributions=distributions,
        intermediate={RUNG: reached},
        seconds=None,
        started_at=None,
        finished_at=None,
    )


def is_beyond(value, values):
    """Say by the definition whether a value is not among the best third."""
    return value > sorted(values)[max(1, len(values) // 3) - 1]


def test_pruned_are_those_beyond_the_best_third_of_all_drivers_before_and_after_a_restart(
    make_mirror,
):
    rng = np.random.default_rng(0)
    values = {number: float(value) for number, value in enumerate(rng.random(90))}
    before = make_mirror()
    space = before.distributions
    records = []
    for number, trial in enumerate(before.ask(60)):
        state = "PRUNED" if number < 40 else "RUNNING"
        record = make_record(number, trial.params, space, state=state, reached=values[number])
        records.append(record)
    mirror = make_mirror()  # launched again: 40 are over, 10 are taken up, 10 are another driver's
    mirror.load(records, running={1000 + number for number in range(40, 50)})
    params = records[0].params
    begun = [
        TrialBegin(trial_id=1000 + number, number=number, params=params, distributions=space)
        for number in range(60, 70)
    ]
    ended = [
        TrialEnd(
            trial_id=1000 + number,
            number=number,
            state="PRUNED",
            value=None,
            outcome=None,
            intermediate={RUNG: values[number]},
        )
        for number in range(55, 70)
    ]
    mirror.learn(News(begun=begun, ended=ended))
    ids = start(mirror, 70, 20)
    for number in range(70, 90):
        mirror.report(1000 + number, epoch=RUNG, value=values[number])
    expected = {one for one in ids if is_beyond(values[one - 1000], values.values())}
    assert mirror.find_pruned(ids) == expected
    assert 0 < len(expected) < 20
    assert mirror.elsewhere == {1000 + number for number in range(50, 55)}


def test_a_trial_that_another_driver_took_ends_as_it_says(make_mirror):
    mirror = make_mirror()
    taken, kept = start(mirror, 0, 2)
    mirror.report(taken, epoch=RUNG, value=0.5)
    mirror.hand_over(taken)
    assert mirror.elsewhere == {taken}
    end = TrialEnd(
        trial_id=taken, number=0, state="COMPLETE", value=0.2, outcome=None, intermediate={}
    )
    mirror.learn(News(begun=[], ended=[end]))
    assert not mirror.elsewhere
    mirror.report(kept, epoch=RUNG, value=0.6)
    assert mirror.find_pruned([kept]) == {kept}
