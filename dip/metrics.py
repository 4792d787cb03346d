"""How near two images are, each by a named protocol.

Every function takes float images (1, C, H, W) in [0, 1], computes in float32 or better, and returns a tensor
of no dimension on the images' device: nothing waits for the device until the caller reads the number.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

SSIM_RADIUS = 5
"""The SSIM window is 11 x 11 pixels, a Gaussian of sigma 1.5."""


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB over all pixels and channels, peak 1; infinite for equal images.

    Protocol: the mean squared error is taken over the colour channels together, neither image is rounded to
    8 bit. Source: Ulyanov et al., "Deep Image Prior", denoising (CBM3D's protocol).
    """
    return _decibel((_wide(x) - _wide(y)).square().mean())


def psnr_y(x: Tensor, y: Tensor, border: int) -> Tensor:
    """PSNR in dB of the luma, without a frame of `border` pixels; NaN where the frame leaves nothing.

    Protocol: Y of ITU-R BT.601, 16 to 235 of 255, not rounded; the peak is 255, so the same error weighs less
    than in `psnr`. A one-channel image is its own luma and is compared as it is. Source: the super-resolution
    tables of the field (Set5, Set14), Ulyanov et al., super-resolution.

    Args:
        border: pixels left out at each side; by custom the factor, 4 in the paper's tables.

    Raises:
        ValueError: the images have neither one nor three channels.
    """
    height, width = x.shape[-2:]
    frame = (..., slice(border, max(height - border, border)), slice(border, max(width - border, border)))
    return _decibel((_luma(x)[frame] - _luma(y)[frame]).square().mean())


def psnr_hole(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """PSNR in dB over the missing pixels alone (all channels, peak 1); NaN where nothing is missing.

    Known pixels are copied from the observation or nearly so: counting them would measure the size of the
    hole.

    Args:
        mask: (1, 1, H, W), 1 = known, 0 = missing.
    """
    missing = 1 - _wide(mask)
    error = ((_wide(x) - _wide(y)).square() * missing).sum()
    return _decibel(error / (missing.sum() * x.shape[1]))


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity, at most 1, the mean over pixels and channels.

    Protocol: Gaussian window of sigma 1.5 cut to 11 x 11, K = (0.01, 0.03), data range 1, only where the
    window lies inside the image, channels apart. Source: Wang et al. 2004, "Image quality assessment: from
    error visibility to structural similarity".

    An image with a side below 11 has the largest odd window that fits, with its sigma in proportion (0.3
    times the radius); with a side of 1 or 2 that is a single pixel, and only luminance is compared.
    """
    radius = min(SSIM_RADIUS, (min(x.shape[-2:]) - 1) // 2)
    # torchmetrics makes the window from sigma: 2 int(3.5 sigma + 0.5) + 1 pixels, which is 2 radius + 1 here.
    sigma = max(0.3 * radius, 0.1)
    _, local = structural_similarity_index_measure(
        _wide(x), _wide(y), sigma=sigma, data_range=1.0, return_full_image=True
    )
    # It also pads the image by reflection; a frame of `radius` pixels is what the padding has touched.
    height, width = x.shape[-2:]
    return local[..., radius : height - radius, radius : width - radius].mean()


def _decibel(error: Tensor) -> Tensor:
    return -10 * torch.log10(error)


def _wide(x: Tensor) -> Tensor:
    """`x` in float32, or in float64 where it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _luma(x: Tensor) -> Tensor:
    """Y of YCbCr, in units of the peak: (1, 1, H, W) in [16 / 255, 235 / 255]; a gray image as it is."""
    if x.shape[1] == 1:
        return _wide(x)
    if x.shape[1] != 3:
        raise ValueError(f"luma is defined for 1 or 3 channels, not {x.shape[1]}")
    red, green, blue = _wide(x).unbind(1)
    return ((65.481 * red + 128.553 * green + 24.966 * blue + 16) / 255).unsqueeze(1)
