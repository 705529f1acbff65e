"""Validation metrics, against values computed by hand and by scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from archloss.spaces.metrics import classification_metrics


def test_values_by_hand():
    # Two members, two examples of class 0 and 1; p = (3/4, 1/4) for both examples of member 0.
    logits = torch.tensor([[[3.0, 1.0], [3.0, 1.0]], [[1.0, 1.0], [1.0, 3.0]]]).double().log()
    metrics = classification_metrics(logits, torch.tensor([0, 1]))
    assert metrics["error"].tolist() == pytest.approx([0.5, 0.0])
    expected = [(math.log(4 / 3) + math.log(4)) / 2, (math.log(2) + math.log(4 / 3)) / 2]
    assert metrics["nll"].tolist() == pytest.approx(expected)
    assert metrics["brier"].tolist() == pytest.approx([(1 / 8 + 9 / 8) / 2, (1 / 2 + 1 / 8) / 2])
    # Member 0: one bin, confidence 3/4, accuracy 1/2. Member 1: (1/2, right) and (3/4, right).
    assert metrics["ece"].tolist() == pytest.approx([0.25, (0.5 + 0.25) / 2])


def test_nll_is_scikit_learns():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 50, 4, generator=generator, dtype=torch.float64)
    labels = torch.arange(50) % 4
    nll = classification_metrics(logits, labels)["nll"]
    for member in range(3):
        p = logits[member].softmax(-1).numpy()
        assert nll[member].item() == pytest.approx(log_loss(np.asarray(labels), p))


def test_calibration_error_is_zero_for_a_calibrated_forecast_and_counts_full_confidence():
    calibrated = torch.tensor([[[0.8, 0.2]] * 5]).double().log()
    labels = torch.tensor([0, 0, 0, 0, 1])
    assert classification_metrics(calibrated, labels)["ece"].item() == pytest.approx(0.0)
    sure = torch.tensor([[[100.0, 0.0]] * 5]).double()
    assert classification_metrics(sure, labels)["ece"].item() == pytest.approx(0.2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_member_that_is_not_finite_gets_nan_and_its_neighbour_does_not(bad):
    logits = torch.zeros(2, 3, 2)
    logits[0, 1, 1] = bad
    for values in classification_metrics(logits, torch.tensor([0, 1, 0])).values():
        assert math.isnan(values[0])
        assert math.isfinite(values[1])
