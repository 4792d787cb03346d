"""What a source of an image holds, before its values are scaled; the limits and the errors of reading."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_PIXELS = 178_956_970
"""Largest image that is decoded. Pillow's own limit against decompression bombs, whatever a caller has set it to."""
MAX_BYTES = 2**31
"""Largest file, and largest decoded TIFF or array, in bytes."""

SHOWN = 10
"""An error message lists at most so many names."""

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
class Contents:
    """An array in a file.

    values: of any shape, of bool, integers, floats or complex numbers.
    axes: the order of the axes that the kind of file defines, such as WHD; None: any order.
    guess: the order that is usual in such files; using it is logged.
    """

    values: Array
    axes: str | None = None
    guess: str | None = None


@dataclass(frozen=True)
class Stored:
    """A decoded source, with its EXIF orientation applied.

    values: (H, W, C) integers, float32 or float64 in any units. NaN marks missing pixels.
    alpha: (H, W) uint8, uint16 or float32; full scale (1.0 for float32) is opaque. None without transparency.
    icc_profile: the embedded colour profile.
    chunks: the PNG chunks that describe the colours, such as gAMA, as (name, data).
    white: the largest value that the file's header allows, if its type allows more.
    flat: whether the source had no axis of channels.
    axes: the order in which the axes of an array were read; None: the format defines it.
    jpeg: the content of the file, if it is a JPEG.
    depth: slices of a volume, whose channels are channels x slices; 1 for an image.
    """

    values: Array
    alpha: Array | None = None
    icc_profile: bytes | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    white: int | None = None
    flat: bool = False
    axes: str | None = None
    jpeg: bytes | None = None
    depth: int = 1

    @classmethod
    def of_pixels(cls, pixels: Array, has_alpha: bool, **rest: Any) -> Stored:
        """Of (H, W, C), whose last channel is alpha if `has_alpha`, and of `rest` of the fields."""
        colours, alpha = (pixels[..., :-1], pixels[..., -1]) if has_alpha else (pixels, None)
        return cls(colours, alpha, flat=colours.shape[2] == 1, **rest)


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


def check_bytes(count: int) -> None:
    """Raise `Unreadable` for an array of more than `MAX_BYTES`."""
    if count > MAX_BYTES:
        raise Unreadable(f"the array has {count:,} bytes, more than the limit of {MAX_BYTES:,}", "a part of it")


def chosen(keys: Sequence[str], key: str | None) -> str:
    """`key`, or the only one of `keys`, the names of the arrays in a file.

    Raises:
        Unreadable: `key` is none of `keys`, or it is None and there are several or none.
    """
    if not keys:
        raise Unreadable("the file holds no array of numbers", "a file with one")
    if key is None and len(keys) == 1:
        return keys[0]
    if key is not None and key in keys:
        return key
    shown = ", ".join(map(one_line, keys[:SHOWN])) + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")
    reason = f"the file holds several arrays: {shown}" if key is None else f"the file holds no such array, but {shown}"
    raise Unreadable(reason, f"FILE:KEY, where KEY is the name of one, for example FILE:{one_line(keys[0])}")


def optional(module: str, what: str, extra: str, instead: str = "an .npy file") -> Any:
    """The module that reads `what`. Raises `Unreadable` if its package, which comes with `extra`, is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package, install = module.partition(".")[0].replace("_", "-"), f"pip install 'deep-image-prior[{extra}]'"
        reason = f"{what} need the package {package}"
        raise Unreadable(reason, f"{instead}, or install it, for example {install}") from None


def no_key(key: str | None) -> None:
    """Raise `Unreadable` if a `key` was given for a file whose arrays have no names."""
    if key is not None:
        raise Unreadable("arrays in this kind of file have no names", "the file without :KEY")


def one_line(text: str) -> str:
    """`text` with line breaks and other unprintable characters escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
