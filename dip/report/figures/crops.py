"""One crop of many images side by side, a pixel of the image for a pixel of the figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dip.report.figures.sheet import DPI, INK, files, sheet
from dip.report.figures.strips import read_picture

SIDE = 128
"""Pixels of a side of the crop; less for a smaller image."""
_COLUMNS, _GAP, _TITLE = 7, 10, 40
"""Crops in a row; pixels between two crops and of the two lines below one."""


def detail(reference: Path) -> tuple[int, int, int, int]:
    """The square of at most `SIDE` pixels with the most contrast between neighbours: left, upper, right, lower."""
    gray = np.asarray(read_picture(reference).convert("L"), dtype=np.float64)
    height, width = gray.shape
    side = min(SIDE, height, width)
    contrast = np.zeros((height + 1, width + 1))
    contrast[1:-1, 1:-1] = np.abs(np.diff(gray, axis=0))[:, :-1] + np.abs(np.diff(gray, axis=1))[:-1]
    total = contrast.cumsum(0).cumsum(1)  # [y, x]: the sum above and to the left
    sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    top, left = (int(place) for place in np.unravel_index(int(sums.argmax()), sums.shape))
    return left, top, left + side, top + side


def crops(path: Path, cells: Sequence[tuple[Path, str]], box: tuple[int, int, int, int]) -> list[Path]:
    """The part `box` of each image (file, title of at most two lines), in rows; written as PNG.

    An image that cannot be read, or is smaller than the box, is left out.
    """
    found: list[tuple[NDArray[np.uint8], str]] = []
    for file, title in cells:
        try:
            image = read_picture(file)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        if image.width >= box[2] and image.height >= box[3]:
            found.append((np.asarray(image.crop(box)), title))
    if not found:
        return []
    side, columns = box[2] - box[0], min(_COLUMNS, len(found))
    rows = -(-len(found) // columns)
    across = max(side, 96) + _GAP  # narrow crops leave room for the titles
    width, height = columns * across + _GAP, rows * (side + _TITLE + _GAP) + _GAP
    with sheet(path, (width / DPI, height / DPI), ("png",)) as figure:
        figure.set_layout_engine("none")
        for number, (pixels, title) in enumerate(found):
            x = _GAP + number % columns * across
            y = _GAP + number // columns * (side + _TITLE + _GAP)  # from the top
            figure.figimage(pixels, x, height - y - side, origin="upper")
            for row, line in enumerate(title.split("\n")):  # by baselines: a text's top depends on its letters
                below = y + side + 14 + 16 * row
                figure.text(x / width, 1 - below / height, line, va="baseline", fontsize=6.2, color=INK)
    return files(path, ("png",))
