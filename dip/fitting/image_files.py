"""The files that `image` stands for: one, those of a folder, or those that match a pattern. Imports no torch."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from dip.errors import ImageError
from dip.options import log
from dip.samples import SAMPLES
from dip.sources import split

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif", ".bmp", ".ppm", ".pgm",
            ".npy", ".npz", ".mat", ".h5", ".hdf5", ".dcm", ".nii", ".nii.gz", ".fits", ".fit")  # fmt: skip
"""Suffixes of the image files that are read from a folder. A run whose file needs a package that is missing names it."""


def several(source: str) -> list[str] | None:
    """The files that match a pattern or lie in a folder, `photo9` before `photo10`; None if `source` is one image.

    In a pattern, `*` matches any characters, `?` one character and `**/` any folders. Brackets are literal, because
    names of photos often contain them. In a folder, files with one of `SUFFIXES` count; its subfolders do not.

    Raises:
        ImageError: there is no such file, or the folder cannot be read.
    """
    source, key = split(source)
    path = Path(source)
    if source in SAMPLES or path.is_file() or not (path.is_dir() or {"*", "?"} & set(source)):
        return None
    if path.is_dir():
        try:
            names = [name for name in os.listdir(path) if not name.startswith(".")]
        except OSError as error:
            raise ImageError(f"image={source}: cannot be read ({error.strerror})") from None
        found = [str(path / name) for name in names if name.lower().endswith(SUFFIXES)]
        _warn_left_out(path, [name for name in names if not name.lower().endswith(SUFFIXES)])
    else:
        found = glob.glob(source.replace("[", "[[]"), recursive=True)
    # A file with the name of a sample is written as a path.
    found = [f"./{file}" if file in SAMPLES else file for file in found if os.path.isfile(file)]
    if not found:
        what = f"holds no {' '.join(SUFFIXES)}" if path.is_dir() else "matches no file"
        raise ImageError(f"image={source}: {what}; for example image='photos/*.jpg'")
    found = found if key is None else [f"{file}:{key}" for file in found]
    # Numbers are padded with zeros, so that they sort by value.
    return sorted(found, key=lambda file: re.sub(r"\d+", lambda number: number[0].zfill(20), file))


def _warn_left_out(folder: Path, names: Iterable[str]) -> None:
    """Warn about the files in `folder` that are not read, with up to ten of their `names`."""
    files = sorted(name for name in names if (folder / name).is_file())
    if files:
        shown = ", ".join(files[:10]) + (f" and {len(files) - 10} more" if len(files) > 10 else "")
        log.warning("image=%s: left out, because their suffixes are not those of images: %s", folder, shown)
