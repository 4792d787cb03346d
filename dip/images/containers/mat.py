"""MATLAB's `.mat` of version 5 to 7, read by SciPy. Version 7.3 is HDF5 (`hdf5`)."""

import math
from typing import BinaryIO

import numpy as np

from dip.images.stored import Contents, check_bytes, chosen

NUMBERS = {f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)}
NUMBERS |= {"double": 8, "single": 4, "logical": 1}
"""MATLAB's classes of numbers and their bytes. Cells, structs, functions and objects are not read."""


def read(file: BinaryIO, key: str | None) -> Contents:
    """Read the variable called `key`, or the only one of numbers."""
    from scipy.io import loadmat, whosmat

    found = {name: (shape, kind) for name, shape, kind in whosmat(file) if kind in NUMBERS}
    key = chosen(list(found), key)
    shape, kind = found[key]
    check_bytes(NUMBERS[kind] * math.prod(shape))
    file.seek(0)
    return Contents(np.asarray(loadmat(file, variable_names=[key])[key]), guess="HWC" if len(shape) == 3 else None)
