"""Pixels as parameters."""

import pytest
import torch

from dip.nets.pixels import PixelsModule


def test_the_input_does_not_matter():
    net = PixelsModule(3, (4, 5))
    assert torch.equal(net(torch.rand(1, 7, 4, 5)), net(torch.zeros(1, 2, 4, 5)))
    with pytest.raises(AssertionError):
        net(torch.zeros(1, 2, 5, 5))


def test_initial_values_are_uniform_from_0_to_0_1():
    values = PixelsModule(3, (64, 64))(torch.zeros(1, 1, 64, 64))
    assert 0 <= values.min() <= values.max() <= 0.1
    assert values.var().item() == pytest.approx(0.01 / 12, rel=0.05)


def test_an_output_does_not_change_with_the_parameters():
    net = PixelsModule(1, (2, 2))
    before = net(torch.zeros(1, 1, 2, 2)).detach()
    kept = before.clone()
    with torch.no_grad():
        net.pixels.add_(1)
    assert torch.equal(before, kept)
