"""HDF5, also as MATLAB's `.mat` of version 7.3, read by h5py, an optional package."""

from typing import Any, BinaryIO

import numpy as np

from dip.images.stored import Contents, Unreadable, check_bytes, chosen, optional

MATLAB = b"MATLAB 7.3 MAT-file"


def read(file: BinaryIO, key: str | None) -> Contents:
    """Read the data set whose path is `key`, or the only one of numbers.

    Links to other files are not followed. MATLAB stores the last axis first: its axes are reversed.
    """
    matlab = file.read(len(MATLAB)) == MATLAB
    h5py = optional("h5py", "MATLAB files of version 7.3" if matlab else "HDF5 files", "hdf5")
    file.seek(0)
    with h5py.File(file, "r") as content:
        found: dict[str, Any] = {}

        def collect(name: str, item: Any) -> None:
            internal = not (matlab and name.startswith("#refs#"))
            if internal and isinstance(item, h5py.Dataset) and (item.dtype.kind in "buif" or complex_of(item.dtype)):
                found[name] = item

        content.visititems(collect)  # visits neither soft nor external links
        data = found[chosen(list(found), None if key is None else key.strip("/"))]
        if data.is_virtual or data.external:
            raise Unreadable("the values are in other files", "a file that holds its values")
        if data.shape is None:
            raise Unreadable("the data set is empty", "another one")
        check_bytes(data.size * data.dtype.itemsize)
        values: Any = data[()]
        if values.dtype.kind == "V":
            values = values.view(complex_of(values.dtype))
        guess = "HWC" if matlab and values.ndim == 3 else None
        return Contents(values.T if matlab else np.asarray(values), guess=guess)


def complex_of(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The complex type of `dtype`: itself, or that of MATLAB's pairs (real, imag); None for other types."""
    if dtype.kind == "c":
        return dtype
    kinds = [dtype[name] for name in dtype.names or ()]
    if dtype.names != ("real", "imag") or kinds[0] != kinds[1] or kinds[0].str[1:] not in ("f4", "f8"):
        return None
    return np.dtype(f"{kinds[0].str[0]}c{2 * kinds[0].itemsize}")
