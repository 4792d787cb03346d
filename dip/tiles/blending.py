"""Restored tiles become one image."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dip.tiles.layout import Box, Span, weights

Array = NDArray[np.float64]


def blend(
    boxes: Sequence[Sequence[Box]], restored: Callable[[Box], Tensor], margin: int = 0, factor: int = 1
) -> Tensor:
    """The image (1, C, H, W) float32 on the CPU.

    The sums are computed in float64: where all tiles have the same value, the result is that value, exactly. One row of
    tiles is in memory at a time.

    Args:
        boxes: the tiles by row, as `dip.tiles.layout.boxes` makes them, in pixels of the observation.
        restored: returns the pixels of a tile, (1, C, factor h, factor w).
        margin: see `dip.tiles.layout.weights`; in pixels of the observation.
        factor: sides of the image divided by those of the observation.
    """
    rows = [row[0].enlarged(factor).rows for row in boxes]
    columns = [box.enlarged(factor).columns for box in boxes[0]]
    down, across = weights(rows, factor * margin), weights(columns, factor * margin)
    image, carry = None, None
    for number, row in enumerate(boxes):
        strip = _strip([restored(box) for box in row], columns, across) * down[number][:, None]  # (C, h, W)
        if carry is not None:  # what the tiles above contribute to the overlap
            strip[:, : carry.shape[1]] += carry
        top, end = rows[number][0], rows[number + 1][0] if number + 1 < len(rows) else rows[number][1]
        if image is None:
            image = torch.empty(1, len(strip), rows[-1][1], columns[-1][1])
        image[0, :, top:end] = torch.from_numpy(strip[:, : end - top])
        carry = strip[:, end - top :].copy()
    assert image is not None, "there is no tile"
    return image


def _strip(tiles: Sequence[Tensor], columns: Sequence[Span], across: Sequence[Array]) -> Array:
    """A row of tiles, blended, (C, h, W). In a function of its own, so that the tiles are freed before the next row."""
    strip = np.zeros((*tiles[0].shape[1:3], columns[-1][1]))
    for pixels, span, weight in zip(tiles, columns, across, strict=True):
        strip[..., slice(*span)] += weight * pixels[0].numpy()
    return strip
