"""The limit of the noise level: above the true level on noise, and far below what texture looks like."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dip.noise import flat_patches
from dip.noise.level import colour_levels, examine, noise_level
from dip.noise.lost_structure import share_if_white
from dip.noise.texture import SHARE, certain, smallest_variation, varied
from dip.targets.noise_models import Camera, Gaussian
from tests.targets.photos import blurred_noise, draw, photo, shrunk


def ramp(channels: int = 3) -> Tensor:
    return torch.linspace(0.1, 0.9, 192).expand(1, channels, 192, 192).contiguous()


@pytest.mark.parametrize("level", [2 / 255, 10 / 255, 0.1])
def test_white_noise_shows_most_of_its_level_in_the_smallest_patches(level: float) -> None:
    noisy = ramp() + level * torch.randn(1, 3, 192, 192, generator=draw())
    assert 0.75 * level < smallest_variation(noisy)[0] < level


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("iso", [1600.0, 12800.0])
def test_the_limit_is_above_the_level_of_camera_noise(iso: float, channels: int) -> None:
    noisy = Camera(iso=iso).sample(ramp(channels), draw())
    true = (noisy - ramp(channels)).std().item()
    assert true < SHARE * smallest_variation(noisy)[0] < 2.5 * true
    unlimited = flat_patches.noise_by_brightness(noisy)[1].square().mean().sqrt().item()
    assert examine(noisy).sigma == pytest.approx(unlimited), "the limit changes nothing where patches are flat"


@pytest.mark.parametrize("name", ["astronaut", "coins", "coffee"])
def test_a_sharp_clean_photograph_is_not_read_as_very_noisy(name: str) -> None:
    image = shrunk(name)
    assert examine(image).sigma < flat_patches.noise_by_brightness(image)[1].square().mean().sqrt() / 2
    assert examine(image).sigma < 8 / 255


def test_a_photograph_whose_texture_hides_that_it_is_clean_is_recognised() -> None:
    generator = np.random.default_rng(0)
    image = np.full((128, 128, 1), 0.0) + np.linspace(0.2, 0.8, 128)[:, None]
    for _ in range(150):  # sharp squares that leave flat gaps
        top, left, side = (int(generator.integers(*limits)) for limits in ((0, 120), (0, 120), (3, 7)))
        image[top : top + side, left : left + side] = generator.random()
    clean = torch.from_numpy((image * 255).round().astype(np.float32) / 255).permute(2, 0, 1)[None]
    assert flat_patches.noise_floor(clean) > 5 / 255
    assert examine(clean).kind == "none"
    noisy = Gaussian(3 / 255).sample(clean, draw())
    assert examine(noisy).kind != "none"


def test_a_uniform_area_does_not_hide_the_noise() -> None:
    noisy = ramp() + 0.01 * torch.randn(1, 3, 192, 192, generator=draw())
    noisy[..., :150] = 0.4
    assert 0.007 < smallest_variation(noisy)[0] < 0.02
    assert examine(noisy).kind != "none"


def test_masks_and_unusual_sizes() -> None:
    noisy = ramp() + 0.05 * torch.randn(1, 3, 192, 192, generator=draw())
    known = torch.ones(1, 1, 192, 192)
    known[..., 60:] = 0
    broken = noisy.masked_fill(known == 0, math.nan)
    assert smallest_variation(broken, known) == pytest.approx(smallest_variation(noisy), rel=0.2)
    assert math.isnan(smallest_variation(noisy, torch.zeros(1, 1, 192, 192))[0])
    for shape in ((1, 1, 1, 1), (1, 3, 5, 40), (1, 3, 20, 20)):
        assert math.isfinite(smallest_variation(torch.rand(shape, generator=draw()))[0])


@pytest.mark.parametrize("name", ["camera", "coffee", "rocket"])
def test_a_clean_photograph_is_recognised_and_noise_of_40_db_is_not_overlooked(name: str) -> None:
    image = photo(name, 192, 192)
    assert examine(image).kind == "none"
    assert examine(Gaussian(0.012).sample(image, draw()).clamp(0, 1)).kind == "white"


@pytest.mark.parametrize("peak", [300, 1000])
def test_photon_noise_of_the_bright_half_is_noise(peak: int) -> None:
    """A dark half, in which photon noise is invisible, does not make a photograph clean."""
    scene = torch.full((1, 3, 128, 128), 0.02)
    scene[..., 64:] = torch.linspace(0.3, 0.7, 64)
    noisy = (torch.poisson(scene * peak, generator=draw()) / peak * 255).round().clamp(0, 255) / 255
    assert examine(noisy).kind == "white"


@pytest.mark.parametrize("width", [50, 80])
def test_a_frame_changes_neither_the_level_nor_the_weight_of_the_photograph(width: int) -> None:
    clean = photo("coffee", 128, 128)
    noisy = (clean + 12 / 255 * torch.randn(clean.shape, generator=draw())).clamp(0.01, 0.99)
    framed, answer = noisy.clone(), clean.clone()
    framed[..., :width] = answer[..., :width] = 0.1
    assert noise_level(framed) == pytest.approx(noise_level(noisy[..., width:]), rel=0.02)
    assert colour_levels(framed) == [noise_level(framed)] * 3
    assert share_if_white(framed, answer, 12 / 255) == 0
    assert varied(framed) == pytest.approx(1 - width / 128, abs=0.05)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "immunohistochemistry", "retina"])
def test_strong_noise_differs_between_the_channels_and_texture_does_not(name: str) -> None:
    assert not certain(shrunk(name, 96))
    assert not certain(photo(name))
    assert certain(photo(name) + blurred_noise())
    assert not certain(photo(name) + blurred_noise(level=0.02)), "weak noise is not examined"


@pytest.mark.parametrize("name", ["camera", "coffee", "grass", "gravel"])
def test_gray_images_show_nothing_that_texture_has_not(name: str) -> None:
    gray = photo(name).mean(1, keepdim=True) + blurred_noise(1)
    assert not certain(gray)
    assert not certain(gray.expand(1, 3, 96, 96)), "gray, but stored in colour"


def test_noise_that_all_channels_share_is_not_certain() -> None:
    assert not certain(photo("coffee") + blurred_noise(1))
    assert not certain(torch.full((1, 3, 96, 96), 0.5))


@pytest.mark.parametrize("value", [0.0, 0.5])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_a_constant_channel_does_not_count(name: str, value: float) -> None:
    clean, noise = photo(name), blurred_noise()
    clean[:, 2] = value
    noise[:, 2] = 0
    assert certain(clean + noise)
    assert not certain(clean)
    noise[:, 1] = noise[:, 0]
    clean[:, 1] = clean[:, 0]
    one = clean + noise
    assert certain(one) == certain(one[:, :2]) == certain(one[:, :1])


def test_a_tiny_photograph_has_too_few_patches_to_show_noise_that_cannot_be_texture() -> None:
    """The channels of coffee at 64 x 64 pixels are as different as those of noise in its five flattest patches."""
    assert not certain(shrunk("coffee", 64))
