"""The mixed loss: hand-computed values, autograd's gradients, and the balance of its parts."""

import math

import pytest
import torch

from archloss.spaces.losses import Mix, mixed_loss, mse_scale


def make_mix(ce_weight, scale, on_logits):
    return Mix(
        ce_weight=torch.tensor(ce_weight, dtype=torch.float64),
        scale=torch.tensor(scale, dtype=torch.float64),
        on_logits=torch.tensor(on_logits),
    )


def onehot(label, classes=2):
    return torch.nn.functional.one_hot(torch.tensor([[label]]), classes).double()


def test_values_by_hand_for_two_classes():
    # p = (3/4, 1/4), label 1: CE = ln 4, Brier = 9/16 + 9/16, on logits (ln 3)^2 + 1
    logits = torch.tensor([[[math.log(3), 0.0]]], dtype=torch.float64).expand(4, 1, 2)
    mix = make_mix([1.0, 0.0, 0.0, 0.5], [1.0, 1.0, 2.0, 1.0], [False, False, True, False])
    loss, _ = mixed_loss(logits, onehot(1), mix)
    expected = [math.log(4), 9 / 8, 2 * (math.log(3) ** 2 + 1), (math.log(4) + 9 / 8) / 2]
    assert loss[:, 0].tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("any_on_logits", [False, True])
def test_gradient_is_autograds(any_on_logits):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(3, (1, 6), generator=generator)
    targets = torch.nn.functional.one_hot(labels, 3).double()
    on_logits = torch.tensor([any_on_logits, False, any_on_logits, False, False])
    mix = Mix(
        ce_weight=torch.tensor([0.0, 1.0, 0.3, 0.7, 0.0], dtype=torch.float64),
        scale=torch.tensor([1.0, 2.0, 3.0, 0.5, 1.0], dtype=torch.float64),
        on_logits=on_logits,
    )
    p = logits.softmax(-1)
    brier = (p - targets).square().sum(-1)
    squares = torch.where(on_logits[:, None], (logits - targets).square().sum(-1), brier)
    cross_entropy = -(p.log() * targets).sum(-1)
    weight = mix.ce_weight[:, None]
    expected = weight * cross_entropy + (1 - weight) * mix.scale[:, None] * squares
    (expected_gradient,) = torch.autograd.grad(expected.sum(), logits)
    loss, gradient = mixed_loss(logits.detach(), targets, mix)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("on_logits", [False, True])
def test_balanced_scale_makes_both_equal_at_a_uniform_prediction(classes, on_logits):
    scale = mse_scale("balanced", on_logits=on_logits, classes=classes)
    logits = torch.zeros(2, 1, classes, dtype=torch.float64)
    mix = make_mix([1.0, 0.0], [scale, scale], [on_logits, on_logits])
    loss, _ = mixed_loss(logits, onehot(0, classes), mix)
    assert loss[0].item() == pytest.approx(loss[1].item(), rel=1e-12)
    assert mse_scale("raw", on_logits=on_logits, classes=classes) == 1.0


def test_the_brier_score_saturates_and_square_loss_on_logits_does_not():
    # Surely wrong: p of the label is e^-20. The Brier gradient vanishes, the other does not.
    logits = torch.tensor([[[20.0, 0.0]]], dtype=torch.float64).expand(2, 1, 2)
    mix = make_mix([0.0, 0.0], [1.0, 1.0], [False, True])
    _, gradient = mixed_loss(logits, onehot(1), mix)
    assert gradient[0].abs().max() < 1e-7
    assert gradient[1].abs().max() > 10


def test_a_weight_of_zero_removes_an_infinite_term():
    logits = torch.tensor([[[1e25, 0.0]]])  # its square overflows float32
    mix = Mix(
        ce_weight=torch.tensor([1.0]), scale=torch.tensor([1.0]), on_logits=torch.tensor([True])
    )
    loss, gradient = mixed_loss(logits, onehot(0).float(), mix)
    assert loss.item() == 0.0
    assert bool(gradient.isfinite().all())
