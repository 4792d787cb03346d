"""Decode sources of images. Those that are not one complete image of a supported kind are refused.

No file is trusted. Its type and size are checked before it is opened, the image size in its header before it is
decoded. Every exception of a decoder becomes `Unreadable` with the reason.
"""

import contextlib
import io
import logging
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from dip.images import arrays, containers, heif, pillow, tiff
from dip.images.stored import MAX_BYTES, MAX_PIXELS, Array, Stored, Unreadable, no_key, one_line

FORMATS = (*pillow.FORMATS, "HEIC", *containers.FORMATS)

_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "there is no such file",
    PermissionError: "the file cannot be read (permission denied)",
    UnidentifiedImageError: "the content is not an image of a supported kind",
    Image.DecompressionBombError: f"the header claims more than {MAX_PIXELS:,} pixels",
    MemoryError: "the image does not fit into memory",
}


def read(source: Any, axes: str | None = None, key: str | None = None) -> Stored:
    """Decode an image. Raises `Unreadable`, and no other exception, for any source and any content.

    Args:
        source: a `Path`, the bytes of a file, a file that is open for reading bytes, a PIL image, or anything that
            NumPy converts to an array.
        axes: the order of the axes of an array or of the pages of a TIFF, such as CHW (see `arrays.from_values`).
        key: the name of an array in a file of several.
    """
    with _refusing():
        stored = _read(source, axes, key)
        if stored.values.ndim != 3 or stored.values.size == 0:
            raise Unreadable("the image has no pixels")
        _check_finite(stored.values)
        return stored


def read_array(source: Any, key: str | None = None) -> Array:
    """The values in `source` as they are: of any shape, bool, integers, floats or complex. An image is (H, W, C) or
    (H, W). Arguments and errors are those of `read`."""
    with _refusing():
        with _opened(source) as opened:
            contents = None if opened is None else containers.read(opened, key)
        if contents is None and (opened is not None or isinstance(source, Image.Image)):
            stored = _read(source, None, key)
            return stored.values[..., 0] if stored.flat else stored.values
        values = arrays.as_array(source) if contents is None else contents.values
        if values.dtype.kind not in "buifc" or values.size == 0:
            raise Unreadable(f"got an array of {values.dtype} and shape {values.shape}", "numbers, real or complex")
        _check_finite(values)
        return values


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Turn every exception inside the block into `Unreadable` with the reason. Warnings are silenced."""
    try:
        with warnings.catch_warnings(), _quiet_decoders():
            warnings.simplefilter("ignore")  # about unusual metadata, which is not used
            yield
    except Unreadable:
        raise
    except Exception as error:  # for damaged files, decoders raise exceptions of nearly every type
        reason = one_line(str(error)) or type(error).__name__
        default = f"truncated, damaged or of an unsupported kind ({reason})"
        raise Unreadable(next((text for kind, text in _REASONS.items() if isinstance(error, kind)), default)) from None


def _read(source: Any, axes: str | None, key: str | None) -> Stored:
    with _opened(source) as opened:
        if opened is not None:
            return _decode(opened, axes, key)
    if isinstance(source, Image.Image):
        return pillow.decode(source)
    return arrays.from_values(arrays.as_array(source), axes)


@contextlib.contextmanager
def _opened(source: Any) -> Iterator[BinaryIO | None]:
    """The file that `source` is or names; None for an image or array in memory."""
    if isinstance(source, Path):
        status = source.stat()
        if stat.S_ISDIR(status.st_mode):
            raise Unreadable("this is a folder")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would block
            raise Unreadable("this is a pipe, socket or device, not a file")
        _check_length(status.st_size)
        with source.open("rb") as file:
            yield file
        return
    if isinstance(source, Image.Image):
        behind: Any = pillow.unread(source)
        if behind is None:
            yield None
            return
        position = behind.tell()  # where Pillow will go on reading
        try:
            behind.seek(0)
            source = behind.read(MAX_BYTES + 1)
        finally:
            behind.seek(position)
    elif hasattr(source, "read") and not hasattr(source, "__array__"):
        if getattr(source, "seekable", bool)():
            source.seek(0)
        source = source.read(MAX_BYTES + 1)
    if isinstance(source, str):
        advice = 'a file that is open as bytes, for example open("photo.png", "rb")'
        raise Unreadable("the file is open as text", advice)
    if not isinstance(source, (bytes, bytearray, memoryview)):
        yield None
        return
    _check_length(len(source))
    yield io.BytesIO(source)


def _check_finite(values: Array) -> None:
    if values.dtype.kind in "fc" and not np.isfinite(values).any():
        raise Unreadable("all values are NaN or infinite")


@contextlib.contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Silences the loggers of the decoders inside the block: the message of `Unreadable` is enough."""
    loggers = [logging.getLogger(name) for name in ("PIL", "tifffile", "pydicom", "nibabel.global")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check_length(length: int) -> None:
    if length == 0:
        raise Unreadable("the file is empty")
    if length > MAX_BYTES:
        raise Unreadable(f"the file has {length:,} bytes, more than the limit of {MAX_BYTES:,}")


def _decode(file: BinaryIO, axes: str | None, key: str | None) -> Stored:
    contents = containers.read(file, key)
    if contents is not None:
        return arrays.from_contents(contents, axes)
    no_key(key)
    file.seek(0)
    head = file.read(heif.HEAD)
    if heif.recognised(head):
        return heif.read(file)
    stored = tiff.read(file, axes) if head.startswith(tiff.MAGIC) else None
    return pillow.decode(pillow.opened(file), file) if stored is None else stored
