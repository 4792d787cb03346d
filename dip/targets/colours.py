"""Colours that users paint masks with, by name or as #rrggbb, and the pixels that are marked. Imports no torch."""

import re
from typing import Any

import numpy as np
import scipy.ndimage
from PIL import ImageColor
from skimage.color import rgb2hsv

from dip.errors import ImageError

Array = np.ndarray[Any, np.dtype[Any]]

HUES = {
    "red": (-20, 20), "orange": (18, 48), "yellow": (45, 71), "green": (75, 165), "cyan": (165, 205),
    "blue": (195, 255), "purple": (260, 300), "magenta": (290, 320), "pink": (315, 355),
}  # fmt: skip
"""Colours by name: the range of their hue in degrees. The brush's colour is the most frequent one in it."""
GRAYS = ("black", "white")
"""Colours by name without a hue."""
MARGIN = 6
"""Largest width in pixels of the blended edges of a mark."""
COLOUR = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)


def is_colour(text: str) -> bool:
    """Whether `text` is a colour, not a path: a name, or #rgb or #rrggbb."""
    return text in HUES or text in GRAYS or COLOUR.fullmatch(text) is not None


def brush(values: Array, colour: str) -> Array:
    """The value of the painted pixels, (C,) in [0, 1]: the colour itself, or the most frequent one of this hue.

    Args:
        values: (H, W, C) in [0, 1].
        colour: a text for which `is_colour` is true.

    Raises:
        ImageError: the image has no such hue, or is not RGB.
    """
    channels = values.shape[2]
    if colour not in HUES:
        rgb = np.array(ImageColor.getrgb(colour)) / np.float32(255)
        if channels == 3 or np.ptp(rgb) == 0:
            return rgb if channels == 3 else np.repeat(rgb[:1], channels)
    if channels != 3:
        raise ImageError(
            f"target.mask={colour}: the image has {channels} channel{'s' * (channels > 1)}, not red, green and blue; give "
            "a gray level such as target.mask=black, or a mask picture, for example target.mask=mask.png"
        )
    hue, saturation, brightness = np.moveaxis(rgb2hsv(values), 2, 0)  # type: ignore[no-untyped-call]
    first, last = HUES[colour]
    alike = (saturation > 0.4) & (brightness > 0.3) & ((360 * hue - first) % 360 <= last - first)
    levels = (values[alike] * 255 + 0.5).astype(np.int32)  # (N, 3)
    if not len(levels):
        raise ImageError(
            f"target.mask={colour}: no pixel of the image is {colour}; give the colour that was painted as #rrggbb, for "
            "example 'target.mask=#ff0000'"
        )
    # Compression spreads the colour of a brush over its neighbours: first the most frequent box of 8 levels a side.
    for box in (8, 1):
        numbers = levels // box @ np.array([2**16, 2**8, 1], np.int32)
        numbers -= numbers.min()  # the counts of one box need little memory
        levels = levels[numbers == np.bincount(numbers).argmax()]
    found: Array = levels[0] / np.float32(255)
    return found


def without_wide_areas(marks: Array, close: Array) -> Array:
    """`marks` without areas of the photo that resemble the colour: wide ones without pixels that are `close` to it.

    Only thin strokes lose the brush's colour to compression; wide strokes keep it in their middle.
    """
    doubtful = marks & ~dilated(close, 3)
    areas, _ = scipy.ndimage.label(doubtful, np.ones((3, 3)))
    closed = scipy.ndimage.binary_closing(doubtful, np.ones((3, 3)))
    wide = np.unique(areas[scipy.ndimage.binary_opening(closed, np.ones((5, 5)))])
    kept: Array = marks & ~np.isin(areas, wide[wide > 0])
    return kept if kept.any() else marks


def soft_regions(marks: Array, near: Array) -> int:
    """The number of regions of `marks`, of 9 pixels or more, around which most pixels are `near` their colour.

    Those are shades of the photo: a stroke of a brush ends abruptly.
    """
    regions, number = scipy.ndimage.label(marks, np.ones((3, 3)))
    around = scipy.ndimage.maximum_filter(regions, 3)[~marks]
    edge, soft = (np.bincount(labels, minlength=number + 1) for labels in (around, around[near[~marks]]))
    return int(((np.bincount(regions.ravel()) >= 9) & (2 * soft > edge))[1:].sum())


def blended_width(marks: Array, distance: Array, least: int) -> int:
    """The width in pixels of the blended edges, where the `distance` to the brush's colour falls towards the marks."""
    rings = scipy.ndimage.distance_transform_cdt(~marks, "chessboard")
    level = []
    for ring in range(1, MARGIN + 4):
        values = distance[rings == ring]
        # Between scattered pixels there are no edges to measure.
        if values.size < 0.05 * marks.sum() and values.size < 50:
            break
        level.append(np.median(values))
    margin = 0
    while margin < MARGIN and margin + 2 < len(level) and level[margin] < 0.8 * level[margin + 2]:
        margin += 1
    return max(margin, least)


def dilated(marks: Array, margin: int) -> Array:
    """`marks` and all pixels at most `margin` rows and columns away."""
    found: Array = scipy.ndimage.maximum_filter(marks, 2 * margin + 1)
    return found
