"""Images that Pillow decodes, from files and from memory, by the same rules.

Pillow reduces 16-bit colour to 8 bits, and mistakes the transparent colour of a PNG with fewer than 8 bits. imagecodecs
decodes such PNG files, as long as their pixels have not been read.
"""

import struct
from typing import IO, Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile, features

from dip.images.stored import Array, Stored, Unreadable, check_size, upright

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM", *(["AVIF"] if features.check("avif") else []))
"""The formats of files that Pillow decodes here."""

_CONVERTED = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "PA": "RGBA", "RGBA": "RGBA", "RGBa": "RGBA"}
_CONVERTED |= dict.fromkeys(("RGB", "RGBX", "CMYK", "YCbCr", "HSV"), "RGB")


def opened(file: BinaryIO) -> ImageFile.ImageFile:
    """The image in `file`, of which only the header is read."""
    file.seek(0)
    return Image.open(file, formats=FORMATS)


def unread(image: Image.Image) -> IO[bytes] | None:
    """The file of an image of `FORMATS` whose pixels have not been read; None for any other."""
    if isinstance(image, ImageFile.ImageFile) and image.tile and image.format in FORMATS and image.tell() == 0:
        return image.fp
    return None


def decode(image: Image.Image, file: BinaryIO | None = None) -> Stored:
    """The content of `image`, which was `opened` from `file`; None: it is in memory.

    Raises:
        Unreadable: the image is an animation at its first frame, or of an unsupported mode.
        Exception: of any type, if the file is damaged.
    """
    check_size(image.width, image.height)
    # The JPEG files of phones hold previews and gain maps behind the photo (format MPO).
    if getattr(image, "is_animated", False) and image.format != "MPO" and image.tell() == 0:
        raise Unreadable("the file holds several images (an animation or pages)")
    if file is not None and image.format == "PNG":
        opened(file).verify()  # checksums, which decoding alone skips
        image = opened(file)
    info, tile = image.info, getattr(image, "tile", None) or [None]
    deep = tile[0] is not None and tile[0].args in ("LA;16B", "RGB;16B", "RGBA;16B")
    keyed = "transparency" in info and image.mode != "P"  # the pixels of one colour are transparent
    values = _png(file) if file is not None and image.format == "PNG" and (deep or keyed) else _values(image)
    # Read after decoding: Pillow rotates TIFF itself and removes the tag.
    values = upright(values, int(image.getexif().get(0x0112, 1)))
    jpeg = _content(file) if file is not None and image.format in ("JPEG", "MPO") else None
    profile, has_alpha = info.get("icc_profile") or None, values.shape[2] in (2, 4)
    return Stored.of_pixels(values, has_alpha, icc_profile=profile, chunks=_chunks(info), jpeg=jpeg)


def _values(image: Image.Image) -> Array:
    """The pixels that Pillow decodes, (H, W, C): gray, gray + alpha, RGB or RGBA."""
    mode, key = image.mode, image.info.get("transparency")
    tile = (getattr(image, "tile", None) or [None])[0]
    if mode == "RGB" and tile and tile.codec_name in ("ppm", "ppm_plain") and tile.args[-1] > 255:
        raise Unreadable("16-bit colour PPM is not supported; convert it to PNG")
    if mode == "P":
        values = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    elif mode in ("1", "L", "RGB") and key is not None:
        rgba = np.asarray(image.convert("RGBA"))
        values = rgba if mode == "RGB" else rgba[..., 2:]
    elif mode in _CONVERTED:
        values = np.asarray(image.convert(_CONVERTED[mode]))
    elif mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)
        if key is not None:
            values = np.stack([values, np.where(values == key, 0, 65535).astype(np.uint16)], axis=2)
    elif mode == "I" and image.format == "PPM":
        values = np.asarray(image).clip(0, 65535).astype(np.uint16)
    elif mode == "I":
        values = np.asarray(image).astype(np.int32)
    elif mode == "F":
        values = np.asarray(image).astype(np.float32)
    else:
        raise Unreadable(f"pixels of mode {mode!r} are not supported; convert them to RGB")
    return values if values.ndim == 3 else values[..., None]


def _png(file: BinaryIO) -> Array:
    """The pixels of a PNG, (H, W, C) uint8 or uint16. A transparent colour becomes an alpha channel."""
    import imagecodecs

    values: Array = imagecodecs.png_decode(_content(file))
    return values


def _content(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _chunks(info: dict[Any, Any]) -> tuple[tuple[bytes, bytes], ...]:
    """The PNG chunks that define the colour space: gAMA, cHRM and sRGB."""
    chunks = []
    if "gamma" in info:
        chunks.append((b"gAMA", struct.pack(">I", round(info["gamma"] * 100_000))))
    if len(info.get("chromaticity", ())) == 8:
        chunks.append((b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in info["chromaticity"]))))
    if "srgb" in info:
        chunks.append((b"sRGB", bytes([info["srgb"]])))
    return tuple(chunks)
