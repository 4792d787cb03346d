"""Estimates the noise level of an image from the image alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from dip.stopping.blocks import blocks

_NORMAL_MEDIAN = 0.6744897501960817  # median of |n| for n ~ N(0, 1)
_DEPENDENT = 0.2  # relative difference of the luminance's level, above which the noise of the channels is correlated
_ROUNDING = 0.29 / 255  # standard deviation of rounding to 8 bits
ENOUGH = 64  # fewest values for a restriction to be kept


def noise_level(image: Tensor, known: Tensor | None = None) -> float:
    """Estimates the standard deviation of white Gaussian noise in an image, in the image's units.

    The image is filtered with the difference of two Laplacians (Immerkaer, "Fast noise variance estimation", CVIU
    1996), which removes everything that is locally constant or linear. The level is the median absolute value of the
    rest (Donoho and Johnstone, Biometrika 1994), on which edges have little influence. Texture counts as noise: some
    per cent at a level of 0.1, more at lower levels. Clipping reduces the noise, so neighbourhoods with a value at 0 or
    1 are left out if enough others remain; at levels of 0.2 the estimate is still about 10 % low. Constant neighbourhoods,
    such as a frame around a photograph, are left out in the same way.

    Args:
        image: (1, C, h, w), values in [0, 1]. Sides below 3 give 0.
        known: (1, 1, h, w), not 0 where the image was observed; None if it was observed everywhere.
    """
    image, known = blocks(image), None if known is None else blocks(known)
    _, channels, height, width = image.shape
    if min(height, width) < 3:
        return 0.0
    image = image.detach().float()
    row = image.new_tensor([1.0, -2.0, 1.0])
    kernel = (row[:, None] * row).expand(channels, 1, 3, 3)
    detail = functional.conv2d(image, kernel, groups=channels).abs()  # (1, C, h-2, w-2)
    everywhere = torch.ones_like(detail, dtype=torch.bool)
    whole = everywhere if known is None else _all_of_3x3((known != 0).expand_as(image))
    inside = whole & _all_of_3x3((image > 0) & (image < 1))
    varied = inside & (functional.max_pool2d(image, 3, 1) + functional.max_pool2d(-image, 3, 1) > 0)
    enough = [mask for mask in (varied, inside, whole) if int(mask.sum()) >= ENOUGH]
    chosen = enough[0] if enough else everywhere
    return float(detail[chosen].median()) / (_NORMAL_MEDIAN * 6)  # 6: the filter's norm


def colour_levels(image: Tensor) -> list[float]:
    """Noise level of luminance and the two colour differences, see `dip.bm3d.opponent`; equal if channels are independent.

    A photograph that was compressed as a JPEG, or is gray and stored in colour, has more noise in the luminance. The
    noise of colour differences is measured in flat patches, since chroma subsampling takes its high frequencies.

    Args:
        image: (1, C, h, w), values in [0, 1]. The list has C values, all equal for other than three channels.
    """
    from dip.bm3d import opponent
    from dip.stopping.flat_patches import UNBIASED, flat_details

    image = blocks(image)
    level, channels = noise_level(image), image.shape[1]
    luminance = math.sqrt(channels) * noise_level(image.mean(1, keepdim=True))
    if channels != 3 or abs(luminance - level) <= _DEPENDENT * level:
        return [level] * channels
    differences = torch.einsum("dc,nchw->dnhw", opponent(3).to(image)[1:], flat_details(image, None).to(image))
    return [luminance, *(max(_ROUNDING, math.sqrt(float(x.square().mean()) * UNBIASED)) for x in differences)]


def _all_of_3x3(mask: Tensor) -> Tensor:
    """True where a pixel and its eight neighbours are true: (1, C, h, w) -> (1, C, h-2, w-2)."""
    missing: Tensor = functional.max_pool2d((~mask).float(), 3, stride=1)
    return missing == 0
