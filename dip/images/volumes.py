"""Volumes as images (H, W, C * D): the channels are channels x slices, the slices of the first channel first.

The axes of an array are C channels, H or Y rows, W or X columns, D or Z slices of a volume.
"""

import math

import torch
from torch import Tensor

from dip.images.stored import Array, Unreadable

SUGGESTED = {2: "HW", 3: "HWC or axes=ZYX", 4: "CZYX"}
"""Orders for arrays of two to four axes."""

SHOWN = 100
"""Most slices of a mosaic."""


def to_image(values: Array, axes: str, given: str | None = None) -> tuple[Array, int]:
    """`values` in the order `axes`, `given` as the user wrote it, as (H, W, C * D), and D, which is 1 without an axis D.

    Raises:
        Unreadable: the array has another number of axes.
    """
    if len(axes) != values.ndim:
        text = f"axes={given or axes}, but the array has {values.ndim} axes, {values.shape}"
        raise Unreadable(text, f"axes={SUGGESTED.get(values.ndim, 'CDHW')}")
    order = [axes.index(letter) for letter in "CDHW" if letter in axes]
    depth = values.shape[axes.index("D")] if "D" in axes else 1
    values = values.transpose(order)
    values = values.reshape(-1, *values.shape[-2:])  # (C * D, H, W)
    return values.transpose(1, 2, 0), depth


def from_image(image: Array, axes: str, depth: int) -> Array:
    """The inverse of `to_image`: (H, W, C * `depth`) in the order `axes`."""
    height, width = image.shape[:2]
    values = image.transpose(2, 0, 1).reshape(-1, depth, height, width)  # (C, D, H, W)
    names = "".join(letter for letter in "CDHW" if letter in axes)
    values = values.reshape([n for letter, n in zip("CDHW", values.shape, strict=True) if letter in axes])
    return values.transpose([names.index(letter) for letter in axes])


def middle(pixels: Tensor, slices: int) -> Tensor:
    """The middle slice of a volume: (1, C * slices, H, W) -> (1, C, H, W). Other images are returned as they are."""
    channels = pixels.shape[1]
    if slices == 1 or channels < slices or channels % slices:
        return pixels
    return pixels[:, slices // 2 :: slices]


def shown(slices: int) -> list[int]:
    """The slices of a mosaic, evenly spaced if there are more than `SHOWN`."""
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
