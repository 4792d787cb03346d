"""Metrics that compare two images, each with its protocol.

Every function takes float images (1, C, H, W) in [0, 1], computes in float32 or float64, and returns a scalar tensor on
the images' device. The device is not synchronised until the caller reads the value.
"""

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure, visual_information_fidelity

HIGHEST = 100.0
"""Highest PSNR in dB that is returned: that of equal images, and of images that differ by rounding in float32."""

SSIM_PIXELS = 2**21
"""Number of pixels in a band of the image for which `ssim` is computed at once."""


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB over all pixels and channels, peak 1; at most 100, which equal images have.

    Protocol: one mean squared error over all colour channels; images are not rounded to 8 bits. Source: Ulyanov et
    al., "Deep Image Prior", denoising (CBM3D's protocol).
    """
    return _decibel((_wide(x) - _wide(y)).square().mean())


def psnr_y(x: Tensor, y: Tensor, border: int) -> Tensor:
    """PSNR in dB, at most 100, of the luma without a frame of `border` pixels; NaN if nothing is left.

    Protocol: Y of ITU-R BT.601, 16 to 235 of 255, not rounded. The peak is 255, so the value is higher than `psnr` for
    the same error. A one-channel image is its own luma. Source: the usual super-resolution protocol (Set5, Set14),
    Ulyanov et al., super-resolution.

    Args:
        border: pixels to leave out at each side, usually the factor; 4 in the paper's tables.

    Raises:
        ValueError: the images have neither one nor three channels.
    """
    height, width = x.shape[-2:]
    frame = (..., slice(border, max(height - border, border)), slice(border, max(width - border, border)))
    return _decibel((_luma(x)[frame] - _luma(y)[frame]).square().mean())


def psnr_hole(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """PSNR in dB, at most 100, over the missing pixels only (all channels, peak 1); NaN if none is missing.

    Known pixels are nearly equal to the observation; with them the value would depend on the size of the hole.

    Args:
        mask: (1, 1, H, W), 1 = known, 0 = missing.
    """
    missing = 1 - _wide(mask)
    error = ((_wide(x) - _wide(y)).square() * missing).sum()
    return _decibel(error / (missing.sum() * x.shape[1]))


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity, at most 1, averaged over pixels and channels.

    Protocol: Gaussian window with sigma 1.5 truncated to 11 x 11, K = (0.01, 0.03), data range 1, each channel on its
    own, only positions where the window lies inside the image. Source: Wang et al. 2004, "Image quality assessment:
    from error visibility to structural similarity".

    For an image with a side below 11 the window is the largest odd one that fits, with sigma 0.3 times its radius. For
    a side of 1 or 2 it is one pixel, and only luminance is compared.
    """
    radius = min(5, (min(x.shape[-2:]) - 1) // 2)
    # torchmetrics derives the window from sigma: 2 int(3.5 sigma + 0.5) + 1 pixels, which is 2 radius + 1 here.
    sigma = max(0.3 * radius, 0.1)
    x, y = _wide(x), _wide(y)
    height, width = x.shape[-2:]
    means, weights = [], []
    rows = max(SSIM_PIXELS // width, 1)  # of a band: a large image at once would need 0.5 kB per pixel
    for top in range(radius, height - radius, rows):
        bottom = min(top + rows, height - radius)
        band = (..., slice(top - radius, bottom + radius), slice(None))
        _, local = structural_similarity_index_measure(
            x[band], y[band], sigma=sigma, data_range=1.0, return_full_image=True
        )
        # It also pads the image by reflection, which affects a frame of `radius` pixels.
        means.append(local[..., radius : bottom - top + radius, radius : width - radius].mean())
        weights.append((bottom - top) / (height - 2 * radius))
    return means[0] if len(means) == 1 else (torch.stack(means) * means[0].new_tensor(weights)).sum()


def vif(x: Tensor, y: Tensor) -> Tensor:
    """Visual information fidelity of `x` to the reference `y`, a perceptual measure: 1 if equal, 0 if unrelated.

    Protocol: in the pixel domain at four scales, variance of the visual noise 2 for values from 0 to 255, mean over
    channels. Source: Sheikh and Bovik 2006, "Image information and visual quality", and their pixel-domain version.

    Raises:
        ValueError: a side is below 41 pixels.
    """
    return visual_information_fidelity(255 * _wide(x), 255 * _wide(y), sigma_n_sq=2.0)


def _decibel(error: Tensor) -> Tensor:
    return (-10 * torch.log10(error)).clamp(max=HIGHEST)


def _wide(x: Tensor) -> Tensor:
    """`x` as float64 if it is float64, else as float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _luma(x: Tensor) -> Tensor:
    """Y of YCbCr in units of the peak, (1, 1, H, W) in [16 / 255, 235 / 255]; a gray image unchanged."""
    if x.shape[1] == 1:
        return _wide(x)
    if x.shape[1] != 3:
        raise ValueError(f"luma is defined for 1 or 3 channels, not {x.shape[1]}")
    red, green, blue = _wide(x).unbind(1)
    return ((65.481 * red + 128.553 * green + 24.966 * blue + 16) / 255).unsqueeze(1)
