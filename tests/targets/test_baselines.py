"""Baselines: each improves on the observation, on real photos; shapes, ranges and limits are kept."""

import numpy as np
import pytest
import scipy.ndimage
import skimage.restoration
import torch
from torch import Tensor

from dip.metrics import psnr, psnr_hole
from dip.noise.level import noise_level
from dip.targets import Clean, Deblur, Degraded, Inpaint, Jpeg, Noisy, SuperRes, Target, baselines, masks
from dip.targets.noise_models import NOISE_MODELS, Gaussian, NoiseModel, NoNoise, Poisson, SaltAndPepper, Speckle
from dip.targets.observation import Observation, direct
from dip.targets.operators import Blur, Downsample, Mask, Operator, gaussian_kernel, motion_kernel
from tests.targets.photos import draw, photo


def denoised(noisy: Tensor, noise: NoiseModel) -> dict[str, Tensor]:
    return baselines.compute("denoising", direct(noisy, None), noise)


def deblurred(y: Tensor, blur: Operator, sigma: float = 0.0) -> Tensor:
    seen = Observation(y, blur, None, (y.shape[-2], y.shape[-1]))
    return baselines.compute("deblurring", seen, Gaussian(sigma))["richardson_lucy"]


def enlarged(small: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
    return baselines.compute("super-resolution", Observation(small, Downsample(2, size), None, size), NoNoise())


def filled(known: Tensor, mask: Tensor) -> dict[str, Tensor]:
    size = (known.shape[-2], known.shape[-1])
    return baselines.compute("inpainting", Observation(known, Mask(mask), None, size, known=mask), NoNoise())


def of_target(target: Target, seen: Observation, sigma: float = 0.0) -> dict[str, Tensor]:
    return baselines.compute(target.task, seen, target.noise_model(sigma))


def check_result(result: Tensor, size: tuple[int, int], channels: int) -> None:
    assert result.shape == (1, channels, *size)
    assert result.dtype == torch.float32
    assert result.isfinite().all()
    assert 0 <= result.min() <= result.max() <= 1


@pytest.mark.parametrize("name", ["astronaut", "camera"])
@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2])
def test_denoising_improves_at_every_noise_level(name: str, sigma: float) -> None:
    clean = photo(name)
    noisy = Gaussian(sigma).sample(clean, draw()).clamp(0, 1)
    results = denoised(noisy, Gaussian(sigma))
    assert {"nlm", "tv"} <= set(results)
    for result in results.values():
        check_result(result, (96, 96), clean.shape[1])
        assert psnr(result, clean) > psnr(noisy, clean) + 3.5


@pytest.mark.parametrize("noise", [Poisson(20.0), Speckle(0.3)], ids=["poisson", "speckle"])
@pytest.mark.parametrize("name", ["astronaut", "camera", "chelsea"])
def test_stabilising_other_noise_is_better_than_taking_it_for_gaussian(name: str, noise: NoiseModel) -> None:
    clean = photo(name)
    noisy = noise.sample(clean, draw()).clamp(0, 1)
    simple, found = denoised(noisy, Gaussian(noise_level(noisy))), denoised(noisy, noise)
    assert found.keys() == simple.keys()
    for result in found.values():
        check_result(result, (96, 96), clean.shape[1])
        assert psnr(result, clean) > psnr(noisy, clean) + 3
    assert np.mean([float(psnr(found[method], clean) - psnr(simple[method], clean)) for method in found]) > 0


@pytest.mark.parametrize("value", [0.2, 0.7])
def test_flat_areas_keep_their_brightness(value: float) -> None:
    flat = torch.full((1, 1, 64, 64), value)
    noisy = Poisson(20.0).sample(flat, draw()).clamp(0, 1)
    for result in denoised(noisy, Poisson(20.0)).values():
        assert result.mean().item() == pytest.approx(value, abs=0.02)
    for result in denoised(flat, Speckle(0.3)).values():
        assert torch.allclose(result, flat, atol=1e-5)


