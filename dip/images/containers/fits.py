"""FITS images, read by astropy, an optional package."""

import math
from typing import Any, BinaryIO

import numpy as np

from dip.images.stored import Contents, check_bytes, chosen, optional


def read(file: BinaryIO, key: str | None) -> Contents:
    """Read the extension whose name or number is `key`, or the only one that holds an image.

    BSCALE and BZERO are applied, BLANK becomes NaN. Three axes are taken as bands, rows and columns.
    """
    fits = optional("astropy.io.fits", "FITS files", "fits")
    with fits.open(file, memmap=False, lazy_load_hdus=False) as extensions:
        found: dict[str, Any] = {}
        for number, extension in enumerate(extensions):
            if extension.is_image and math.prod(extension.shape or (0,)) > 0:
                found[extension.name if extension.name not in found and extension.name else str(number)] = extension
        names = list(found)
        if key is not None and key not in found and key.isdecimal() and int(key) < len(extensions):
            key = next((name for name in names if found[name] is extensions[int(key)]), key)
        image = found[chosen(names, key)]
        check_bytes(math.prod(image.shape) * 8)
        values = np.asarray(image.data)
    while values.ndim > 2 and values.shape[0] == 1:
        values = values[0]
    return Contents(values.astype(values.dtype.newbyteorder("=")), guess="CHW" if values.ndim == 3 else None)
