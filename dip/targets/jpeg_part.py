"""A part of a JPEG file as a JPEG file of its own, with the same quantized coefficients."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from dip.targets.jpeg_file import BLOCK, inverse
from dip.targets.jpeg_intervals import Intervals

_SUBSAMPLINGS: dict[tuple[tuple[int, ...], ...], int] = {
    ((1, 1),) * 3: 0,
    ((1, 1), (1, 2), (1, 2)): 1,
    ((1, 1), (2, 2), (2, 2)): 2,
}
"""Factors of the components, and Pillow's number of the subsampling."""


def part(intervals: Intervals, rows: tuple[int, int], columns: tuple[int, int]) -> bytes | None:
    """The file of the pixels in `rows` and `columns` (start and end, the end excluded).

    The starts are multiples of 16. Chroma samples are repeated, so that the encoder's means are the samples again.
    None for files that Pillow cannot write so: RGB, unusual subsampling, an orientation.
    """
    factors = intervals.factors
    if intervals.orientation != 1 or (len(factors) > 1 and not _is_ycc(intervals)):
        return None
    if len(factors) > 1 and tuple(map(tuple, factors)) not in _SUBSAMPLINGS:
        return None
    planes, tables = [], []
    for number, (down, right) in enumerate(factors):
        table = intervals.get_buffer(f"table{number}")
        blocks = [
            slice(start // (BLOCK * factor), -(-end // (BLOCK * factor)))
            for (start, end), factor in ((rows, down), (columns, right))
        ]
        samples = inverse(intervals.get_buffer(f"stored{number}")[:, :, blocks[0], blocks[1]] * table) + 128
        plane = samples.round().clamp(0, 255).repeat_interleave(down, -2).repeat_interleave(right, -1)
        plane = plane[0, 0, : rows[1] - rows[0], : columns[1] - columns[0]]
        planes.append(Image.fromarray(plane.numpy().astype(np.uint8)))
        tables.append([int(step) for step in table.flatten()])
    image, buffer = planes[0] if len(planes) == 1 else Image.merge("YCbCr", planes), io.BytesIO()
    sampling: Any = tuple(map(tuple, factors))
    options = {} if len(planes) == 1 else {"subsampling": _SUBSAMPLINGS[sampling]}
    image.save(buffer, "JPEG", qtables=tables, **options)
    return buffer.getvalue()


def _is_ycc(intervals: Intervals) -> bool:
    return bool(intervals.offsets.flatten()[1] == 0)