def test_impulses_are_replaced_by_scipys_median_and_the_rest_stays() -> None:
    clean = photo().clamp(0.01, 0.99)
    noisy = SaltAndPepper(0.2).sample(clean, draw())
    results = denoised(noisy, SaltAndPepper(0.2))
    assert results.keys() == {"median"}
    check_result(results["median"], (96, 96), 3)
    middle = scipy.ndimage.median_filter(noisy[0].numpy(), (1, 5, 5), mode="nearest")
    hit = (noisy == 0) | (noisy == 1)
    assert torch.equal(results["median"], torch.where(hit, torch.from_numpy(middle)[None], noisy))
    assert psnr(results["median"], clean) > psnr(noisy, clean) + 15


@pytest.mark.parametrize("kind", [kind for kind in NOISE_MODELS if kind != "none"])
def test_a_noisy_target_has_baselines_that_know_its_noise(kind: str) -> None:
    target = Noisy(kind=kind, **({"sigma": 0.2} if kind in ("gaussian", "speckle") else {}))
    seen = target.observe(photo(), 0)
    results = of_target(target, seen, sigma=99.0)
    noisy = target.scores(seen.y, seen)["psnr"]
    assert all(
        target.scores(result, seen)["psnr"] > noisy + (0.3 if kind == "camera" else 3) for result in results.values()
    )
    assert {"median"} == results.keys() if kind == "salt_and_pepper" else {"nlm", "tv"} <= results.keys()
    assert of_target(Clean(), seen) == {}


@pytest.mark.parametrize(
    ("target", "score", "names"),
    [
        (SuperRes(simulate=True), 21, {"bicubic", "lanczos"}),
        (Deblur(sigma=1.0, simulate=True), 24, {"richardson_lucy"}),
        (Inpaint(missing=0.3), 24, {"biharmonic"}),
    ],
    ids=["superres", "deblur", "inpaint"],
)
def test_each_operator_has_its_baselines(target: Target, score: float, names: set[str]) -> None:
    seen = target.observe(photo("camera"), 0)
    results = of_target(target, seen)
    assert results.keys() == names
    assert all(target.scores(result, seen)["psnr"] > score for result in results.values())


def test_baselines_of_a_degraded_photo_use_the_estimated_noise_level() -> None:
    noisy = Gaussian(0.1).sample(photo(), draw()).clamp(0, 1)
    seen = Degraded().observe(noisy, 0)
    found, told = of_target(Degraded(), seen, 0.12), denoised(noisy, Gaussian(0.12))
    assert all(torch.equal(found[name], result) for name, result in told.items())


