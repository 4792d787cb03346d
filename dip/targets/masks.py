"""Inpainting masks: (1, 1, H, W) float32, 1 = known, 0 = missing. Three we draw, one the user drew."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dip.errors import ImageError

WORDS = (
    "the quick brown fox jumps over the lazy dog and packs five dozen jugs of liquor for my sphinx of quartz "
)


def random_pixels(size: tuple[int, int], missing: float, seed: int) -> Tensor:
    """A mask of scattered pixels: exactly round(missing H W) of them, every set of that size as likely.

    Args:
        size: (H, W).
        missing: the share of pixels that is missing, in [0, 1].
        seed: equal seeds give equal masks on every device.
    """
    height, width = size
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(height * width)
    mask[torch.randperm(height * width, generator=generator)[: round(missing * height * width)]] = 0
    return mask.reshape(1, 1, height, width)


def text(size: tuple[int, int]) -> Tensor:
    """A mask of written lines all over the image: 5 to 15 % of the pixels, strokes that grow with the image.

    Args:
        size: (H, W); below about 16 x 16 there is no room for letters, and the share may leave that range.
    """
    height, width = size
    points = max(8, round(math.sqrt(height * width) / 14))
    font = ImageFont.load_default(points)
    canvas = Image.new("1", (width, height), 1)  # "1": pixels are written or not, no half-tones
    draw = ImageDraw.Draw(canvas)
    for line, top in enumerate(range(-points // 8, height, round(1.6 * points))):
        start = 17 * line % len(WORDS)  # every line begins elsewhere in the sentence
        words = (WORDS[start:] + WORDS) * math.ceil(width / font.getlength(WORDS))
        draw.text((0, top), words, fill=0, font=font)
    return torch.from_numpy(np.array(canvas)).float()[None, None]


def holes(
    size: tuple[int, int], missing: float, count: int = 1, shape: str = "blob", seed: int = 0
) -> Tensor:
    """A mask of large holes, all of one size, that together cover a share of the image.

    The share is met to the pixel with blobs, to the thickness of an outline with rectangles.

    Args:
        size: (H, W).
        missing: the share of pixels that is missing, in (0, 1).
        count: how many holes, >= 1; where they meet they merge.
        shape: "blob" (irregular outline) or "rectangle" (with the image's proportions).
        seed: places the holes and bends their outlines.
    """
    height, width = size
    generator = torch.Generator().manual_seed(seed)
    # Image coordinates in [-1, 1], so that a hole has the image's proportions.
    y = ((torch.arange(height) + 0.5) / height * 2 - 1)[:, None]  # (H, 1)
    x = (torch.arange(width) + 0.5) / width * 2 - 1  # (W,)
    distance = torch.full((height, width), math.inf)
    for _ in range(count):
        centre_y, centre_x = (torch.rand(2, generator=generator) - 0.5) * (0.4 if count == 1 else 1.4)
        dy, dx = y - centre_y, x - centre_x
        if shape == "rectangle":
            one = torch.maximum(dy.abs(), dx.abs())
        else:
            one = torch.hypot(dy, dx) / _outline(torch.atan2(dy, dx), generator)
        distance = torch.minimum(distance, one)
    order = distance.flatten().argsort(stable=True)
    wanted = max(round(missing * height * width), 1)
    if shape == "rectangle":  # whole outlines only: straight edges matter more than the last few pixels
        return (distance > distance.flatten()[order[wanted - 1]]).float()[None, None]
    mask = torch.ones(height * width)
    mask[order[:wanted]] = 0
    return mask.reshape(1, 1, height, width)


def from_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The mask that a user drew: white = keep, black = missing, the border between them at half gray.

    Args:
        image: (1, C, h, w) in [0, 1]; the mean of its channels counts.
        size: (H, W) of the image to be restored.

    Raises:
        ImageError: the sizes differ, or the mask leaves nothing to restore or nothing to restore from.
    """
    height, width = size
    if tuple(image.shape[-2:]) != (height, width):
        got = f"{image.shape[-1]} x {image.shape[-2]}"
        raise ImageError(
            f"target.mask: the mask is {got} pixels (width x height), the image {width} x {height}; "
            "give a mask of the image's size, white = keep, black = missing, e.g. target.mask=mask.png"
        )
    mask = (image.mean(1, keepdim=True) >= 0.5).float()  # (1, 1, H, W)
    if mask.min() == mask.max():
        what = "white: nothing is missing" if mask.max() else "black: nothing is known"
        raise ImageError(
            f"target.mask: the mask is all {what}; give one with white = keep and black = missing, "
            "e.g. target.mask=mask.png"
        )
    return mask


def _outline(angle: Tensor, generator: torch.Generator) -> Tensor:
    """The radius of a wavy, closed outline in every direction: about 1, never below 0.3."""
    radius = torch.ones_like(angle)
    for waves in range(2, 6):
        phase, height = torch.rand(2, generator=generator)
        radius = radius + 0.35 / waves * height * torch.cos(waves * angle + 2 * math.pi * phase)
    return radius
