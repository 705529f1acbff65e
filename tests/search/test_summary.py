"""The summary, on trials whose best is known by hand."""

import datetime
import json

import pytest

from archloss.search.report.points import Point, make_points
from archloss.search.report.summary import (
    CAVEAT,
    find_best,
    find_depth_bin,
    summarise,
    summary_to_json,
)
from archloss.search.report.wording import format_objective, format_setting, format_span
from archloss.spaces.design import Design
from archloss.spaces.outcome import Outcome
from archloss.storage.records import TrialRecord


def make_point(number, value, *, ending="completed", depth=1, residual=False, ce_weight=0.5):
    design = Design(depth=depth, residual=residual, ce_weight=ce_weight)
    return Point(number=number, design=design, ending=ending, value=value)


def sum_up(points):
    return summarise(points, study="s", dataset="d", objective="validation_error", budget=9)


def make_record(number, state, *, value=None, outcome=None, intermediate=None):
    return TrialRecord(
        trial_id=100 + number,
        number=number,
        state=state,
        value=value,
        outcome=outcome,
        message=None,
        params={"depth": number},
        distributions={},
        intermediate=intermediate or {},
        seconds=None,
        started_at=datetime.datetime(2026, 1, 1),
        finished_at=None,
    )


@pytest.mark.parametrize("depth", range(200))
def test_depth_bin_holds_its_depth_and_ends_at_a_power_of_two(depth):
    depths = find_depth_bin(depth)
    assert depths.low <= depth <= depths.high
    assert depths.high in {0, *(2**k for k in range(9))}
    assert find_depth_bin(depths.low) == find_depth_bin(depths.high) == depths


def test_depth_bins_follow_each_other_without_a_gap():
    bins = list(dict.fromkeys(find_depth_bin(depth) for depth in range(65)))
    assert [str(depths) for depths in bins] == [
        "0",
        "1",
        "2",
        "3-4",
        "5-8",
        "9-16",
        "17-32",
        "33-64",
    ]


def test_best_is_the_first_of_equals():
    points = [make_point(3, 0.2), make_point(1, 0.1), make_point(0, 0.1), make_point(2, 0.3)]
    assert find_best(points).number == 0


@pytest.mark.parametrize("ending", ["diverged", "pruned", "failed", "running"])
def test_best_is_a_completed_trial_however_low_another_value(ending):
    points = [make_point(0, 0.4), make_point(1, 0.1, ending=ending)]
    assert find_best(points).number == 0
    assert find_best(points[1:]) is None


def test_best_is_never_a_value_that_is_not_finite():
    assert find_best([make_point(0, float("nan")), make_point(1, None)]) is None


def test_cells_part_by_depth_and_residual_and_count_what_finished():
    points = [
        make_point(0, 0.30, depth=3, ce_weight=0.1),
        make_point(1, 0.20, depth=4, ce_weight=0.7),
        make_point(2, 0.90, depth=4, ce_weight=0.2, ending="diverged"),
        make_point(3, 0.05, depth=3, ce_weight=0.3, ending="pruned"),
        make_point(4, 0.25, depth=4, ce_weight=0.9, residual=True),
        make_point(5, 0.90, depth=5, ce_weight=0.9, ending="diverged"),
        make_point(6, None, depth=4, ending="failed"),
        make_point(7, None, depth=4, ending="running"),
    ]
    summary = sum_up(points)
    cells = {(str(cell.depths), cell.residual): cell for cell in summary.cells}
    assert set(cells) == {("3-4", False), ("3-4", True), ("5-8", False)}
    plain = cells["3-4", False]
    assert (plain.trials, plain.pruned, plain.diverged) == (4, 1, 1)
    assert plain.best.design.ce_weight == 0.7
    assert cells["3-4", True].best.number == 4
    assert cells["5-8", False].best is None
    assert summary.finished == 6
    assert summary.counts == {
        "completed": 3,
        "diverged": 2,
        "pruned": 1,
        "failed": 1,
        "running": 1,
    }
    assert summary.best.number == 1


def test_summary_of_nothing_is_empty():
    summary = sum_up([])
    assert (summary.finished, summary.best, summary.cells, dict(summary.counts)) == (
        0,
        None,
        (),
        {},
    )


def test_summary_as_json_survives_a_round_trip_and_keeps_the_caveat():
    summary = sum_up([make_point(0, 0.25, ce_weight=0.75), make_point(1, 0.9, ending="diverged")])
    document = json.loads(json.dumps(summary_to_json(summary)))
    assert document["best"]["design"]["ce_weight"] == 0.75
    assert document["best"]["value"] == 0.25
    assert document["counts"] == {"completed": 1, "diverged": 1}
    assert document["best_seen_by_depth"] == [
        {
            "depth_low": 1,
            "depth_high": 1,
            "residual": False,
            "trials": 2,
            "pruned": 0,
            "diverged": 1,
            "number": 0,
            "value": 0.25,
            "ce_weight": 0.75,
        }
    ]
    assert document["caveat"] == CAVEAT


def test_points_take_their_ending_from_the_outcome_and_else_from_the_state():
    records = [
        make_record(0, "COMPLETE", value=0.1, outcome=Outcome.COMPLETED),
        make_record(1, "COMPLETE", value=0.9, outcome=Outcome.DIVERGED),
        make_record(2, "PRUNED", outcome=Outcome.PRUNED, intermediate={4: 0.5, 2: 0.6}),
        make_record(3, "FAIL", outcome=Outcome.LOST),
        make_record(4, "COMPLETE", value=0.2),
        make_record(5, "WAITING", intermediate={2: 0.7}),
        make_record(6, "RUNNING", outcome=Outcome.TRAINED),
    ]
    points = make_points(records, lambda params: Design(depth=int(params["depth"])))
    assert [point.ending for point in points] == [
        "completed",
        "diverged",
        "pruned",
        "lost",
        "completed",
        "waiting",
        "running",
    ]
    assert [point.value for point in points] == [0.1, 0.9, 0.5, None, 0.2, 0.7, None]
    assert [point.design.depth for point in points] == list(range(7))


@pytest.mark.parametrize(
    ("value", "objective", "text"),
    [
        (0.036111, "validation_error", "3.61%"),
        (0.0, "validation_error", "0.00%"),
        (1.23456, "validation_nll", "1.2346"),
        (None, "validation_error", "-"),
        (float("inf"), "validation_error", "inf"),
    ],
)
def test_objective_is_said_as_a_percentage_or_a_number(value, objective, text):
    assert format_objective(value, objective) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0:00"), (59.6, "1:00"), (61, "1:01"), (3661, "1:01:01")]
)
def test_span_reads_as_a_clock(seconds, text):
    assert format_span(seconds) == text


def test_setting_reads_as_a_person_writes_it():
    assert [format_setting(value) for value in (True, False, 1, 1.0, 1e-5, "relu")] == [
        "yes",
        "no",
        "1",
        "1",
        "1e-05",
        "relu",
    ]
