"""Encode NumPy arrays as image files: PNG, JPEG, TIFF, WEBP, BMP and PPM.

Pillow encodes 8-bit files. It supports neither 16-bit colour nor float colour: imagecodecs encodes 16-bit PNG, tifffile
all TIFF.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import putchunk

from dip.images.decoding import Array, Stored

SUFFIXES = dict.fromkeys((".tif", ".tiff"), "TIFF") | dict.fromkeys((".ppm", ".pgm"), "PPM")
SUFFIXES |= {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}
_PILLOW_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}


def encode(stored: Stored, format: str) -> bytes:
    """The bytes of a file of `format`, a value of `SUFFIXES`. Orientation, time and software are not written.

    uint16 needs PNG or TIFF. float32 and channel counts other than 1 and 3 need TIFF. Alpha needs PNG, TIFF or WEBP.
    JPEG has quality 95 without chroma subsampling. WEBP is lossless.
    """
    values, profile = stored.values, stored.icc_profile
    if stored.alpha is not None:
        values = np.concatenate([values, stored.alpha[..., None]], axis=2)
    values = values[..., 0] if values.shape[2] == 1 else values
    if format == "TIFF":
        return _tiff(values, stored)
    if values.dtype == np.uint16:
        return _png16(values, profile)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format, icc_profile=profile, **_PILLOW_OPTIONS.get(format, {}))
    return buffer.getvalue()


def _tiff(values: Array, stored: Stored) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, values,
        photometric="rgb" if stored.values.shape[2] == 3 else "minisblack",
        planarconfig=None if values.ndim == 2 else "contig",
        extrasamples=None if stored.alpha is None else ["unassalpha"],
        compression="zlib", iccprofile=stored.icc_profile, metadata=None, software=False,
    )  # fmt: skip
    return buffer.getvalue()


def _png16(values: Array, profile: bytes | None) -> bytes:
    import imagecodecs

    encoded = imagecodecs.png_encode(values, level=6, filter=imagecodecs.PNG.FILTER.UP)
    if profile is None:
        return bytes(encoded)
    buffer = io.BytesIO()  # imagecodecs writes no colour profile
    buffer.write(encoded[:33])  # the signature and the chunk IHDR
    putchunk(buffer, b"iCCP", b"ICC Profile\0\0", zlib.compress(profile))
    buffer.write(encoded[33:])
    return buffer.getvalue()
