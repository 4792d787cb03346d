"""Names of data: a file, or an array inside a file, as FILE:KEY; and of the axes of an array."""

import os
import re

KEYED = (".npz", ".mat", ".h5", ".hdf5", ".fits", ".fit")
"""Suffixes of files that hold several arrays."""

SYNONYMS = str.maketrans("XYZ", "WHD")

_FILE_AND_KEY = re.compile(rf"(.*?(?:{'|'.join(map(re.escape, KEYED))})):(.+)", re.IGNORECASE | re.DOTALL)


def split(source: str) -> tuple[str, str | None]:
    """The file and the key of `source`: `scan.npz:y` is ("scan.npz", "y"), `a.h5:group/data` ("a.h5", "group/data").

    Without a key, if the suffix before the colon is none of `KEYED`, or if there is a file of the whole name, it is
    (`source`, None).
    """
    found = None if os.path.isfile(source) else _FILE_AND_KEY.fullmatch(source)
    return (found[1], found[2]) if found else (source, None)


def canonical(axes: str) -> str:
    """The order `axes` in the letters C, D, H and W: X is W, Y is H, Z is D."""
    return axes.translate(SYNONYMS)
