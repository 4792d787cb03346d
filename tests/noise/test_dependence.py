"""The line of the noise's variance, on ramps and photographs with simulated noise of known gain and offset."""

import pytest
import torch

from dip.noise.dependence import line, variances
from dip.noise.flat_patches import smoothed
from dip.noise.level import noise_levels
from tests.targets.photos import photo


def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def counted(image: torch.Tensor, peak: float, read: float = 0.0) -> torch.Tensor:
    """Photon counts with `peak` photons at white, read with an error of standard deviation `read`, stored in 8 bits."""
    noisy = torch.poisson(image * peak, generator=draw()) / peak + read * torch.randn(image.shape, generator=draw())
    return (noisy.clamp(0, 1) * 255).round() / 255


def ramp(channels: int = 1) -> torch.Tensor:
    return torch.linspace(0.05, 0.75, 128).expand(1, channels, 128, 128)


@pytest.mark.parametrize(("peak", "read"), [(30, 0.0), (200, 0.0), (30, 0.05)])
def test_a_ramp_has_the_line_of_its_noise(peak: float, read: float):
    found = line(counted(ramp(3), peak, read))
    assert found is not None
    assert found[0] == pytest.approx(1 / peak, rel=0.15)
    assert found[1] == pytest.approx(read**2, abs=0.1 / peak)


def test_black_may_be_brighter_than_0():
    found = line(0.2 + 0.8 * counted(ramp(3), 30))
    assert found is not None
    assert found[0] == pytest.approx(0.8 / 30, rel=0.15)
    assert -found[1] / found[0] == pytest.approx(0.2, abs=0.03)


def test_the_variances_are_those_of_the_noise():
    mean, variance = variances(counted(ramp(3), 50))
    assert len(mean) == 8
    assert variance == pytest.approx(mean / 50, rel=0.2)


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_a_photograph_of_photons_has_its_gain(name: str):
    found = line(counted(photo(name, 128, 128), 30))
    assert found is not None
    assert found[0] == pytest.approx(1 / 30, rel=0.25)


@pytest.mark.parametrize("sigma", [0.04, 0.1, 0.2])
@pytest.mark.parametrize("name", ["astronaut", "coffee", "ramp"])
def test_noise_of_one_level_has_no_line_though_it_was_clipped(name: str, sigma: float):
    image = torch.linspace(0, 1, 128).expand(1, 3, 128, 128) if name == "ramp" else photo(name, 128, 128)
    noisy = (image + sigma * torch.randn(image.shape, generator=draw())).clamp(0, 1)
    assert line(noisy) is None


def test_without_a_range_of_brightness_one_level_is_enough():
    assert line(counted(torch.full((1, 1, 128, 128), 0.4), 30)) is None
    assert line(torch.rand(1, 3, 8, 8, generator=draw())) is None


def test_a_strip_without_a_whole_patch_has_no_line():
    assert line(counted(ramp(3), 30)[..., :12, :]) is None


def test_little_of_the_image_is_darker_than_its_black():
    y = counted(photo("grass", 128, 128), 30)
    found = line(y)
    if found is not None:
        black = -found[1] / found[0]
        assert (smoothed(y) < black).float().mean() < 0.02
    gain, offset = line(counted(torch.cat([ramp(3) / 8, ramp(3)], 2), 30)) or (0.0, 0.0)
    assert gain == pytest.approx(1 / 30, rel=0.15)
    assert -offset / gain < 0.01


def test_channels_with_the_same_noise_have_one_level():
    gray = counted(ramp(), 30)
    assert noise_levels(gray)[2] is not None
    assert noise_levels(gray.expand(1, 3, 128, 128))[2] is None
