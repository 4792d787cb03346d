"""NumPy arrays to the bytes of an image file.

Pillow writes 8-bit files. It can write neither 16-bit nor float colour: 16-bit PNGs are written here,
TIFFs by tifffile.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from dip.images.decoding import Array, Stored

SUFFIXES = dict.fromkeys((".tif", ".tiff"), "TIFF") | dict.fromkeys((".ppm", ".pgm"), "PPM")
SUFFIXES |= {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}


def encode(stored: Stored, format: str) -> bytes:
    """The bytes of a file of `format` (a value of `SUFFIXES`). Orientation, time and software are left out.

    uint16 needs PNG or TIFF, float32 and other than 1 or 3 channels need TIFF, alpha needs PNG, TIFF or WEBP.
    JPEG is written at quality 95 without chroma subsampling, WEBP lossless.
    """
    values, profile = stored.values, stored.icc_profile
    kind, channels = values.dtype, values.shape[2]
    alpha = stored.alpha is not None
    assert kind == np.uint8 or format == "TIFF" or (kind == np.uint16 and format == "PNG")
    assert channels in (1, 3) or format == "TIFF"
    assert not alpha or format in ("PNG", "TIFF", "WEBP")
    if stored.alpha is not None:
        values = np.concatenate([values, stored.alpha[..., None]], axis=2)
    if format == "TIFF":
        return _tiff(values, alpha, profile)
    if kind == np.uint16:
        return _png16(values, profile)
    image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    how: dict[str, Any] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True, "exact": True},
    }
    buffer = io.BytesIO()
    image.save(buffer, format=format, icc_profile=profile, **how.get(format, {}))
    return buffer.getvalue()


def _tiff(values: Array, alpha: bool, profile: bytes | None) -> bytes:
    import tifffile

    channels = values.shape[2] - alpha
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        values[..., 0] if values.shape[2] == 1 else values,
        photometric="rgb" if channels == 3 else "minisblack",
        planarconfig=None if values.shape[2] == 1 else "contig",
        extrasamples=["unassalpha"] if alpha else None,
        compression="zlib",
        iccprofile=profile,
        metadata=None,
        software=False,
    )
    return buffer.getvalue()


def _png16(values: Array, profile: bytes | None) -> bytes:
    """A 16-bit PNG (W3C PNG specification, third edition), each row as its difference to the one above."""
    height, width, channels = values.shape
    rows = values.astype(">u2").view(np.uint8).reshape(height, width * channels * 2)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 2  # filter type "up"
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]  # modulo 256, as the specification has it
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))]
    if profile:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)))
    chunks += [(b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
