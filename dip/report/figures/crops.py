"""One crop of many images side by side, a pixel of the image for a pixel of the figure."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dip.report.figures.sheet import INK
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
    found: list[tuple[Image.Image, str]] = []
    for file, title in cells:
        with contextlib.suppress(OSError):
            image = read_picture(file)
            found += [(image.crop(box), title)] if image.width >= box[2] and image.height >= box[3] else []
    if not found:
        return []
    side, columns = box[2] - box[0], min(_COLUMNS, len(found))
    across, down = max(side, 96) + _GAP, side + _TITLE + _GAP  # narrow crops leave room for the titles
    sheet = Image.new("RGB", (columns * across + _GAP, -(-len(found) // columns) * down + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (crop, title) in enumerate(found):
        x, y = _GAP + number % columns * across, _GAP + number // columns * down
        sheet.paste(crop, (x, y))
        draw.multiline_text((x, y + side + 2), title, INK, font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path.with_suffix(".png"))
    return [path.with_suffix(".png")]
