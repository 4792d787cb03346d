"""HEIC photographs of phones, decoded by pi-heif, an optional package."""

from typing import BinaryIO

import numpy as np

from dip.images.stored import Array, Stored, check_size, optional

HEAD = 64
"""The number of bytes that `recognised` looks at."""


def recognised(head: bytes) -> bool:
    """Whether a file that begins with `head` is a HEIF file of a still image that Pillow does not decode."""
    brands = head[8 : max(int.from_bytes(head[:4], "big"), 12)]
    heif = head[4:8] == b"ftyp" and any(brand in brands for brand in (b"heic", b"heix", b"mif1"))
    return heif and b"avif" not in brands


def read(file: BinaryIO) -> Stored:
    """Decode the primary image of a HEIF file, 8 bits or, for more than 8, scaled to 16. Rotations are applied."""
    pi_heif = optional("pi_heif", "HEIC files", "heic", "a JPEG or PNG")
    file.seek(0)
    image = pi_heif.open_heif(file, convert_hdr_to_8bit=False)
    check_size(*image.size)
    values: Array = np.array(image)  # a copy: the memory belongs to `image`
    values = values if values.ndim == 3 else values[..., None]  # (H, W, C)
    return Stored.of_pixels(values, image.has_alpha, icc_profile=image.info.get("icc_profile") or None)
