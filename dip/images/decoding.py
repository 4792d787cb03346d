"""Bytes on disk to NumPy arrays: what is read, what is refused, and how deep pictures are kept deep.

Nothing here trusts a file. What it is (`stat`) is asked before it is opened, what it claims to hold is judged
before it is decoded, and whatever a decoder raises on broken bytes becomes one `Unreadable` with a reason.

Pillow decodes everything except what it cannot hold: it cuts 16-bit colour to 8 bits and has no float colour.
A 16-bit colour PNG is therefore decoded twice, once for the high, once for the low bytes; such TIFFs go
through tifffile.
"""

from __future__ import annotations

import logging
import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM")

MAX_PIXELS = 178_956_970
"""Largest picture that is decoded: where Pillow, too, calls it a decompression bomb."""
MAX_BYTES = 2**31
MAX_PIXELS_PER_BYTE = 10_000
"""A PNG holds at most 1032 bytes per byte, 8256 pixels of one bit. More is a lie, or blank."""
HARMLESS_PIXELS = 2**24
"""Pictures up to this size may be as empty as they like."""

for _name in ("PIL", "tifffile"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # a broken file is refused in one line, not commented

_TIFF_MAGIC = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
_DIRECT = {"L", "LA", "RGB", "RGBA"}
_CONVERTED = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}
_CONVERTED |= dict.fromkeys(("RGBX", "CMYK", "YCbCr"), "RGB")
_LOW_BITS = {"L;2": 85, "L;4": 17}

Array = np.ndarray[Any, np.dtype[Any]]


class Unreadable(Exception):
    """Why a file cannot be used, as the end of a sentence that begins with its name."""


@dataclass(frozen=True)
class Stored:
    """A decoded file, upright (EXIF orientation applied).

    values: (H, W, C), uint8, uint16 (full scale is 65535) or float32 (any range, may hold NaN).
    alpha: (H, W) of the same type, full scale is opaque (1.0 for float32); None without transparency.
    icc_profile: the colour profile as embedded in the file.
    """

    values: Array
    alpha: Array | None = None
    icc_profile: bytes | None = None


def read(path: Path) -> Stored:
    """Decodes one file. Raises `Unreadable`, and nothing else, whatever the path and the bytes are."""
    try:
        status = path.stat()
        _check_status(status)
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn about odd metadata; what matters is checked here
            stored = _decode(file, status.st_size)
        if stored.values.ndim != 3 or stored.values.size == 0:
            raise Unreadable("the picture has no pixels")
        return stored
    except Unreadable:
        raise
    except FileNotFoundError:
        raise Unreadable("there is no such file") from None
    except PermissionError:
        raise Unreadable("the file may not be read (permission denied)") from None
    except UnidentifiedImageError:
        raise Unreadable("the content is not a picture of a kind that is read here") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"the picture claims more than {MAX_PIXELS:,} pixels") from None
    except MemoryError:
        raise Unreadable("the picture does not fit into memory") from None
    except Exception as error:  # decoders raise nearly every type there is on broken bytes
        reason = one_line(str(error)) or type(error).__name__
        raise Unreadable(f"the file is truncated, damaged or of an unknown kind ({reason})") from None


