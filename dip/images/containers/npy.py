"""NumPy's `.npy`, one array, and `.npz`, a ZIP file of arrays."""

import io
import math
import zipfile
from typing import BinaryIO, cast

import numpy as np

from dip.images.stored import Contents, Unreadable, check_bytes, chosen, no_key


def read(file: BinaryIO, key: str | None) -> Contents:
    """Read the array."""
    no_key(key)
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    check_header(file, size)
    file.seek(0)
    return Contents(np.load(file, allow_pickle=False))


def read_zip(file: BinaryIO, key: str | None) -> Contents:
    """Read the array called `key`, or the only one. What exceeds its declared size is not decompressed."""
    with zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist() if not info.is_dir()}
        member = members[chosen(list(members), key)]
        check_bytes(member.file_size)
        with archive.open(member) as stream:
            check_header(cast(BinaryIO, stream), member.file_size)
        with archive.open(member) as stream:
            return Contents(np.lib.format.read_array(stream, allow_pickle=False))


def check_header(file: BinaryIO, size: int) -> None:
    """Raise `Unreadable` if the array whose header begins here has Python objects or exceeds `size` bytes."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject or min(shape, default=0) < 0 or dtype.itemsize * math.prod(shape) > size:
        raise Unreadable("the file is truncated or holds Python objects")
    check_bytes(dtype.itemsize * math.prod(shape))
