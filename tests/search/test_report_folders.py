"""Where reports are written: each question in a folder of its own, unless another is named."""

from pathlib import Path

import pytest

from archloss.search.cli.questions import find_folder
from archloss.search.cli.reporting import ReportOptions


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "report"),
        ({"bound": 2.0, "by": "residual"}, "report"),  # which is asked for without --by too
        ({"choice": "learning_rate"}, "report-learning_rate-depth"),
        ({"context": "width", "by": "residual"}, "report-ce_weight-width"),
        ({"by": "optimizer"}, "report-ce_weight-depth-optimizer"),
        ({"choice": "../of/x", "context": "größe in m"}, "report-..-of-x-größe-in-m"),
        ({"choice": 300 * "x"}, f"report-{40 * 'x'}-depth"),
    ],
    ids=str,
)
def test_another_question_has_a_folder_of_its_own(tmp_path, options, name):
    folder = find_folder(ReportOptions(study="digits", **options), tmp_path / "report")
    assert folder == tmp_path / name
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_named_is_taken_whatever_is_asked(tmp_path):
    options = ReportOptions(study="digits", choice="learning_rate", output=tmp_path / "mine")
    assert find_folder(options, Path("report")) == tmp_path / "mine"
