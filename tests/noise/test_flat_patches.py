"""Noise in flat patches: known answers on simulated camera noise, white noise, masks and unusual images."""

import math

import pytest
import torch
from torch import Tensor

from dip.noise import flat_patches
from dip.noise.level import examine, noise_level
from dip.targets.noise_models import Camera, Gaussian
from tests.targets.photos import photo


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def gradient(channels: int = 3) -> Tensor:
    """A scene without texture, dark to bright: (1, channels, 192, 192)."""
    return torch.linspace(0.1, 0.9, 192).expand(1, channels, 192, 192).contiguous()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("iso", [1600.0, 12800.0])
def test_the_level_of_camera_noise_is_found(channels: int, iso: float) -> None:
    model, scene = Camera(iso=iso), gradient(channels)
    noisy = model.sample(scene, generator())
    true = (noisy - scene).std().item()
    brightness, levels = flat_patches.noise_by_brightness(noisy)
    assert levels.square().mean().sqrt().item() == pytest.approx(true, rel=0.22)
    assert noise_level(noisy) < 0.6 * true, "the estimator for white noise is too low"
    # Each brightness has its own level: that of noise drawn on a uniform image.
    for index in (1, 6):
        uniform = torch.full((1, channels, 256, 256), brightness[index].item())
        assert levels[index].item() == pytest.approx(model.level(uniform), rel=0.25)


def test_the_correlation_of_camera_noise_is_found() -> None:
    scene = gradient()
    noisy = Camera().sample(scene, generator())
    noise = noisy - scene
    measured = flat_patches.correlation(flat_patches.flat_details(noisy, None), 1)
    true = ((noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()).item()
    assert measured == pytest.approx(true, abs=0.1)
    white = flat_patches.flat_details(Gaussian(0.05).sample(scene, generator()), None)
    assert all(abs(flat_patches.correlation(white, lag)) < 0.05 for lag in (1, 2, 3))


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket", "camera"])
def test_white_and_camera_noise_are_told_apart(name: str) -> None:
    image = photo(name, 192, 192)
    white, camera = (model.sample(image, generator()).clamp(0, 1) for model in (Gaussian(0.1), Camera()))
    assert examine(white).kind == "white"
    assert examine(white).sigma == noise_level(white)
    found = examine(camera)
    assert found.kind == "correlated"
    assert found.whiteness is not None
    assert found.whiteness < 0.2 < 0.6 < flat_patches.whiteness(white)


def test_patches_with_unknown_pixels_are_not_used() -> None:
    noisy = Gaussian(0.05).sample(gradient(), generator())
    known = torch.ones(1, 1, 192, 192)
    known[..., 100:, :] = 0
    known[..., 3, 3] = 0
    broken = noisy.masked_fill(known == 0, math.nan)
    assert len(flat_patches.patches(broken, known)) == int(flat_patches.whole(known).sum()) > 0
    assert flat_patches.patches(broken, known).isfinite().all()
    nothing = torch.zeros(1, 1, 192, 192)
    assert math.isnan(flat_patches.noise_floor(noisy, nothing))
    assert examine(noisy, nothing).kind == "white", "the rules for white noise know how to treat it"


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (1, 1, 7, 40), (1, 3, 1, 1)])
def test_an_image_without_noise_is_recognised(shape: tuple[int, ...], value: float) -> None:
    found = examine(torch.full(shape, value))
    assert (found.kind, found.sigma) == ("none", 0.0)


def test_rounding_to_8_bits_is_no_noise() -> None:
    rounded = ((gradient() + 0.0005 * torch.randn(1, 3, 192, 192, generator=generator())) * 255).round() / 255
    assert examine(rounded).kind == "none"
    noisy = ((gradient() + 0.01 * torch.randn(1, 3, 192, 192, generator=generator())) * 255).round() / 255
    assert examine(noisy).kind == "white"


def test_a_saturated_sky_does_not_hide_the_noise() -> None:
    noisy = Camera().sample(gradient(), generator())
    noisy[..., :150, :] = 1.0
    assert examine(noisy).kind == "correlated"


@pytest.mark.parametrize("level", [0.0, 16 / 255, 0.98])
def test_a_uniform_area_does_not_hide_the_noise(level: float):
    image = 0.5 + 0.1 * torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    image[..., :64] = level
    assert flat_patches.noise_floor(image.clamp(0, 1)) > 0.05


def test_impulses_are_noise():
    u = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    image = torch.full_like(u, 0.5).masked_fill(u < 0.6, 1.0).masked_fill(u < 0.3, 0.0)
    assert flat_patches.noise_floor(image) > 0.1
