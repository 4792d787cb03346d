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

from __future__ import annotations

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


def reader(head: bytes) -> Reader | None:
    """What reads a file that begins with `head`; None if it is of another kind."""
    readers: dict[bytes, Reader] = {
        npy.MAGIC: npy.read, npy.ZIP: npy.read_zip, mat.MAGIC: mat.read, fits.MAGIC: fits.read, hdf5.MAGIC: hdf5.read,
        hdf5.MATLAB: hdf5.read,
    }  # fmt: skip
    for magic, found in readers.items():
        if head.startswith(magic):
            return found
    if nifti.recognised(head):
        return nifti.read
    if head[dicom.AT :].startswith(dicom.MAGIC):
        return dicom.read
    return hdf5.read if head[512:].startswith(hdf5.MAGIC) else None


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
        if not (nifti.recognised(head) or head.startswith(fits.MAGIC)):
            raise Unreadable("holds neither a NIfTI nor a FITS file", "the file without gzip")
        packed.seek(0)
        data = packed.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Unreadable(f"the file unpacks to more than {MAX_BYTES:,} bytes", "a part of it")
    return io.BytesIO(data), head
