"""Baselines: each is better than what it was given, on real photos; shapes, ranges and bounds are kept."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import skimage.data
import skimage.restoration
import torch
from torch import Tensor

from dip.metrics import psnr, psnr_hole
from dip.stopping.noise_level import noise_level
from dip.targets import Noisy, baselines, masks
from dip.targets.operators import Blur, Downsample, gaussian_kernel, motion_kernel


def photo(name: str, side: int = 96) -> Tensor:
    """A crop of one of scikit-image's photos, (1, C, side, side)."""
    pixels = np.atleast_3d(getattr(skimage.data, name)())[100 : 100 + side, 180 : 180 + side]
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]


def check_answer(answer: Tensor, size: tuple[int, int], channels: int) -> None:
    assert answer.shape == (1, channels, *size)
    assert answer.dtype == torch.float32
    assert answer.isfinite().all()
    assert answer.min() >= 0
    assert answer.max() <= 1


@pytest.mark.parametrize("name", ["astronaut", "camera"])
@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2])
def test_denoising_gains_at_every_noise_level(name: str, sigma: float) -> None:
    clean = photo(name)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    noisy = (clean + sigma * noise).clamp(0, 1)
    answers = baselines.denoise(noisy, sigma)
    assert {"nlm", "tv"} <= set(answers)
    for answer in answers.values():
        check_answer(answer, (96, 96), clean.shape[1])
        assert psnr(answer, clean) > psnr(noisy, clean) + 3.5


def test_wavelets_gain_where_they_are_installed() -> None:
    pytest.importorskip("pywt")
    clean = photo("chelsea")
    noisy = (clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    assert psnr(baselines.denoise(noisy, 0.1)["wavelet"], clean) > psnr(noisy, clean) + 5


@pytest.mark.parametrize("name", ["astronaut", "camera", "chelsea"])
def test_other_noise_is_not_taken_for_gaussian(name: str) -> None:
    clean = photo(name)
    for target, answers in (
        (Noisy(kind="poisson", peak=20.0), lambda y: baselines.denoise_poisson(y, 20.0)),
        (Noisy(kind="speckle", sigma=0.3), lambda y: baselines.denoise_speckle(y, 0.3)),
    ):
        noisy = target.observe(clean, 0).y
        simple = baselines.denoise(noisy, noise_level(noisy))
        found = answers(noisy)
        assert found.keys() == simple.keys()
        for answer in found.values():
            check_answer(answer, (96, 96), clean.shape[1])
            assert psnr(answer, clean) > psnr(noisy, clean) + 3
        better = [float(psnr(found[method], clean) - psnr(simple[method], clean)) for method in found]
        assert np.mean(better) > 0


def test_flat_areas_keep_their_brightness() -> None:
    for value in (0.2, 0.7):
        flat = torch.full((1, 1, 64, 64), value)
        noisy = Noisy(kind="poisson", peak=20.0).observe(flat, 0).y
        for answer in baselines.denoise_poisson(noisy, 20.0).values():
            assert answer.mean().item() == pytest.approx(value, abs=0.02)
        for answer in baselines.denoise_speckle(flat, 0.3).values():
            assert torch.allclose(answer, flat, atol=1e-5)


def test_impulses_are_replaced_by_scipys_median_and_the_rest_stays() -> None:
    clean = photo("astronaut").clamp(0.01, 0.99)
    noisy = Noisy(kind="salt_and_pepper", amount=0.2).observe(clean, 0).y
    answer = baselines.denoise_impulses(noisy)["median"]
    check_answer(answer, (96, 96), 3)
    middle = scipy.ndimage.median_filter(noisy[0].numpy(), (1, 5, 5), mode="nearest")
    hit = (noisy == 0) | (noisy == 1)
    assert torch.equal(answer, torch.where(hit, torch.from_numpy(middle)[None], noisy))
    assert psnr(answer, clean) > psnr(noisy, clean) + 15


@pytest.mark.parametrize("kernel", [gaussian_kernel(1.0), motion_kernel(5, 30)], ids=["gaussian", "motion"])
def test_deconvolution_is_scikit_images_away_from_the_border(kernel: Tensor) -> None:
    blur, clean = Blur(kernel), photo("camera", 32)
    blurred = blur(clean)
    margin = 10 * (kernel.shape[0] // 2) * 2  # as far as ten iterations carry what lies beyond the border
    wide = np.pad(blurred[0, 0].numpy(), margin + 4, mode="edge")
    expected = skimage.restoration.richardson_lucy(wide, kernel.numpy(), num_iter=10)
    expected = expected[margin + 4 : -margin - 4, margin + 4 : -margin - 4]
    answer = baselines.deblur(blurred, blur, sigma=0.02)["richardson_lucy"]
    assert np.allclose(answer[0, 0, 12:-12, 12:-12], expected[12:-12, 12:-12], atol=0.01)


@pytest.mark.parametrize("kernel", [gaussian_kernel(1.5), motion_kernel(9, 30)], ids=["gaussian", "motion"])
@pytest.mark.parametrize("sigma", [0.0, 0.02])
def test_deconvolution_gains(kernel: Tensor, sigma: float) -> None:
    blur, clean = Blur(kernel), photo("astronaut")
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    blurred = (blur(clean) + sigma * noise).clamp(0, 1)
    answer = baselines.deblur(blurred, blur, sigma)["richardson_lucy"]
    check_answer(answer, (96, 96), 3)
    assert psnr(answer, clean) > psnr(blurred, clean) + (1.5 if sigma else 3)


def test_a_flat_image_is_its_own_deconvolution() -> None:
    flat = torch.full((1, 3, 20, 30), 0.3)
    answer = baselines.deblur(flat, Blur(motion_kernel(7, 45)), 0.0)["richardson_lucy"]
    assert torch.allclose(answer, flat, atol=1e-5)
    black = torch.zeros(1, 1, 8, 8)
    assert baselines.deblur(black, Blur(gaussian_kernel(1.0)), 0.0)["richardson_lucy"].max() < 1e-5


def test_without_noise_there_is_nothing_to_do() -> None:
    image = photo("astronaut", 16)
    assert all(torch.equal(answer, image) for answer in baselines.denoise(image, 0).values())


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3), (7, 9)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_tiny_images_and_any_channels(size: tuple[int, int], channels: int) -> None:
    image = torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, 1, *size)
    mask[..., -1] = float(size == (1, 1))
    blur = Blur(gaussian_kernel(2.0))
    for answers in (
        baselines.denoise(image, 0.1), baselines.denoise_poisson(image, 30.0), baselines.denoise_speckle(image, 0.1),
        baselines.denoise_impulses(image), baselines.deblur(image, blur, 0.0), baselines.inpaint(image, mask),
    ):  # fmt: skip
        for answer in answers.values():
            check_answer(answer, size, channels)
    for answer in baselines.upscale(image, (3 * size[0], 3 * size[1])).values():
        check_answer(answer, (3 * size[0], 3 * size[1]), channels)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_interpolation_beats_repeating_pixels(factor: int) -> None:
    image = photo("astronaut")
    small = Downsample(factor, (96, 96))(image)
    repeated = small.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    answers = baselines.upscale(small, (96, 96))
    assert list(answers) == ["bicubic", "lanczos"]
    for answer in answers.values():
        check_answer(answer, (96, 96), 3)
        assert psnr(answer, image) > psnr(repeated, image) + 0.5


