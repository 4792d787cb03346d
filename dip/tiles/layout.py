"""Where the tiles of an image lie, and the weights with which they are blended. Imports no torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int]
"""Start and end of a tile along one axis, in pixels; the end is excluded."""


@dataclass(frozen=True)
class Box:
    """The place of a tile in the observation, in pixels."""

    rows: Span
    columns: Span

    @property
    def name(self) -> str:
        """The tile's folder, after its top left corner: `y0512-x1024`."""
        return f"y{self.rows[0]:04d}-x{self.columns[0]:04d}"

    def enlarged(self, factor: int) -> Box:
        """The same place in an image that is `factor` times larger."""
        return Box((self.rows[0] * factor, self.rows[1] * factor), (self.columns[0] * factor, self.columns[1] * factor))

    def slices(self) -> tuple[slice, slice]:
        """Of the last two axes of an image."""
        return slice(*self.rows), slice(*self.columns)


def spans(length: int, tile: int, overlap: int, grid: int = 1, least: int = 1) -> list[Span]:
    """The tiles of one axis: as few as possible, evenly spaced, and no longer than the overlap requires.

    Args:
        length: of the axis in pixels.
        tile: greatest length of a tile.
        overlap: least overlap of neighbours, below half of `tile`.
        grid: tiles start at multiples of it; at least one multiple must lie between `overlap` and `tile`.
        least: least length of a tile, at most `tile`.
    """
    if length <= tile:
        return [(0, length)]
    # In units of the grid. The last tile may end inside a unit.
    side, shared, whole = tile // grid, -(-overlap // grid), -(-length // grid)
    assert shared < side, f"tiles of {tile} pixels on a grid of {grid} do not overlap by {overlap}"
    count = -(-(whole - shared) // (side - shared))
    side = min(side, max(-(-(whole + (count - 1) * shared) // count), -(-least // grid)))
    starts = [number * (whole - side) // (count - 1) for number in range(count)]
    return [(start * grid, min((start + side) * grid, length)) for start in starts]


def boxes(size: tuple[int, int], tile: int, overlap: int, grid: int = 1, least: int = 1) -> list[list[Box]]:
    """The tiles of an image of `size` (H, W), by row."""
    rows, columns = (spans(length, tile, overlap, grid, least) for length in size)
    return [[Box(row, column) for column in columns] for row in rows]


def weights(axis: Sequence[Span], margin: int) -> list[NDArray[np.float64]]:
    """The weights of each tile along one axis: for each pixel of the axis, those of all tiles sum to 1.

    Where two tiles overlap, the weights are a raised cosine. Within `margin` pixels of a border inside the image they
    are 0. An overlap is longer than twice the margin.
    """
    found = [np.ones(end - start) for start, end in axis]
    total = np.zeros(axis[-1][1])
    for (left, before), (right, after) in itertools.pairwise(zip(axis, found, strict=True)):
        width = left[1] - right[0]
        length = width - 2 * margin
        assert length >= 0, "the overlap is too small for the margin"
        ramp = 0.5 - 0.5 * np.cos(math.pi * (np.arange(length) + 0.5) / max(length, 1))
        rising = np.concatenate([np.zeros(margin), ramp, np.ones(margin)])
        after[:width] *= rising
        before[len(before) - width :] *= rising[::-1]
    for (start, end), one in zip(axis, found, strict=True):
        total[start:end] += one
    # Evenly spaced tiles can overlap in threes, where the products do not sum to 1.
    return [one / total[start:end] for (start, end), one in zip(axis, found, strict=True)]