@pytest.mark.parametrize("kernel", [gaussian_kernel(1.0), motion_kernel(5, 30)], ids=["gaussian", "motion"])
def test_deconvolution_is_scikit_images_away_from_the_border(kernel: Tensor) -> None:
    blur, clean = Blur(kernel), photo("camera", 32, 32)
    blurred = blur(clean)
    margin = 10 * (kernel.shape[0] // 2) * 2  # the reach of ten iterations from beyond the border
    wide = np.pad(blurred[0, 0].numpy(), margin + 4, mode="edge")
    expected = skimage.restoration.richardson_lucy(wide, kernel.numpy(), num_iter=10)
    expected = expected[margin + 4 : -margin - 4, margin + 4 : -margin - 4]
    result = deblurred(blurred, blur, sigma=0.02)
    assert np.allclose(result[0, 0, 12:-12, 12:-12], expected[12:-12, 12:-12], atol=0.01)


@pytest.mark.parametrize("kernel", [gaussian_kernel(1.5), motion_kernel(9, 30)], ids=["gaussian", "motion"])
@pytest.mark.parametrize("sigma", [0.0, 0.02])
def test_deconvolution_improves(kernel: Tensor, sigma: float) -> None:
    blur, clean = Blur(kernel), photo()
    blurred = Gaussian(sigma).sample(blur(clean), draw()).clamp(0, 1)
    result = deblurred(blurred, blur, sigma)
    check_result(result, (96, 96), 3)
    assert psnr(result, clean) > psnr(blurred, clean) + (1.5 if sigma else 3)
    flat = torch.full((1, 3, 20, 30), 0.3)
    assert torch.allclose(deblurred(flat, blur), flat, atol=1e-5)
    assert deblurred(torch.zeros(1, 1, 8, 8), blur).max() < 1e-5


def test_deconvolution_is_the_same_after_a_fit_in_double_precision() -> None:
    blur = Blur(gaussian_kernel(1.0))
    before = deblurred(photo(height=24, width=24), blur)
    assert torch.equal(before, deblurred(photo(height=24, width=24), blur.double()))
    assert blur.kernel.dtype == torch.float64


def test_without_damage_nothing_changes() -> None:
    image = photo(height=16, width=16)
    assert all(torch.equal(result, image) for result in denoised(image, NoNoise()).values())
    assert torch.equal(filled(image, torch.ones(1, 1, 16, 16))["biharmonic"], image)


@pytest.mark.parametrize(("size", "channels"), [((1, 1), 3), ((1, 5), 1), ((2, 3), 5), ((7, 9), 3)])
def test_tiny_images_and_any_channels(size: tuple[int, int], channels: int) -> None:
    image = torch.rand(1, channels, *size, generator=draw())
    mask = torch.ones(1, 1, *size)
    mask[..., -1] = float(size == (1, 1))
    results = [*filled(image, mask).values(), deblurred(image, Blur(gaussian_kernel(2.0)))]
    for kind in NOISE_MODELS.values():
        results += denoised(image, kind()).values()
    for result in results:
        check_result(result, size, channels)
    for result in enlarged(image, (3 * size[0], 3 * size[1])).values():
        check_result(result, (3 * size[0], 3 * size[1]), channels)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_interpolation_beats_repeating_pixels(factor: int) -> None:
    image = photo()
    small = Downsample(factor, (96, 96))(image)
    repeated = small.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    results = enlarged(small, (96, 96))
    assert list(results) == ["bicubic", "lanczos"]
    for result in results.values():
        check_result(result, (96, 96), 3)
        assert psnr(result, image) > psnr(repeated, image) + 0.5


@pytest.mark.parametrize("name", ["astronaut", "camera"])
@pytest.mark.parametrize(
    "mask",
    [masks.random_pixels((96, 96), 0.5, draw()), masks.text((96, 96)), masks.hole((96, 96), 0.03, draw(1))],
    ids=["random", "text", "hole"],
)
def test_inpainting_beats_the_mean_of_the_known_pixels(name: str, mask: Tensor) -> None:
    image = photo(name)
    known = image * mask
    mean = known.sum((2, 3), keepdim=True) / mask.sum()
    result = filled(known, mask)["biharmonic"]
    check_result(result, (96, 96), image.shape[1])
    seen = mask.expand_as(image) == 1
    assert torch.allclose(result[seen], image[seen], atol=1e-6)
    assert psnr_hole(result, image, mask) > psnr_hole(mean.expand_as(image), image, mask) + 2


def test_a_plane_is_continued_exactly() -> None:
    y, x = torch.meshgrid(torch.linspace(0, 0.5, 40), torch.linspace(0, 0.4, 40), indexing="ij")
    plane, mask = (x + y)[None, None], masks.hole((40, 40), 0.1, draw())
    assert torch.allclose(filled(plane * mask, mask)["biharmonic"], plane, atol=1e-5)


def test_inpainting_declines_what_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = photo("camera"), masks.random_pixels((96, 96), 0.1, draw())
    monkeypatch.setattr(baselines, "BIHARMONIC_LIMIT", int((mask == 0).sum()) - 1)
    assert filled(image * mask, mask) == {}
    assert filled(image, torch.zeros_like(mask)) == {}


def test_shifted_recompression_improves_a_jpeg_and_stays_in_its_intervals() -> None:
    image = photo("chelsea")
    target = Jpeg(quality=10)
    seen = target.observe(image, 0)
    found = of_target(target, seen)["shifted"]
    assert psnr(found, image) > psnr(seen.y, image) + 0.3
    assert seen.intervals is not None
    assert 255 * (seen.intervals.project(found) - found).square().mean().sqrt() < 0.1
    assert of_target(Jpeg(intervals=False), direct(seen.y, None)) == {}
