"""Inpainting masks that are simulated: (1, 1, H, W) float32, 1 = known, 0 = missing."""

import math

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

WORDS = "the quick brown fox jumps over the lazy dog and packs five dozen jugs of liquor for my sphinx of quartz "


def random_pixels(size: tuple[int, int], missing: float, generator: torch.Generator) -> Tensor:
    """A mask of scattered pixels: exactly round(missing H W) of them, all sets of that size equally likely.

    Args:
        size: (H, W).
        missing: the fraction of pixels that is missing, in [0, 1].
        generator: on the CPU.
    """
    height, width = size
    order = torch.randperm(height * width, generator=generator)
    return _without(order[: round(missing * height * width)], size)


def text(size: tuple[int, int]) -> Tensor:
    """A mask of lines of text over the whole image: 5 to 15 % of the pixels, strokes in proportion to the image.

    Args:
        size: (H, W); below about 16 x 16 there is no room for letters, and the share may leave that range.
    """
    height, width = size
    points = max(8, round(math.sqrt(height * width) / 14))
    font = ImageFont.load_default(points)
    canvas = Image.new("1", (width, height), 1)  # "1": one bit per pixel, no half-tones
    draw = ImageDraw.Draw(canvas)
    for line, top in enumerate(range(-points // 8, height, round(1.6 * points))):
        start = 17 * line % len(WORDS)  # each line starts at another place of the text
        words = (WORDS[start:] + WORDS) * math.ceil(width / font.getlength(WORDS))
        draw.text((0, top), words, fill=0, font=font)
    return torch.from_numpy(np.array(canvas)).float()[None, None]


def hole(size: tuple[int, int], missing: float, generator: torch.Generator) -> Tensor:
    """A mask of one large hole with an irregular outline.

    Args:
        size: (H, W).
        missing: the fraction of pixels that is missing, in (0, 1), met to the pixel.
        generator: on the CPU; places the hole and shapes its outline.
    """
    height, width = size
    # Image coordinates in [-1, 1], so that the hole has the image's proportions.
    y = ((torch.arange(height) + 0.5) / height * 2 - 1)[:, None]  # (H, 1)
    x = (torch.arange(width) + 0.5) / width * 2 - 1  # (W,)
    centre_y, centre_x = (torch.rand(2, generator=generator) - 0.5) * 0.4
    dy, dx = y - centre_y, x - centre_x
    distance = torch.hypot(dy, dx) / _outline(torch.atan2(dy, dx), generator)  # (H, W)
    nearest = distance.flatten().argsort(stable=True)
    return _without(nearest[: max(round(missing * height * width), 1)], size)


def _without(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """The mask in which `pixels` (positions in the flattened image) are missing."""
    return torch.ones(size).flatten().index_fill(0, pixels, 0).view(1, 1, *size)


def _outline(angle: Tensor, generator: torch.Generator) -> Tensor:
    """The radius of a wavy, closed outline at each angle: about 1, never below 0.3."""
    radius = torch.ones_like(angle)
    for waves in range(2, 6):
        phase, height = torch.rand(2, generator=generator)
        radius = radius + 0.35 / waves * height * torch.cos(waves * angle + 2 * math.pi * phase)
    return radius
