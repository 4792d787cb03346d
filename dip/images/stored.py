"""What a source of an image holds, before its values are scaled; the limits and the errors of reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_PIXELS = 178_956_970
"""Largest image that is decoded. Pillow's own limit against decompression bombs, whatever a caller has set it to."""
MAX_BYTES = 2**31
"""Largest file, and largest decoded TIFF or array, in bytes."""

Array = np.ndarray[Any, np.dtype[Any]]


class Unreadable(Exception):
    """A source cannot be used.

    Args:
        reason: the text behind the name of the source.
        advice: what to give instead; None: the usual list of formats.
    """

    def __init__(self, reason: str, advice: str | None = None) -> None:
        super().__init__(reason)
        self.advice = advice


@dataclass(frozen=True)
class Stored:
    """A decoded source, with its EXIF orientation applied.

    values: (H, W, C) integers or float32 in any units. NaN marks missing pixels.
    alpha: (H, W) uint8, uint16 or float32; full scale (1.0 for float32) is opaque. None without transparency.
    icc_profile: the embedded colour profile.
    chunks: the PNG chunks that describe the colours, such as gAMA, as (name, data).
    white: the largest value that the file's header allows, if its type allows more.
    flat: whether the source had no axis of channels.
    axes: the order in which the axes of an array were read; None: the format defines it.
    jpeg: the content of the file, if it is a JPEG.
    """

    values: Array
    alpha: Array | None = None
    icc_profile: bytes | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    white: int | None = None
    flat: bool = False
    axes: str | None = None
    jpeg: bytes | None = None


def check_size(width: int, height: int) -> None:
    """Raise `Unreadable` above `MAX_PIXELS`."""
    if width * height > MAX_PIXELS:
        raise Unreadable(f"the header claims {width} x {height} pixels, more than {MAX_PIXELS:,}")


def upright(array: Array, orientation: object) -> Array:
    """Apply EXIF orientation 1 to 8 to an (H, W, ...) array. Other values change nothing."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)
