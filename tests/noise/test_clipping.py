"""The bias of clipped noise, and its correction."""

import math

import numpy as np
import pytest
import torch

from dip.noise.clipping import curve, moments, unclipped

SIGMA = 0.1
LINE = (0.0, SIGMA**2)


def noisy(image: torch.Tensor, clipped: bool = True) -> torch.Tensor:
    noise = SIGMA * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return (image + noise).clamp(0, 1) if clipped else image + noise


def test_moments_at_the_limits_and_far_from_them():
    mean, variance = moments(torch.tensor([0.0, 0.5, 1.0]), SIGMA)
    bias = SIGMA / math.sqrt(2 * math.pi)
    torch.testing.assert_close(mean, torch.tensor([bias, 0.5, 1 - bias], dtype=torch.float64), atol=1e-6, rtol=0)
    half = SIGMA**2 * (0.5 - 1 / (2 * math.pi))  # of a half-normal distribution
    torch.testing.assert_close(
        variance, torch.tensor([half, SIGMA**2, half], dtype=torch.float64), atol=1e-6, rtol=1e-3
    )


@pytest.mark.parametrize("x", [0.0, 0.03, 0.12, 0.9, 0.97])
def test_moments_agree_with_samples(x: float):
    samples = noisy(torch.full((10**6,), x)).double()
    mean, variance = moments(torch.tensor([x]), SIGMA)
    assert mean.item() == pytest.approx(samples.mean().item(), abs=4e-4)
    assert variance.item() == pytest.approx(samples.var().item(), rel=0.01)


def test_flat_areas_get_their_values_back():
    image = torch.cat([torch.full((1, 1, 64, 64), value) for value in (0.0, 0.05, 0.5, 0.95, 1.0)], 1)
    y = noisy(image)
    averaged = y.mean((2, 3), keepdim=True).expand_as(y)
    assert (averaged - image).abs().max() > 0.035
    corrected = unclipped(averaged, y, LINE)
    torch.testing.assert_close(corrected, image, atol=0.006, rtol=0)
    assert corrected.dtype == averaged.dtype


def test_flat_areas_with_photon_noise_get_their_values_back():
    image = torch.cat([torch.full((1, 1, 64, 64), value) for value in (0.02, 0.5, 0.9, 1.0)], 1)
    y = (torch.poisson(20 * image, generator=torch.Generator().manual_seed(0)) / 20).clamp(0, 1)
    averaged = y.mean((2, 3), keepdim=True).expand_as(y)
    assert (averaged - image).abs().max() > 0.08
    torch.testing.assert_close(unclipped(averaged, y, (1 / 20, 0.0)), image, atol=0.012, rtol=0)


def test_the_curve_of_photons_and_their_reading_agrees_with_samples():
    gain, read, black = 1 / 20, 0.03, 0.1
    x = torch.tensor([0.05, 0.1, 0.4, 0.8, 1.0])[:, None].expand(5, 10**5)
    draw = torch.Generator().manual_seed(0)
    y = black + torch.poisson((x - black).clamp(min=0) / gain, generator=draw) * gain
    for line, samples in (
        ((gain, -gain * black), y.clamp(0, 1)),
        (
            (gain, read**2),
            (torch.poisson(x / gain, generator=draw) * gain + read * torch.randn(x.shape, generator=draw)).clamp(0, 1),
        ),
    ):
        table, mean, variance = curve(*line)
        found = [np.interp(x[:, 0], table, values) for values in (mean, variance)]
        np.testing.assert_allclose(found[0], samples.double().mean(1), atol=0.003)
        np.testing.assert_allclose(found[1], samples.double().var(1), rtol=0.05, atol=2e-5)


def test_photon_noise_in_the_dark_is_left_alone():
    counts = torch.poisson(torch.full((1, 1, 64, 64), 0.02 * 30), generator=torch.Generator().manual_seed(0)) / 30
    bright = noisy(torch.full((1, 1, 64, 64), 0.6))
    y = torch.cat([counts, bright], 1).clamp(0, 1)
    averaged = y.mean((2, 3), keepdim=True).expand_as(y)
    torch.testing.assert_close(unclipped(averaged, y, LINE), averaged, atol=1e-4, rtol=0)


def test_without_noise_or_without_values_near_the_limits_nothing_changes():
    image = torch.linspace(0.3, 0.7, 64 * 64).reshape(1, 1, 64, 64)
    torch.testing.assert_close(unclipped(image, noisy(image), LINE), image, atol=1e-4, rtol=0)
    white = torch.ones(1, 1, 64, 64)
    assert unclipped(white, white, (0.0, 0.0)) is white
    assert torch.equal(unclipped(white, white, LINE), white), "a uniform area without noise was not clipped"
