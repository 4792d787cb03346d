"""Files that hold arrays rather than pictures, recognised by their content. One module reads one kind of file.

| file            | package | key                      | axes                                                 |
|-----------------|---------|--------------------------|------------------------------------------------------|
| `.npy`          |         | none                     | any                                                  |
| `.npz`          |         | the array's name         | any                                                  |
| `.mat`, 5 to 7  |         | the variable's name      | three: rows, columns, channels; a guess, logged      |
| `.mat`, 7.3     | h5py    | the variable's name      | the same                                             |
| `.h5`           | h5py    | the path in the file     | any                                                  |
| `.dcm`          | pydicom | none                     | slices, rows, columns, channels                      |
| `.nii` (`.gz`)  | nibabel | none                     | columns, rows, slices, channels                      |
| `.fits` (`.gz`) | astropy | the extension's name or  | three: bands, rows, columns; a guess, logged         |
|                 |         | number                   |                                                      |

Each module has `read(file, key)`, which reads from the beginning of `file`, checks the declared size before
it reads values, and returns `Contents`. Exceptions of the libraries pass through: `dip.images.decoding` turns them into
one line.
"""

import gzip
import io
from collections.abc import Callable
from typing import BinaryIO

from dip.images.containers import dicom, fits, hdf5, mat, nifti, npy
from dip.images.stored import MAX_BYTES, Contents, Unreadable

FORMATS = ("NPY", "NPZ", "MAT", "HDF5", "DICOM", "NIFTI", "FITS")
HEAD = 1024
"""The number of bytes by which a kind of file is recognised."""
GZIP = b"\x1f\x8b"

Reader = Callable[[BinaryIO, str | None], Contents]


SIGNATURES: tuple[tuple[int, bytes, Reader], ...] = (
    (0, b"\x93NUMPY", npy.read), (0, b"PK\x03\x04", npy.read_zip), (0, b"MATLAB 5.0 MAT-file", mat.read),
    (0, b"SIMPLE  =", fits.read), (0, b"\x89HDF\r\n\x1a\n", hdf5.read), (0, hdf5.MATLAB, hdf5.read),
    (344, b"n+1\0", nifti.read), (344, b"ni1\0", nifti.read), (4, b"n+2\0\r\n\x1a\n", nifti.read),
    (128, b"DICM", dicom.read), (512, b"\x89HDF\r\n\x1a\n", hdf5.read),
)  # fmt: skip
"""The bytes by which a kind of file is recognised, their position, and what reads it."""


def reader(head: bytes) -> Reader | None:
    """What reads a file that begins with `head`; None if it is of another kind."""
    return next((found for at, signature, found in SIGNATURES if head[at:].startswith(signature)), None)


def read(file: BinaryIO, key: str | None) -> Contents | None:
    """The array in `file`, or the one called `key`; None if the file is of another kind.

    Raises:
        Unreadable: there is no such array, or several; the values are not numbers; or the file is damaged.
        Exception: of any type, if the file is damaged.
    """
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    if head.startswith(GZIP):
        file, head = _unpacked(file)
    found = reader(head)
    if found is None:
        return None
    contents = found(file, key)
    if contents.values.dtype.kind not in "buifc":
        raise Unreadable(f"holds values of type {contents.values.dtype}", "an array of numbers")
    return contents


def _unpacked(file: BinaryIO) -> tuple[BinaryIO, bytes]:
    """The content of a gzip file of a kind that is often packed, and its first bytes."""
    with gzip.open(file) as packed:
        head = packed.read(HEAD)
        if reader(head) not in (nifti.read, fits.read):
            raise Unreadable("holds neither a NIfTI nor a FITS file", "the file without gzip")
        packed.seek(0)
        data = packed.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Unreadable(f"the file unpacks to more than {MAX_BYTES:,} bytes", "a part of it")
    return io.BytesIO(data), head
