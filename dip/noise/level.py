"""The noise of an image: its kind and its level."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dip.bm3d import CORRELATED, opponent
from dip.noise import flat_patches as fp
from dip.noise import texture
from dip.noise.dependence import Line, line

WHITE = 0.27
"""Value of `flat_patches.whiteness` above which noise is treated as white. Chosen on simulated and on real noise."""

CLEAN = 0.5 / 255
"""Value of `flat_patches.noise_floor` below which an image is treated as clean: half an 8-bit step."""

UNVARIED = 0.0075
"""Variation of the least varying patches below which an image without correlated noise is treated as clean, and half of its
limit in each group of brightness. White noise of level 0.01, a PSNR of 40 dB, is above it."""

_NORMAL_MEDIAN = 0.6744897501960817  # median of |n| for n ~ N(0, 1)
_DEPENDENT = 0.2  # relative difference of the luminance's level, above which the noise of the channels is correlated
_ROUNDING = 0.29 / 255  # standard deviation of rounding to 8 bits
ENOUGH = 64  # fewest values for a restriction to be kept


TONES, GAP, UNIFORM = 16, 3 / 255, 0.75
"""Two values with at least the distance GAP make an image a halftone or a text; up to TONES values a drawing, if that share of
neighbours is equal. Gaussian noise takes all values in its range, a dark photograph has few without gaps, and photon counts
are few with gaps but differ between neighbours."""


@dataclass
class Noise:
    """What `examine` finds."""

    kind: str
    """white, correlated or none. White where no 16 x 16 patch is known."""
    whiteness: float | None
    """See `flat_patches.whiteness`."""
    sigma: float
    """Estimated standard deviation, for values in [0, 1]."""


def examine(image: Tensor, known: Tensor | None = None) -> Noise:
    """The noise of an image (1, C, H, W) in [0, 1], of blocks of a large one; `known` is not 0 where it was observed."""
    image, known = fp.blocks(image), None if known is None else fp.blocks(known)
    if drawn(image):
        return Noise("none", None, 0.0)
    floor = fp.noise_floor(image, known)
    if floor < CLEAN:
        return Noise("none", None, floor)
    white, (least, most) = fp.whiteness(image, known), texture.smallest_variation(image, known)
    if math.isnan(white) or white > WHITE:
        level, measured = noise_level(image, known), None if math.isnan(white) else white
        clean = level == 0 or (least < UNVARIED and most < 2 * UNVARIED)
        return Noise("none", measured, min(level, least)) if clean else Noise("white", measured, level)
    level = float(fp.noise_by_brightness(image, known)[1].square().mean().sqrt())
    return Noise("correlated", white, level if math.isnan(least) else min(level, texture.SHARE * least))


def drawn(image: Tensor) -> bool:
    """Whether the values of an image (1, C, H, W) in [0, 1] are those of a halftone, a text or a drawing."""
    image = fp.blocks(image)
    tones = np.unique(image.numpy(force=True))
    few = len(tones) <= min(TONES, image.numel() // TONES) and np.diff(tones).min(initial=1.0) > GAP
    return bool(few and (len(tones) <= 2 or float((image.diff() == 0).float().mean()) > UNIFORM))


def noise_levels(image: Tensor, known: Tensor | None = None) -> tuple[float, float | list[float], Line | None]:
    """The noise level of an image; the level for BM3D, which assumes independent white noise; and `dependence.line`.

    The arguments are those of `examine`. Where the noise is white, the last two are `white_levels`.
    """
    noise = examine(image, known)
    if noise.kind == "white" and known is None:
        return noise.sigma, *white_levels(image)
    return noise.sigma, noise.sigma * (CORRELATED if noise.kind == "correlated" else 1), None


def white_levels(image: Tensor) -> tuple[list[float], Line | None]:
    """`colour_levels` of an image with white noise and, where the channels are independent, `dependence.line`."""
    levels = colour_levels(image)
    return levels, line(image) if len(set(levels)) == 1 else None


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
    image, known = fp.blocks(image), None if known is None else fp.blocks(known)
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
    image = fp.blocks(image)
    level, channels = noise_level(image), image.shape[1]
    luminance = math.sqrt(channels) * noise_level(image.mean(1, keepdim=True))
    if channels != 3 or abs(luminance - level) <= _DEPENDENT * level:
        return [level] * channels
    differences = torch.einsum("dc,nchw->dnhw", opponent(3).to(image)[1:], fp.flat_details(image, None).to(image))
    return [luminance, *(max(_ROUNDING, math.sqrt(float(x.square().mean()) * fp.UNBIASED)) for x in differences)]


def _all_of_3x3(mask: Tensor) -> Tensor:
    """True where a pixel and its eight neighbours are true: (1, C, h, w) -> (1, C, h-2, w-2)."""
    missing: Tensor = functional.max_pool2d((~mask).float(), 3, stride=1)
    return missing == 0
