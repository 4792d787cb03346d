"""Metrics against scikit-image and against values computed by hand."""

import math

import numpy as np
import pytest
import skimage.data
import torch
from scipy.signal import convolve2d
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from dip.metrics import psnr, psnr_hole, psnr_y, ssim, vif


def pair(height: int = 120, width: int = 97, channels: int = 3) -> tuple[Tensor, Tensor]:
    """A real photo and the same with noise, (1, channels, height, width) in float64."""
    pixels = skimage.data.coffee()[100 : 100 + height, 200 : 200 + width, :channels] / 255
    clean = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    noise = torch.randn(clean.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return clean, (clean + 0.1 * noise).clamp(0, 1)


def pixels(image: Tensor) -> np.ndarray:
    return image[0].permute(1, 2, 0).numpy()


def test_psnr_is_scikit_images() -> None:
    clean, noisy = pair()
    expected = peak_signal_noise_ratio(pixels(clean), pixels(noisy), data_range=1)
    assert psnr(noisy, clean).item() == pytest.approx(expected, abs=1e-9)
    assert psnr(noisy.float(), clean.float()).item() == pytest.approx(expected, abs=1e-4)


def test_psnr_of_a_constant_error() -> None:
    image = torch.full((1, 3, 4, 4), 0.5)
    assert psnr(image, image + 0.1).item() == pytest.approx(20, abs=1e-4)
    assert psnr(image, image).item() == 100
    assert psnr(image.double(), image.double() + 1e-5).item() == pytest.approx(100)
    assert psnr(image.double(), image.double() + 2e-5).item() == pytest.approx(100 - 20 * math.log10(2))
    assert psnr(image, image * math.nan).isnan()


def test_psnr_y_is_scikit_images_luma_without_the_border() -> None:
    clean, noisy = pair()
    luma = [rgb2ycbcr(pixels(image))[4:-4, 4:-4, 0] for image in (clean, noisy)]
    expected = peak_signal_noise_ratio(*luma, data_range=255)
    assert psnr_y(noisy, clean, border=4).item() == pytest.approx(expected, abs=1e-9)


def test_psnr_y_of_gray_is_psnr_and_other_channels_are_refused() -> None:
    clean, noisy = pair(channels=1)
    assert torch.equal(psnr_y(noisy, clean, border=0), psnr(noisy, clean))
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        psnr_y(noisy.expand(1, 2, -1, -1), clean.expand(1, 2, -1, -1), border=0)


@pytest.mark.parametrize("border", [3, 4, 50])
def test_psnr_y_of_no_pixels_is_nan(border: int) -> None:
    image = torch.rand(1, 3, 6, 40)
    assert psnr_y(image, image / 2, border).isnan()


def test_psnr_hole_uses_missing_pixels_only() -> None:
    clean, noisy = pair()
    mask = (torch.rand(1, 1, *clean.shape[-2:], generator=torch.Generator().manual_seed(1)) > 0.3).double()
    hole = mask[0, 0].numpy() == 0
    expected = peak_signal_noise_ratio(pixels(clean)[hole], pixels(noisy)[hole], data_range=1)
    patched = torch.where(mask == 1, clean * 0, noisy)  # any values at known pixels
    assert psnr_hole(patched, clean, mask).item() == pytest.approx(expected, abs=1e-9)
    assert psnr_hole(clean, clean, torch.ones_like(mask)).isnan()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [120, 10, 7, 4, 3])
def test_ssim_is_scikit_images_in_the_largest_odd_window_that_fits(side: int, channels: int) -> None:
    clean, noisy = pair(side, channels=channels)
    radius = min(5, (side - 1) // 2)
    options = {"gaussian_weights": True, "sigma": 0.3 * radius, "truncate": 3.5, "win_size": 2 * radius + 1}
    expected = structural_similarity(
        pixels(clean), pixels(noisy), data_range=1, channel_axis=-1, use_sample_covariance=False, **options
    )
    assert ssim(noisy, clean).item() == pytest.approx(expected, abs=1e-9)


def test_ssim_in_bands_is_that_of_the_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large image is compared in bands, because the window's maps would take 6 GB at 12 megapixels."""
    whole = ssim(*pair())
    monkeypatch.setattr("dip.metrics.SSIM_PIXELS", 97 * 23)
    torch.testing.assert_close(ssim(*pair()), whole, rtol=1e-12, atol=0)


def test_ssim_of_single_pixels_compares_luminance() -> None:
    x, y = torch.tensor(0.2).expand(1, 1, 1, 5), torch.tensor(0.8).expand(1, 1, 1, 5)
    expected = (2 * 0.2 * 0.8 + 1e-4) / (0.2**2 + 0.8**2 + 1e-4)
    assert ssim(x, y).item() == pytest.approx(expected, abs=1e-6)
    assert ssim(x, x).item() == pytest.approx(1)


@pytest.mark.parametrize("metric", [psnr, ssim, lambda x, y: psnr_y(x, y, 4)])
def test_half_precision_is_converted_to_float32(metric) -> None:
    clean, noisy = (image.bfloat16() for image in pair())
    value = metric(noisy, clean)
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(metric(noisy.double(), clean.double()).item(), rel=1e-4)


def expected_vif(image: np.ndarray, reference: np.ndarray) -> float:
    """Sheikh and Bovik's formulas for one channel from 0 to 255, with valid convolutions."""
    known = noisy = 0.0
    for scale in range(4):
        size = 2 ** (4 - scale) + 1
        tap = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * (size / 5) ** 2))
        window = np.outer(tap, tap) / tap.sum() ** 2

        def blur(x: np.ndarray, window: np.ndarray = window) -> np.ndarray:
            return convolve2d(x, window, "valid")

        if scale:
            image, reference = blur(image)[::2, ::2], blur(reference)[::2, ::2]
        mean, own = blur(reference), blur(image)
        variance = np.maximum(blur(reference**2) - mean**2, 0)
        gain = (blur(reference * image) - mean * own) / (variance + 1e-10)
        left = np.maximum(blur(image**2) - own**2, 0) - gain * (blur(reference * image) - mean * own)
        left[gain < 0], gain = (blur(image**2) - own**2)[gain < 0], np.maximum(gain, 0)
        noisy += np.log10(1 + gain**2 * variance / (np.maximum(left, 1e-10) + 2)).sum()
        known += np.log10(1 + variance / 2).sum()
    return noisy / known


def test_vif_is_that_of_the_formulas() -> None:
    clean, noisy = pair()
    channels = [expected_vif(*(255 * pixels(x)[..., number] for x in (noisy, clean))) for number in range(3)]
    assert vif(noisy, clean).item() == pytest.approx(np.mean(channels), rel=1e-4)
    assert vif(clean, clean).item() == pytest.approx(1, abs=1e-6)
    assert vif(noisy, clean) < vif((noisy + clean) / 2, clean)