def test_bicubic_is_the_frameworks_own_away_from_the_border() -> None:
    small = photo("camera", 32)
    other = torch.nn.functional.interpolate(small, scale_factor=4, mode="bicubic", antialias=True).clamp(0, 1)
    assert torch.allclose(baselines.upscale(small, (128, 128))["bicubic"], other, atol=1e-5)


@pytest.mark.parametrize("name", ["astronaut", "camera"])
@pytest.mark.parametrize(
    "mask",
    [masks.random_pixels((96, 96), 0.5, seed=0), masks.text((96, 96)), masks.holes((96, 96), 0.03, seed=1)],
    ids=["random", "text", "hole"],
)
def test_inpainting_beats_the_mean_of_what_is_known(name: str, mask: Tensor) -> None:
    image = photo(name)
    known = image * mask
    mean = known.sum((2, 3), keepdim=True) / mask.sum()
    answer = baselines.inpaint(known, mask)["biharmonic"]
    check_answer(answer, (96, 96), image.shape[1])
    seen = mask.expand_as(image) == 1
    assert torch.allclose(answer[seen], image[seen], atol=1e-6)
    assert psnr_hole(answer, image, mask) > psnr_hole(mean.expand_as(image), image, mask) + 2


def test_a_plane_is_continued_exactly() -> None:
    y, x = torch.meshgrid(torch.linspace(0, 0.5, 40), torch.linspace(0, 0.4, 40), indexing="ij")
    plane = (x + y)[None, None]
    mask = masks.holes((40, 40), 0.1, seed=0)
    assert torch.allclose(baselines.inpaint(plane * mask, mask)["biharmonic"], plane, atol=1e-5)


def test_inpainting_declines_what_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = photo("camera"), masks.random_pixels((96, 96), 0.1, seed=0)
    monkeypatch.setattr(baselines, "BIHARMONIC_LIMIT", int((mask == 0).sum()) - 1)
    assert baselines.inpaint(image * mask, mask) == {}
    assert baselines.inpaint(image, torch.zeros_like(mask)) == {}


def test_inpainting_where_nothing_is_missing_changes_nothing() -> None:
    image = photo("camera", 16)
    assert torch.equal(baselines.inpaint(image, torch.ones(1, 1, 16, 16))["biharmonic"], image)


def test_deblurring_is_the_same_after_a_fit_in_double_precision():
    blur, photo = (
        Blur(gaussian_kernel(1.0)),
        torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)),
    )
    before = baselines.deblur(photo, blur, 0.0)["richardson_lucy"]
    after = baselines.deblur(photo, blur.double(), 0.0)["richardson_lucy"]
    assert torch.equal(before, after)
    assert blur.kernel.dtype == torch.float64
