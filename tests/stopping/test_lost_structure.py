"""Coherence of the structure tensor against known values, and the weight that follows from it."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from dip.stopping.lost_structure import NOISE, STRUCTURE, coherence, trust


def noise(seed: int, channels: int = 3) -> torch.Tensor:
    """Correlated noise without a direction, (1, channels, 96, 96)."""
    white = torch.randn(1, channels, 96, 96, generator=torch.Generator().manual_seed(seed))
    return functional.avg_pool2d(white, 3, stride=1, padding=1)


@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2])
def test_parallel_stripes_are_coherent_at_any_angle(angle: float) -> None:
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    stripes = (0.3 * (math.cos(angle) * x + math.sin(angle) * y)).sin()[None, None]
    assert coherence(stripes) > 0.97
    assert trust(stripes) == 0


def test_noise_without_a_direction_is_trusted() -> None:
    assert coherence(noise(0)) < NOISE
    assert trust(noise(0)) == 1


def test_the_weight_falls_with_the_share_of_structure() -> None:
    x = torch.arange(96.0).expand(1, 3, 96, 96)
    weights = [trust(noise(1) + share * (0.8 * x).sin()) for share in (0.0, 0.1, 0.15, 0.2, 0.25, 1.0)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == 1
    assert weights[-1] == 0
    assert NOISE < STRUCTURE


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 5, 40), (1, 2, 20, 20)])
def test_a_constant_residual_of_any_size_is_trusted(shape: tuple[int, ...]) -> None:
    assert trust(torch.full(shape, 0.2)) == 1
    assert 0 <= trust(torch.rand(shape)) <= 1
