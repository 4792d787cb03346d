"""Decode sources of images. Those that are not one complete image of a supported kind are refused.

No file is trusted. Its type and size are checked before it is opened, the image size in its header before it is decoded.
Every exception of a decoder becomes `Unreadable` with the reason.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from dip.images import arrays, heif, pillow, tiff
from dip.images.stored import MAX_BYTES, MAX_PIXELS, Stored, Unreadable

FORMATS = (*pillow.FORMATS, "HEIC", "NPY")

_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "there is no such file",
    PermissionError: "the file cannot be read (permission denied)",
    UnidentifiedImageError: "the content is not an image of a supported kind",
    Image.DecompressionBombError: f"the header claims more than {MAX_PIXELS:,} pixels",
    MemoryError: "the image does not fit into memory",
}


def read(source: Any, axes: str | None = None) -> Stored:
    """Decode one source. Raises `Unreadable`, and no other exception, for any source and any content.

    Args:
        source: a `Path`, the bytes of a file, a file that is open for reading bytes, a PIL image, or anything that
            NumPy converts to an array.
        axes: the order of the axes of an array or of the pages of a TIFF, such as CHW (see `arrays.from_values`).
    """
    try:
        with warnings.catch_warnings(), _quiet_decoders():
            warnings.simplefilter("ignore")  # about unusual metadata, which is not used
            stored = _read(source, axes)
        if stored.values.ndim != 3 or stored.values.size == 0:
            raise Unreadable("the image has no pixels")
        if stored.values.dtype.kind == "f" and not np.isfinite(stored.values).any():
            raise Unreadable("all values are NaN or infinite")
        return stored
    except Unreadable:
        raise
    except Exception as error:  # for damaged files, decoders raise exceptions of nearly every type
        reason = one_line(str(error)) or type(error).__name__
        default = f"truncated, damaged or of an unsupported kind ({reason})"
        raise Unreadable(next((text for kind, text in _REASONS.items() if isinstance(error, kind)), default)) from None


def _read(source: Any, axes: str | None) -> Stored:
    if isinstance(source, Path):
        status = source.stat()
        _check_status(status)
        with source.open("rb") as file:
            return _decode(file, status.st_size, axes)
    if isinstance(source, Image.Image):
        behind = pillow.unread(source)
        if behind is None:
            return pillow.decode(source)
        position = behind.tell()  # where Pillow will go on reading
        try:
            behind.seek(0)
            return _read(behind, axes)
        finally:
            behind.seek(position)
    if hasattr(source, "read") and not hasattr(source, "__array__"):
        if getattr(source, "seekable", bool)():
            source.seek(0)
        source = source.read(MAX_BYTES + 1)
    if isinstance(source, str):
        raise Unreadable(
            "the file is open as text", 'a file that is open as bytes, for example open("photo.png", "rb")'
        )
    if isinstance(source, (bytes, bytearray, memoryview)):
        _check_length(len(source))
        return _decode(io.BytesIO(source), len(source), axes)
    return arrays.from_values(arrays.as_array(source), axes)


@contextlib.contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Silences the loggers of Pillow and tifffile inside the block: the message of `Unreadable` is enough."""
    loggers = [logging.getLogger(name) for name in ("PIL", "tifffile")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def one_line(text: str) -> str:
    """`text` with line breaks and other unprintable characters escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _check_status(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("this is a folder")
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would block
        raise Unreadable("this is a pipe, socket or device, not a file")
    _check_length(status.st_size)


def _check_length(length: int) -> None:
    if length == 0:
        raise Unreadable("the file is empty")
    if length > MAX_BYTES:
        raise Unreadable(f"the file has {length:,} bytes, more than the limit of {MAX_BYTES:,}")


def _decode(file: BinaryIO, file_bytes: int, axes: str | None) -> Stored:
    head = file.read(heif.HEAD)
    if head.startswith(arrays.MAGIC):
        return arrays.read_npy(file, file_bytes, axes)
    if heif.recognised(head):
        return heif.read(file)
    stored = tiff.read(file, file_bytes, axes) if head.startswith(tiff.MAGIC) else None
    return pillow.decode(pillow.opened(file), file) if stored is None else stored
