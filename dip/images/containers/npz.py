"""NumPy's `.npz`: a ZIP file of arrays."""

from __future__ import annotations

import zipfile
from typing import BinaryIO, cast

import numpy as np

from dip.images.containers import npy
from dip.images.stored import Contents, check_bytes, chosen

MAGIC = b"PK\x03\x04"


def read(file: BinaryIO, file_bytes: int, key: str | None) -> Contents:
    """Read the array called `key`, or the only one. What exceeds its declared size is not decompressed."""
    with zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist() if not info.is_dir()}
        member = members[chosen(list(members), key)]
        check_bytes(member.file_size)
        with archive.open(member) as stream:
            npy.check_header(cast(BinaryIO, stream), member.file_size)
        with archive.open(member) as stream:
            return Contents(np.lib.format.read_array(stream, allow_pickle=False))
