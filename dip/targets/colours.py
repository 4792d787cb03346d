"""Colours that users paint masks with, by name or as #rrggbb. Imports no torch."""

from __future__ import annotations

import colorsys
import re
from typing import Any

import numpy as np

from dip.errors import ImageError

Array = np.ndarray[Any, np.dtype[Any]]

HUES = {
    "red": (-20, 20), "orange": (18, 48), "yellow": (45, 71), "green": (75, 165), "cyan": (165, 205),
    "blue": (195, 255), "purple": (260, 300), "magenta": (290, 320), "pink": (315, 355),
}  # fmt: skip
"""Colours by name: the range of their hue in degrees. The brush's colour is the most frequent one in it."""
GRAYS = {"black": "#000000", "white": "#ffffff"}
"""Colours by name without a hue."""
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
        code = GRAYS.get(colour, colour).lstrip("#")
        code = "".join(2 * digit for digit in code) if len(code) == 3 else code
        rgb = np.array([int(code[at : at + 2], 16) for at in (0, 2, 4)]) / np.float32(255)
        if channels == 3 or np.ptp(rgb) == 0:
            return rgb if channels == 3 else np.repeat(rgb[:1], channels)
    if channels != 3:
        raise ImageError(
            f"target.mask={colour}: the image has {channels} channel{'s' * (channels > 1)}, not red, green and blue; give "
            "a gray level such as target.mask=black, or a mask picture, for example target.mask=mask.png"
        )
    levels = (values * 255 + 0.5).astype(np.uint8).reshape(-1, 3)
    # Compression spreads the colour of a brush over its neighbours: first the most frequent box of 8 levels a side.
    boxes = _packed(levels >> 3, 32)
    counts = np.bincount(boxes, minlength=32**3)
    counts[[box for box in np.flatnonzero(counts) if not _has_hue(int(box), HUES[colour])]] = 0
    if not counts.any():
        raise ImageError(
            f"target.mask={colour}: no pixel of the image is {colour}; give the colour that was painted as #rrggbb, for "
            "example 'target.mask=#ff0000'"
        )
    exact, times = np.unique(_packed(levels[boxes == counts.argmax()], 256), return_counts=True)
    return np.array(_unpacked(int(exact[times.argmax()]), 256)) / np.float32(255)


def _has_hue(box: int, degrees: tuple[int, int]) -> bool:
    """Whether the colours of a box are saturated, not dark, and of a hue in the range `degrees`."""
    hue, saturation, value = colorsys.rgb_to_hsv(*((level + 0.5) / 32 for level in _unpacked(box, 32)))
    first, last = degrees
    return saturation > 0.4 and value > 0.3 and (360 * hue - first) % 360 <= last - first


def _packed(levels: Array, base: int) -> Array:
    """(N, 3) levels below `base` as (N,) numbers."""
    return levels @ np.array([base * base, base, 1], np.int32)


def _unpacked(number: int, base: int) -> tuple[int, int, int]:
    return number // base**2, number // base % base, number % base
