"""NumPy's `.npy`: one array."""

from __future__ import annotations

import io
import math
from typing import Any, BinaryIO

import numpy as np

from dip.images.stored import Contents, Unreadable, check_bytes, no_key

MAGIC = b"\x93NUMPY"


def read(file: BinaryIO, file_bytes: int, key: str | None) -> Contents:
    """Read the array. A file on disk is mapped into memory, and copied once."""
    no_key(key)
    file.seek(0)
    shape, fortran, dtype = header(file, file_bytes)
    if not isinstance(file, io.BufferedReader) or math.prod(shape) == 0:
        file.seek(0)
        return Contents(np.load(file, allow_pickle=False))
    order: Any = "F" if fortran else "C"
    return Contents(np.array(np.memmap(file, dtype, "r", file.tell(), shape, order)))  # type: ignore[call-overload]


def header(file: BinaryIO, file_bytes: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and type of the array whose header begins here; `file` is left at the first value.

    Raises:
        Unreadable: the values are Python objects, or do not fit into `file_bytes`.
    """
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject or min(shape, default=0) < 0 or dtype.itemsize * math.prod(shape) > file_bytes:
        raise Unreadable("the file is truncated or holds Python objects")
    check_bytes(dtype.itemsize * math.prod(shape))
    return shape, fortran, dtype
