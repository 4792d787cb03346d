"""The noise of an image: its kind, its level, and its bias where white noise was clipped.

An average of noisy white is gray, because no value lies above white: of noise n with standard deviation s, the mean of
clip(x + n, 0, 1) is a function m(x) that increases with x. At x = 1 it is 1 - s / sqrt(2 pi): 0.96 for s = 25 / 255. A
denoiser estimates m(x), so x is its inverse. Foi, "Clipped noisy images: Heteroskedastic modeling and practical denoising",
Signal Processing 2009.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dip.bm3d import CORRELATED, opponent
from dip.noise import flat_patches as fp
from dip.noise import texture

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

POINTS = 4096
"""Points of the table by which m is inverted."""

NEAR = 0.5
"""Distance from 0 or 1, in standard deviations, below which a pixel shows whether the noise was clipped there."""

RATIO = 1.5
"""Factor by which the variance of the noise near 0 or 1 may differ from that of clipped noise. Photon noise differs more near
0, where it vanishes."""

FEWEST = 16
"""Values near 0 or 1 below which nothing is corrected there."""


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
    tones = np.unique(image.numpy(force=True))
    few = len(tones) <= min(TONES, image.numel() // TONES) and np.diff(tones).min(initial=1.0) > GAP
    if few and (len(tones) <= 2 or float((image.diff() == 0).float().mean()) > UNIFORM):
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


def noise_levels(image: Tensor, known: Tensor | None = None) -> tuple[float, float | list[float]]:
    """The noise level of an image, and the level for BM3D, which assumes independent white noise in the channels.

    The arguments are those of `examine`. Where the noise is white, there is one level for each channel of `dip.bm3d`.
    """
    noise = examine(image, known)
    if noise.kind == "white" and known is None:
        return noise.sigma, colour_levels(image)
    return noise.sigma, noise.sigma * (CORRELATED if noise.kind == "correlated" else 1)


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


def moments(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Mean and variance of clip(x + n, 0, 1), for values `x` in [0, 1] and noise n of standard deviation `sigma` > 0."""
    x = x.double()
    low, high = -x / sigma, (1 - x) / sigma
    below, above = torch.special.ndtr(low), torch.special.ndtr(-high)
    density = torch.stack([low, high]).square().mul(-0.5).exp() / (2 * torch.pi) ** 0.5
    inside = 1 - below - above
    mean = x * inside + sigma * (density[0] - density[1]) + above
    second = (x**2 + sigma**2) * inside + 2 * x * sigma * (density[0] - density[1])
    second = second + sigma**2 * (low * density[0] - high * density[1]) + above
    return mean, (second - mean.square()).clamp(min=0)


def unclipped(image: Tensor, observed: Tensor, sigma: float) -> Tensor:
    """`image` without the bias near 0 and 1, where the noise of `observed` shows that it was clipped.

    Args:
        image: restored from `observed`, (1, C, h, w) in [0, 1].
        observed: of the same shape, with white Gaussian noise.
        sigma: the noise's standard deviation before clipping.
    """
    if not sigma > 0:
        return image
    table = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    mean, variance = moments(table, sigma)
    values, means = image.detach().double().cpu().numpy(), mean.numpy()
    corrected = np.interp(values, means, table.numpy())
    residual = observed.detach().double().cpu().numpy() - values
    for near, half in ((corrected < NEAR * sigma, values < 0.5), (corrected > 1 - NEAR * sigma, values >= 0.5)):
        if near.sum() >= FEWEST:
            expected = np.interp(corrected[near], table.numpy(), variance.numpy()).mean()
            if expected / RATIO < np.square(residual[near]).mean() < expected * RATIO:
                continue
        corrected[half] = values[half]
    return torch.from_numpy(corrected).to(image)
