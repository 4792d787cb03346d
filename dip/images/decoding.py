"""Decode image files to NumPy arrays. Files that are not one complete image of a supported kind are refused.

No file is trusted. Its type and size are checked before it is opened, the image size in its header before it is decoded.
Every exception of a decoder becomes `Unreadable` with the reason.

Pillow decodes everything except 16-bit colour, which it would reduce to 8 bits, and float colour. imagecodecs decodes
16-bit colour PNG, and PNG with a transparent colour. tifffile decodes TIFF with 16-bit and float colour.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM")

MAX_PIXELS = 178_956_970
"""Largest image that is decoded. Pillow's own limit against decompression bombs, whatever a caller has set it to."""
MAX_BYTES = 2**31
"""Largest file, and largest decoded TIFF, in bytes."""

_TIFF_MAGIC = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
_CONVERTED = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "PA": "RGBA", "RGBA": "RGBA", "RGBa": "RGBA"}
_CONVERTED |= dict.fromkeys(("RGB", "RGBX", "CMYK", "YCbCr"), "RGB")

Array = np.ndarray[Any, np.dtype[Any]]

_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "there is no such file",
    PermissionError: "the file cannot be read (permission denied)",
    UnidentifiedImageError: "the content is not an image of a supported kind",
    Image.DecompressionBombError: f"the header claims more than {MAX_PIXELS:,} pixels",
    MemoryError: "the image does not fit into memory",
}


class Unreadable(Exception):
    """A file cannot be used. The text is the reason, to be written behind the file's name."""


@dataclass(frozen=True)
class Stored:
    """A decoded file, with its EXIF orientation applied.

    values: (H, W, C), uint8, uint16 (full scale 65535) or float32 (any range, may contain NaN).
    alpha: (H, W) of the same type; full scale (1.0 for float32) is opaque. None without transparency.
    icc_profile: the embedded colour profile.
    jpeg: the content of the file, if it is a JPEG.
    """

    values: Array
    alpha: Array | None = None
    icc_profile: bytes | None = None
    jpeg: bytes | None = None


def read(source: Path | bytes) -> Stored:
    """Decode one file, or its content. Raises `Unreadable`, and no other exception, for any path and any content."""
    file: BinaryIO
    try:
        if isinstance(source, Path):
            status = source.stat()
            _check_status(status)
            file, size = source.open("rb"), status.st_size
        else:
            file, size = io.BytesIO(source), len(source)
        with file, warnings.catch_warnings(), _quiet_decoders():
            warnings.simplefilter("ignore")  # about unusual metadata, which is not used
            stored = _decode(file, size)
        if stored.values.ndim != 3 or stored.values.size == 0:
            raise Unreadable("the image has no pixels")
        return stored
    except Unreadable:
        raise
    except Exception as error:  # for damaged files, decoders raise exceptions of nearly every type
        reason = one_line(str(error)) or type(error).__name__
        default = f"the file is truncated, damaged or of an unsupported kind ({reason})"
        raise Unreadable(next((text for kind, text in _REASONS.items() if isinstance(error, kind)), default)) from None


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
    if status.st_size == 0:
        raise Unreadable("the file is empty")
    if status.st_size > MAX_BYTES:
        raise Unreadable(f"the file has {status.st_size:,} bytes, more than the limit of {MAX_BYTES:,}")


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Unreadable(f"the header claims {width} x {height} pixels, more than {MAX_PIXELS:,}")


def _decode(file: BinaryIO, file_bytes: int) -> Stored:
    if file.read(4) in _TIFF_MAGIC:
        stored = _deep_tiff(file, file_bytes)
        if stored is not None:
            return stored
    image = _open(file)
    _check_size(image.width, image.height)
    # The JPEG files of phones hold previews and gain maps behind the photo (format MPO).
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise Unreadable("the file holds several images (an animation or pages)")
    if image.format == "PNG":
        _open(file).verify()  # checksums, which decoding alone skips
        image = _open(file)
    profile = image.info.get("icc_profile") or None
    deep = bool(image.tile) and image.tile[0].args in ("LA;16B", "RGB;16B", "RGBA;16B")
    keyed = "transparency" in image.info and image.mode != "P"  # the pixels of one colour are transparent
    values = _png(file) if image.format == "PNG" and (deep or keyed) else _values(image)
    alpha = None
    if values.shape[2] in (2, 4):
        values, alpha = values[..., :-1], values[..., -1]
    # Read after decoding: Pillow rotates TIFF itself and removes the tag.
    turn = int(image.getexif().get(0x0112, 1))
    jpeg = None
    if image.format in ("JPEG", "MPO"):
        file.seek(0)
        jpeg = file.read()
    return Stored(_upright(values, turn), None if alpha is None else _upright(alpha, turn), profile, jpeg)


