"""Whether what varies in an image is texture or noise.

The least variation of an image is measured in patches that are smaller than its texture.

Estimates from 16 x 16 patches take texture for noise in an image without a flat patch of that size: a sharp photograph
that was shrunk to 128 x 128 pixels is measured at 25 of 255. Some 8 x 8 patches are flat in most images. The noise of a
camera is correlated, so a patch of 8 x 8 shows only a part of its level: a third to a half on 13 photographs.

`image` and `known` are as in `dip.noise.flat_patches`.
"""

import math

import torch
from torch import Tensor

from dip.noise import flat_patches as fp

SIDE = 8
"""Side of a patch in pixels."""

SHARE = 2.8
"""The level of a camera's noise is at most this many times that in the least varying 8 x 8 patches."""

STRONG = 12 / 255
"""Level of correlated noise from which on `certain` examines it. Below it the rule for weak noise is better tested."""

COMMON = 0.7
"""Correlation of the channels in flat patches, below which it is noise. Texture of scikit-image's samples has 0.83 to 0.96,
noise that is independent in the channels at most 0.73 (5 % of 165 images above 0.6)."""

ENOUGH = 10
"""Flat patches that suffice for a decision: those of 96 x 96 pixels. A clean photograph of 64 x 64 had channels as different as noise."""


def certain(image: Tensor, known: Tensor | None = None) -> bool:
    """Whether the flat patches of a colour image show strong noise that is unlike texture.

    The channels of texture are highly correlated, those of noise are not. A gray image has no such sign: fine texture of
    grass or gravel is as normally distributed as noise, and the network fits both at the same steps.
    """
    flat = fp.flat_details(fp.blocks(image), None if known is None else fp.blocks(known), fp.GROUPS)  # (m, C, 16, 16)
    varying = flat.square().mean((0, 2, 3)) > fp.QUANTISATION / 1000  # (C,); a constant channel has no correlation
    flat = flat[:, varying]
    channels = flat.shape[1]
    if len(flat) < ENOUGH or channels < 2 or float(flat.square().mean()) * fp.UNBIASED < STRONG**2:
        return False
    common = torch.corrcoef(flat.transpose(0, 1).flatten(1))  # (channels, channels)
    return float(common.sum() - channels) / (channels * (channels - 1)) < COMMON


def smallest_variation(image: Tensor, known: Tensor | None = None) -> tuple[float, float]:
    """Standard deviation of the least varying 8 x 8 patches, without their planes. NaN without a known patch.

    The median over groups of brightness, because a group may have no flat patch, or be clipped; and the largest, because
    a dark group has less photon noise.
    """
    patch = fp.patches(image, known, SIDE)
    if len(patch) == 0:
        return math.nan, math.nan
    variance = fp.energy(fp.without_plane(patch)) * (SIDE**2 / (SIDE**2 - 3))  # (n,), corrected for the plane
    varied = variance >= fp.QUANTISATION  # not clipped, uniform, or smoothed by the camera
    if varied.any():
        patch, variance = patch[varied], variance[varied]
    groups = patch.mean((1, 2, 3)).argsort().tensor_split(min(fp.GROUPS, len(patch)))
    least = [variance[group].sort().values[: max(2, round(fp.FRACTION * len(group)))].mean() for group in groups]
    ascending = sorted(math.sqrt(float(value)) for value in least)
    return ascending[(len(ascending) - 1) // 2], ascending[-1]


def varied(image: Tensor, known: Tensor | None = None) -> float:
    """The fraction of the 8 x 8 patches that vary: without clipped areas, frames and uniform backgrounds. 1 without a patch."""
    patch = fp.patches(image, known, SIDE)
    return float(fp.varies(patch).float().mean()) if len(patch) else 1.0
