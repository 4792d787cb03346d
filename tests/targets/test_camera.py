"""Simulated camera noise: its variance, its correlation, 8 bits, and what an image without noise gives."""

import pytest
import torch

from dip.targets import NoiseOptions, Noisy
from dip.targets.camera import _colours, _processed, photograph, to_linear, to_srgb
from dip.targets.noise_models import Camera
from tests.conftest import composed
from tests.targets.photos import draw, photo


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_the_variance_at_a_brightness_is_that_of_drawn_noise(channels: int, value: float) -> None:
    model = Camera(iso=6400)
    noisy = model.sample(torch.full((1, channels, 256, 256), value), draw(1))
    expected = model.variance(torch.full((1, channels, 2, 2), value))
    assert expected.shape == (1, channels, 2, 2)
    assert noisy[0].flatten(1).var(1).mean().item() == pytest.approx(expected.mean().item(), rel=0.12)


def test_neighbours_are_correlated_and_values_have_8_bits() -> None:
    image = torch.full((1, 3, 128, 128), 0.5)
    noise = Camera().sample(image, draw()) - 0.5
    lag = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert 0.4 < lag < 0.9
    levels = (noise + 0.5) * 255
    assert torch.allclose(levels, levels.round(), atol=1e-3)


def test_more_iso_is_noisier_and_a_seed_repeats() -> None:
    image = photo()
    low, high = (Camera(iso=iso).sample(image, draw()) for iso in (400.0, 12800.0))
    assert (high - image).square().mean() > 4 * (low - image).square().mean()
    assert torch.equal(low, Camera(iso=400.0).sample(image, draw()))
    assert not torch.equal(low, Camera(iso=400.0).sample(image, draw(1)))


def test_the_image_itself_is_not_processed() -> None:
    image = (photo() * 255).round() / 255
    assert (photograph(image, draw(), 1.0, 100) - image).abs().mean() < 0.01


def test_demosaicing_reproduces_a_uniform_colour() -> None:
    colours = _colours(32, 32)
    colour = torch.tensor([0.2, 0.5, 0.8]).view(1, 3, 1, 1)
    shown = _processed((colours * to_linear(colour)).sum(1, keepdim=True), colours)
    assert torch.allclose(shown[..., 6:-6, 6:-6], colour.expand(1, 3, 20, 20), atol=1e-5)
    assert torch.allclose(to_srgb(to_linear(image := torch.rand(1, 3, 8, 8))), image, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 5, 3), (1, 5, 20, 9)])
def test_any_number_of_channels_and_any_size(shape: tuple[int, ...]) -> None:
    seen = Noisy(noise=NoiseOptions("camera")).observe(torch.full(shape, 0.5), 0)
    assert seen.y.shape == shape
    assert Camera().variance(seen.y).shape == shape


def test_its_options_are_those_of_the_noise() -> None:
    target = composed("target=noisy", "target.kind=camera", "target.noise.iso=800").target
    assert target == composed("target=noisy", "target.noise.kind=camera", "target.noise.iso=800").target
    assert isinstance(target, Noisy)
    assert target.noise.model() == Camera(iso=800.0, quality=90.0)