def _open(file: BinaryIO) -> ImageFile.ImageFile:
    file.seek(0)
    return Image.open(file, formats=FORMATS)


def _upright(array: Array, orientation: object) -> Array:
    """Apply EXIF orientation 1 to 8 to an (H, W, ...) array. Other values change nothing."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def _values(image: ImageFile.ImageFile) -> Array:
    """The pixels that Pillow decodes, (H, W, C): gray, gray + alpha, RGB or RGBA."""
    mode, tags = image.mode, getattr(image, "tag_v2", {})
    tile = image.tile[0] if image.tile else None
    if mode == "RGB" and tile and tile.codec_name in ("ppm", "ppm_plain") and tile.args[-1] > 255:  # type: ignore[index,operator]
        raise Unreadable("16-bit colour PPM is not supported; convert it to PNG")
    if mode == "P":
        values = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    elif mode in _CONVERTED:
        values = np.asarray(image.convert(_CONVERTED[mode]))
    elif mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)
        if tags.get(258) == (12,):
            values = ((values.astype(np.uint32) * 65535 * 2 + 4095) // (2 * 4095)).astype(np.uint16)
        if tags.get(262) == 0:  # white is 0; Pillow inverts 8-bit images only
            values = np.uint16(65535) - values
    elif mode == "I" and image.format == "PPM":
        values = np.asarray(image).clip(0, 65535).astype(np.uint16)
    elif mode == "F" and tags.get(262) != 0:
        values = np.asarray(image).astype(np.float32)
    else:
        raise Unreadable(f"pixels of mode {mode!r} (32-bit or signed integers, Lab, ...) are not supported")
    return values if values.ndim == 3 else values[..., None]


def _png(file: BinaryIO) -> Array:
    """The pixels of a PNG, (H, W, C) uint8 or uint16. A transparent colour becomes an alpha channel."""
    import imagecodecs

    file.seek(0)
    values: Array = imagecodecs.png_decode(file.read())
    return values


def _deep_tiff(file: BinaryIO, file_bytes: int) -> Stored | None:
    """A TIFF with several channels of more than 8 bits, or a spectral one. None: Pillow decodes the file."""
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        extras = tuple(int(extra) for extra in page.extrasamples)
        gray, rgb = page.photometric == 1, page.photometric == 2
        spectral = gray and page.samplesperpixel > 1 and not any(extras)
        if page.samplesperpixel == 1 or (page.bitspersample <= 8 and not spectral):
            return None
        # A tile is decoded whole, even where it exceeds the image.
        _check_size(max(page.imagewidth, page.tilewidth), max(page.imagelength, page.tilelength))
        if page.size * (page.bitspersample // 8) > MAX_BYTES:
            raise Unreadable(f"the header claims more than {MAX_BYTES:,} bytes of pixels")
        if len(tiff.pages) > 1 or page.imagedepth > 1:
            raise Unreadable("the file holds several images (an animation or pages)")
        if any(at + n > file_bytes for at, n in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise Unreadable("the file is truncated")
        rgba = rgb and page.samplesperpixel == 4 and extras in ((), (2,))
        has_alpha = rgba or (gray and extras == (2,))
        known = spectral or has_alpha or (rgb and page.samplesperpixel == 3)
        if not known or str(page.dtype) not in ("uint8", "uint16", "float16", "float32", "float64"):
            raise Unreadable("this kind of TIFF (photometry, extra samples or data type) is not supported")
        values = page.asarray()
        if page.planarconfig == 2:
            values = np.moveaxis(values, 0, -1)
        with np.errstate(over="ignore"):  # becomes infinite, which the caller refuses
            values = values.astype(np.float32 if values.dtype.kind == "f" else values.dtype.newbyteorder("="))
        values = _upright(values, page.tags.valueof(274))
        alpha = values[..., -1] if has_alpha else None
        return Stored(values[..., :-1] if has_alpha else values, alpha, page.iccprofile or None)
