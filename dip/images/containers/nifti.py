"""NIfTI volumes, `.nii` and `.nii.gz`, read by nibabel, an optional package."""

import io
import math
from typing import BinaryIO

import numpy as np

from dip.images.stored import Contents, Unreadable, check_bytes, no_key, optional


def read(file: BinaryIO, key: str | None) -> Contents:
    """Read the values in the units of the file (slope and intercept are applied). The axes are x, y, z and time: x are
    the columns, y the rows, z the slices, and all others the channels."""
    no_key(key)
    nibabel = optional("nibabel", "NIfTI files", "nifti")
    kind = nibabel.Nifti2Image if file.read(12)[4:8] == b"n+2\0" else nibabel.Nifti1Image
    file.seek(0)
    image = kind.from_stream(io.BytesIO(file.read()))
    shape = [int(n) for n in image.shape]
    check_bytes(image.get_data_dtype().itemsize * math.prod(shape))
    if image.get_data_dtype().kind not in "buifc":
        raise Unreadable(f"voxels of type {image.get_data_dtype()} are not supported", "a volume of numbers")
    values = np.asanyarray(image.dataobj)
    while values.ndim > 2 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim > 4:
        values = values.reshape(*values.shape[:3], -1)
    return Contents(values, axes="WHDC"[: values.ndim])
