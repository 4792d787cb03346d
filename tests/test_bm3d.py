"""BM3D: its transforms, tiny and constant images, and its rank among the baselines."""

import numpy as np
import pytest
import scipy.fft
import torch

from dip.bm3d import _matches, bm3d, dct, haar, opponent
from dip.targets.baselines import compute
from dip.targets.noise_models import Gaussian
from dip.targets.observation import direct
from tests.targets.photos import draw, photo


def psnr(a, b) -> float:
    return -10 * np.log10(np.mean((np.asarray(a) - np.asarray(b)) ** 2))


@pytest.mark.parametrize("rows", [dct(8), haar(1), haar(16), haar(32), opponent(3), opponent(1), opponent(5)])
def test_transforms_are_orthonormal(rows: torch.Tensor) -> None:
    assert torch.allclose(rows @ rows.T, torch.eye(len(rows)), atol=1e-6)


def test_transforms_agree_with_scipy_and_with_known_coefficients() -> None:
    signal = np.random.default_rng(0).normal(size=8).astype(np.float32)
    assert np.allclose(dct(8).numpy() @ signal, scipy.fft.dct(signal, norm="ortho"), atol=1e-6)
    step = torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0])
    assert torch.allclose(haar(8) @ step, 8**0.5 * torch.eye(8)[1], atol=1e-6)
    assert torch.allclose(opponent(3) @ torch.ones(3), 3**0.5 * torch.eye(3)[0], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 40, 3), (17, 17, 3), (30, 8, 5)])
@pytest.mark.parametrize("value", [0.0, 0.4])
def test_a_constant_image_is_unchanged(shape: tuple[int, int, int], value: float) -> None:
    result = bm3d(np.full(shape, value), 0.1)
    assert result.shape == shape
    assert np.allclose(result, value, atol=1e-6)


def test_an_image_without_visible_noise_hardly_changes() -> None:
    image = photo("camera", 40, 48)[0].permute(1, 2, 0).numpy()
    assert psnr(bm3d(image, 1e-4), image) > 70


@pytest.mark.parametrize(("name", "gain"), [("astronaut", 0.3), ("brick", 0.8), ("chelsea", 0.5)])
def test_it_is_better_than_the_other_baselines_on_white_noise(name: str, gain: float) -> None:
    """Published means at this level: CBM3D is 1 to 3 dB above non-local means."""
    clean = photo(name)
    noisy = Gaussian(25 / 255).sample(clean, draw()).clamp(0, 1)
    results = compute("denoising", direct(noisy, None), Gaussian(25 / 255))
    scores = {method: psnr(result, clean) for method, result in results.items()}
    assert scores["bm3d"] > max(score for method, score in scores.items() if method != "bm3d") + gain


def test_noise_on_a_flat_image_is_averaged_over_the_blocks() -> None:
    noisy = 0.5 + 0.1 * np.random.default_rng(0).normal(size=(64, 64, 1))
    assert bm3d(noisy, 0.1)[8:-8, 8:-8].std() < 0.1 / 10


def test_a_level_for_each_opponent_channel() -> None:
    clean = photo("camera").expand(1, 3, 96, 96)[0].permute(1, 2, 0).numpy()
    gray = (clean + np.random.default_rng(0).normal(0, 0.1, (*clean.shape[:2], 1))).astype(np.float32)
    assert np.array_equal(bm3d(gray, 0.1), bm3d(gray, [0.1, 0.1, 0.1]))
    correct = bm3d(gray, [0.1 * 3**0.5, 0.001, 0.001])  # all of the noise is in the luminance
    assert psnr(correct, clean) > psnr(bm3d(gray, 0.1), clean) + 2
    assert np.ptp(correct, axis=-1).max() < 1e-5


def test_similar_blocks_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = torch.rand(29, 62, generator=torch.Generator().manual_seed(0))

    def matches(columns: int) -> set[tuple[int, ...]]:
        monkeypatch.setattr("dip.bm3d.COLUMNS", columns)
        return {(*y.tolist(), *x.tolist()) for rows in _matches(plane, 4) for y, x in zip(*rows, strict=True)}

    assert matches(5) == matches(128)
    assert len(matches(5)) == 8 * 19
