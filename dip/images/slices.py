"""Volumes as images: the channels are channels x slices, the slices of the first channel first."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SHOWN = 100
"""Most slices of a mosaic."""


def middle(pixels: Tensor, slices: int) -> Tensor:
    """The middle slice of a volume: (1, C * slices, H, W) -> (1, C, H, W). Other images are returned as they are."""
    channels = pixels.shape[1]
    if slices == 1 or channels < slices or channels % slices:
        return pixels
    return pixels[:, slices // 2 :: slices]


def shown(slices: int) -> list[int]:
    """The slices of a mosaic, evenly spaced if there are more than `SHOWN`. The page of a report computes the same."""
    count = min(slices, SHOWN)
    return [(2 * number + 1) * slices // (2 * count) for number in range(count)]


def mosaic(pixels: Tensor, slices: int) -> Tensor:
    """The slices `shown(slices)` side by side, as many in a row as in a column, or one more.

    (1, C * slices, H, W) -> (1, C, rows * H, columns * W), row by row; black behind the last slice.
    """
    _, channels, height, width = pixels.shape
    picked = shown(slices)
    columns = math.ceil(math.sqrt(len(picked)))
    rows = -(-len(picked) // columns)
    grid = torch.zeros(channels // slices, rows * columns, height, width)
    grid[:, : len(picked)] = pixels[0].view(-1, slices, height, width)[:, picked]
    return grid.view(-1, rows, columns, height, width).transpose(2, 3).reshape(1, -1, rows * height, columns * width)
