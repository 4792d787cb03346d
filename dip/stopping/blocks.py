"""A sample of a large image, in which its noise is measured."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LIMIT = 2**20
"""Pixels up to which an image is examined whole: estimates take about ten times the memory of what they examine."""

SIDE = 64
"""Side of a block in pixels: 4 x 4 of the patches of `dip.stopping.flat_patches`."""


def blocks(image: Tensor) -> Tensor:
    """`image`, or evenly spaced blocks of a large one, at most LIMIT pixels: (1, C, h, w) -> (n, C, SIDE, SIDE).

    The positions depend on the size alone. A side below SIDE is the side of the blocks.
    """
    height, width = image.shape[-2:]
    if height * width <= LIMIT:
        return image
    count, least = LIMIT // SIDE**2, [max(1, side // SIDE) for side in (height, width)]
    rows = min(max(1, round(math.sqrt(count * height / width))), count, least[0])
    columns = min(count // rows, least[1])
    down, across = (
        torch.linspace(0, max(0, side - SIDE), number).round().long().tolist()
        for side, number in ((height, rows), (width, columns))
    )
    return torch.cat([image[..., top : top + SIDE, left : left + SIDE] for top in down for left in across])
