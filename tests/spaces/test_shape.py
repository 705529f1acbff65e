"""What is counted of a network without making it is what torch counts of the network itself."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from archloss.spaces.catalogue import RESIDUAL_MLP
from archloss.spaces.design import Design
from archloss.spaces.network import ResidualMLP
from archloss.spaces.shape import DataWidths


@pytest.mark.parametrize("normalisation", ["layer", "none"])
@pytest.mark.parametrize(
    ("depth", "width", "residual"), [(0, 8, True), (1, 16, False), (5, 7, True), (12, 32, False)]
)
def test_sizes_are_those_that_torch_counts(depth, width, residual, normalisation):
    design = Design(depth=depth, width=width, residual=residual, normalisation=normalisation)
    size = RESIDUAL_MLP.find_size(design, DataWidths(features=13, classes=3))
    network = ResidualMLP(design, features=13, classes=3)
    assert size.parameters == sum(parameter.numel() for parameter in network.parameters())
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 13))
    assert size.flops == counter.get_total_flops()
