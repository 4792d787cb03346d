"""The kind of noise and the noise level of an image."""

import numpy as np
import pytest
import torch

from dip.noise.level import colour_levels, examine, noise_level


@pytest.mark.parametrize("sigma", [0.02, 0.05, 0.1])
def test_noise_level_of_a_smooth_image(sigma: float) -> None:
    slope = torch.linspace(0.3, 0.7, 128).expand(1, 3, 96, 128)
    noisy = slope + sigma * torch.randn(slope.shape, generator=torch.Generator().manual_seed(0))
    assert noise_level(noisy) == pytest.approx(sigma, rel=0.03)
    assert noise_level(slope) == pytest.approx(0, abs=1e-6)


def test_noise_level_ignores_what_was_clipped_and_what_was_not_observed() -> None:
    draw = torch.Generator().manual_seed(0)
    image = torch.full((1, 1, 128, 128), 0.5)
    image[..., :64] = 0.0  # half of the noise is clipped here
    noisy = (image + 0.1 * torch.randn(image.shape, generator=draw)).clamp(0, 1)
    assert noise_level(noisy) == pytest.approx(0.1, rel=0.05)
    known = (torch.arange(128) >= 66).float().expand(1, 1, 128, 128)
    assert noise_level(noisy * known, known) == pytest.approx(0.1, rel=0.05)


def test_levels_of_luminance_and_colour_differences() -> None:
    draw = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn((1, 3, 128, 128), generator=draw)
    assert colour_levels(0.5 + noise) == [noise_level(0.5 + noise)] * 3  # independent channels
    assert colour_levels(0.5 + noise[:, :1]) == [noise_level(0.5 + noise[:, :1])]
    gray = 0.5 + noise[:, :1].expand(1, 3, 128, 128)
    assert colour_levels(gray) == pytest.approx([0.1 * 3**0.5, 0.29 / 255, 0.29 / 255], rel=0.03)
    # Chroma subsampling: the colour differences are averages of 2 x 2 pixels and have half the level.
    luminance = noise.mean(1, keepdim=True)
    chroma = torch.nn.functional.interpolate(torch.nn.functional.avg_pool2d(noise - luminance, 2), scale_factor=2)
    assert colour_levels(0.5 + luminance + chroma) == pytest.approx([0.1, 0.05, 0.05], rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 2, 9), (1, 1, 3, 3), (1, 3, 5, 4)])
def test_noise_level_of_tiny_images_is_a_number(shape: tuple[int, ...]) -> None:
    assert noise_level(torch.rand(shape)) >= 0


def test_halftones_and_drawings_have_no_noise_and_dark_or_noisy_photographs_have():
    ramp = torch.linspace(0, 1, 96).expand(1, 1, 96, 96)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 1, 96, 96)).astype(np.float32))
    dithered = (ramp + 0.25 * noise > 0.5).float()
    board = (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).float().expand(1, 3, 64, 64)
    assert [examine(image).kind for image in (dithered, board, 0.5 * board + 0.2)] == ["none"] * 3

    def stored(image: torch.Tensor) -> torch.Tensor:
        return (image.clamp(0, 1) * 255).round() / 255

    assert [examine(stored(ramp + sigma * noise)).kind for sigma in (0.05, 0.1, 0.3)] == ["white"] * 3
    dark = stored(ramp / 30 + 0.01 * noise)
    assert len(dark.unique()) <= 16
    assert examine(dark).kind == "white"
    counts = torch.from_numpy(np.random.default_rng(0).poisson(10 * ramp.numpy())).clamp(max=10).float() / 10
    assert len(counts.unique()) <= 16
    assert examine(counts).kind != "none", "photons that were counted"
