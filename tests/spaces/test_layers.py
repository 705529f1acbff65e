"""Normalisations and activations against torch's own, forward and backward."""

import pytest
import torch

from archloss.spaces.layers import ACTIVATIONS, normalise, normalise_backward
from archloss.spaces.network import ACTIVATIONS as MODULES
from archloss.spaces.network import make_normalisation


def draw(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 5, 8, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["layer", "rms", "none"])
def test_normalisation_is_torchs_forward_and_backward(kind):
    h, upstream = draw(0).requires_grad_(), draw(1)
    expected = make_normalisation(kind, 8)(h)
    (expected_gradient,) = torch.autograd.grad(expected, h, upstream)
    out = torch.empty(3, 5, 8, dtype=torch.float64)
    inverse = normalise(h.detach(), kind, out=out)
    torch.testing.assert_close(out, expected.detach(), rtol=1e-12, atol=1e-12)
    gradient = normalise_backward(upstream.clone(), out, inverse, kind)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_normalisation_of_a_constant_row_is_finite(kind):
    out = torch.empty(1, 1, 4)
    normalise(torch.zeros(1, 1, 4), kind, out=out)
    assert out.abs().max() == 0


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_is_torchs_forward_and_backward(name):
    a, upstream = draw(2).requires_grad_(), draw(3)
    expected = MODULES[name]()(a)
    (expected_gradient,) = torch.autograd.grad(expected, a, upstream)
    rule, before = ACTIVATIONS[name], a.detach().clone()
    after = rule.forward(before)
    torch.testing.assert_close(after, expected.detach(), rtol=1e-12, atol=1e-12)
    gradient = rule.backward(upstream, before, after)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12)
