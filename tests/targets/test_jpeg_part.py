"""A part of a JPEG file stores the same integers as the whole."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from dip import images
from dip.targets.jpeg_file import read
from dip.targets.jpeg_intervals import Intervals


@pytest.mark.parametrize(("mode", "subsampling"), [("RGB", 0), ("RGB", 1), ("RGB", 2), ("L", 0)])
@pytest.mark.parametrize(("rows", "columns"), [((0, 48), (16, 64)), ((32, 75), (64, 109))], ids=["inside", "corner"])
def test_the_coefficients_are_those_of_the_whole(mode, subsampling, rows, columns):
    photo = Image.open(images.load("coffee").path).resize((109, 75)).convert(mode)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=30, subsampling=subsampling)
    whole = Intervals(read(buffer.getvalue()))
    data = whole.part(rows, columns)
    tile = read(data)
    assert tile.size == (rows[1] - rows[0], columns[1] - columns[0])
    for number, component in enumerate(tile.components):
        down, right = whole.factors[number]
        assert component.factor == (down, right)
        assert torch.equal(component.table, whole.get_buffer(f"table{number}"))
        height, width = component.stored.shape[2:4]
        top, left = rows[0] // (8 * down), columns[0] // (8 * right)
        there = whole.get_buffer(f"stored{number}")[:, :, top : top + height, left : left + width]
        # Blocks that exceed the image depend on how its border is extended.
        inside = (slice(None), slice(None), slice(tile.size[0] // (8 * down)), slice(tile.size[1] // (8 * right)))
        assert torch.equal(component.stored[inside], there[inside])
    pixels = np.asarray(Image.open(io.BytesIO(buffer.getvalue()))).astype(int)
    shown = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    whole_blocks = slice(2, tile.size[0] // 16 * 16 - 2), slice(2, tile.size[1] // 16 * 16 - 2)
    difference = np.abs(shown - pixels[slice(*rows), slice(*columns)])[whole_blocks]
    assert difference.max() <= 3, "the decoded pixels differ by the rounding of samples only"