def one_line(text: str) -> str:
    """`text` with line breaks and all else that does not print escaped: safe within a one-line message."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _check_status(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("this is a folder")
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise Unreadable("this is a pipe, socket or device, not a file")
    if status.st_size == 0:
        raise Unreadable("the file is empty")
    if status.st_size > MAX_BYTES:
        raise Unreadable(f"the file has {status.st_size:,} bytes, more than the {MAX_BYTES:,} that are read")


def _check_size(width: int, height: int, file_bytes: int) -> None:
    """Judges the size that a header claims, before anything of that size is allocated."""
    pixels = width * height
    if pixels < 1:
        raise Unreadable("the picture has no pixels")
    if pixels > MAX_PIXELS:
        raise Unreadable(f"the picture claims {width} x {height} pixels, more than {MAX_PIXELS:,}")
    if pixels > max(HARMLESS_PIXELS, MAX_PIXELS_PER_BYTE * file_bytes):
        raise Unreadable(
            f"the picture claims {width} x {height} pixels in {file_bytes:,} bytes: truncated or blank"
        )


def _decode(file: BinaryIO, file_bytes: int) -> Stored:
    if file.read(4) in _TIFF_MAGIC:
        stored = _deep_tiff(file, file_bytes)
        if stored is not None:
            return stored
    image = _open(file)
    _check_size(image.width, image.height, file_bytes)
    # Phones store previews and gain maps behind the photo (format MPO): the first picture is the photo.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise Unreadable("the file holds several pictures (an animation or pages)")
    if image.format == "PNG":
        _open(file).verify()  # checksums, which decoding alone skips
        image = _open(file)
    profile = image.info.get("icc_profile") or None
    raw = str(image.tile[0].args) if image.format == "PNG" and image.tile else ""
    values = _deep_png(file, image, raw) if raw in ("LA;16B", "RGB;16B", "RGBA;16B") else _values(image)
    channels = values.shape[2]
    key = image.info.get("transparency")
    alpha = None
    if channels in (2, 4):
        values, alpha = values[..., :-1], values[..., -1]
    elif key is not None and image.mode != "P":  # PNG: one colour stands for "transparent"
        white = np.iinfo(values.dtype).max
        key = np.asarray(key) * _LOW_BITS.get(raw, 1)
        alpha = np.where((values == key).all(axis=2), 0, white).astype(values.dtype)
    turn = int(
        image.getexif().get(0x0112, 1)
    )  # after decoding: Pillow turns TIFFs itself, then forgets the tag
    return Stored(_upright(values, turn), None if alpha is None else _upright(alpha, turn), profile)


def _open(file: BinaryIO) -> ImageFile.ImageFile:
    file.seek(0)
    return Image.open(file, formats=FORMATS)


def _upright(array: Array, orientation: object) -> Array:
    """Undoes EXIF orientation 1 to 8 of an (H, W, ...) array; anything else means upright."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def _values(image: ImageFile.ImageFile) -> Array:
    """Pillow's pixels as (H, W, C), C = 1 to 4: gray, gray + alpha, RGB, RGBA."""
    mode, tags = image.mode, getattr(image, "tag_v2", {})
    tile = image.tile[0] if image.tile else None
    if mode == "RGB" and tile and tile.codec_name in ("ppm", "ppm_plain") and tile.args[-1] > 255:  # type: ignore[index,operator]
        raise Unreadable("16-bit colour PPM would be cut to 8 bits; store it as PNG")
    if mode in _DIRECT:
        values = np.asarray(image)
    elif mode == "P":
        values = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    elif mode in _CONVERTED:
        values = np.asarray(image.convert(_CONVERTED[mode]))
    elif mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)
        if tags.get(258) == (12,):
            values = ((values.astype(np.uint32) * 65535 * 2 + 4095) // (2 * 4095)).astype(np.uint16)
        if tags.get(262) == 0:  # white is zero: Pillow inverts 8-bit pictures only
            values = np.uint16(65535) - values
    elif mode == "I" and image.format == "PPM":
        values = np.asarray(image).clip(0, 65535).astype(np.uint16)
    elif mode == "F" and tags.get(262) != 0:
        values = np.asarray(image).astype(np.float32)
    else:
        raise Unreadable(f"pixels of kind {mode!r} (32-bit or signed integers, Lab, ...) have no rule here")
    return values if values.ndim == 3 else values[..., None]


def _deep_png(file: BinaryIO, image: ImageFile.ImageFile, raw: str) -> Array:
    """16-bit PNG with more than one channel, which Pillow would cut to 8 bits, as (H, W, C) uint16.

    PNG stores big-endian numbers. Pillow's "16B" keeps the first byte of each, the high one; "16L", meant for
    little-endian data, keeps the second. Gray + alpha is four bytes per pixel, what "RGBA" reads as they are.
    """
    if raw == "LA;16B":
        quads = _as_raw(image, "RGBA")  # (H, W, 4): gray high, gray low, alpha high, alpha low
        return quads[..., 0::2] * np.uint16(256) + quads[..., 1::2]
    high = _as_raw(image, raw)
    low = _as_raw(_open(file), raw.replace("16B", "16L"))
    return high * np.uint16(256) + low


def _as_raw(image: ImageFile.ImageFile, raw: str) -> Array:
    image.tile = [image.tile[0]._replace(args=raw)]
    return np.asarray(image)


def _deep_tiff(file: BinaryIO, file_bytes: int) -> Stored | None:
    """A TIFF with more than one channel that is deeper than 8 bits, or spectral; None leaves it to Pillow."""
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        extras = tuple(int(extra) for extra in page.extrasamples)
        gray, rgb = page.photometric == 1, page.photometric == 2
        spectral = gray and page.samplesperpixel > 1 and not any(extras)
        if page.samplesperpixel == 1 or (page.bitspersample <= 8 and not spectral):
            return None
        # A tile is decoded whole, however little of it lies within the picture.
        _check_size(max(page.imagewidth, page.tilewidth), max(page.imagelength, page.tilelength), file_bytes)
        if page.size * (page.bitspersample // 8) > MAX_BYTES:
            raise Unreadable("the picture claims more data than can be read")
        if len(tiff.pages) > 1 or page.imagedepth > 1:
            raise Unreadable("the file holds several pictures (an animation or pages)")
        if any(at + n > file_bytes for at, n in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise Unreadable("the file is truncated")
        rgba = rgb and page.samplesperpixel == 4 and extras in ((), (2,))
        has_alpha = rgba or (gray and extras == (2,))
        known = spectral or has_alpha or (rgb and page.samplesperpixel == 3)
        if not known or str(page.dtype) not in ("uint8", "uint16", "float16", "float32", "float64"):
            raise Unreadable("a TIFF of this kind (photometry, extra samples or numbers) has no rule here")
        values = page.asarray()
        if page.planarconfig == 2:
            values = np.moveaxis(values, 0, -1)
        with np.errstate(over="ignore"):  # becomes infinite, which is refused later
            values = values.astype(np.float32 if values.dtype.kind == "f" else values.dtype.newbyteorder("="))
        values = _upright(values, page.tags.valueof(274))
        alpha = values[..., -1] if has_alpha else None
        return Stored(values[..., :-1] if has_alpha else values, alpha, page.iccprofile or None)
