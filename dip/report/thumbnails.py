"""Photographs for the page: each different one once, small enough that the page stays light."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

BUDGET = 9_000_000  # bytes of all pictures before base64, which adds a third
_MOST = 220_000  # bytes of one picture, however few there are
_QUALITY = 88


class Album:
    """Hands out numbers for picture files; equal files, such as the reference of all runs, share one.

    `data` is filled by `develop`, when it is known how many there are to share `BUDGET`.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._paths: list[Path] = []
        self.data: list[str] = []

    def add(self, path: Path | None) -> int | None:
        """The number of the picture in file `path`; None where there is none."""
        try:
            if path is None:
                return None
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            return None
        if digest not in self._numbers:
            self._numbers[digest] = len(self._paths)
            self._paths.append(path)
        return self._numbers[digest]

    def develop(self) -> None:
        """Fills `data` with one data URI per number, "" where a file is no picture (half-written, damaged)."""
        limit = min(_MOST, BUDGET // max(1, len(self._paths)))
        self.data = [_uri(path, limit) for path in self._paths]


def _uri(path: Path, limit: int) -> str:
    """The picture as a data URI of at most about `limit` bytes: the file itself if that fits, else a smaller JPEG."""
    try:
        with Image.open(path, formats=("PNG",)) as file:
            file.load()
            if path.stat().st_size <= limit and file.mode in ("L", "RGB", "RGBA", "P", "LA", "1"):
                return _encoded("png", path.read_bytes())
            picture = _eight_bits(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    longest = max(picture.size)
    while True:
        data = io.BytesIO()
        # 4:4:4: halving the colour would hide what these pictures are compared for.
        picture.save(data, "JPEG", quality=_QUALITY, subsampling=0)
        if data.tell() <= limit or longest <= 48:
            return _encoded("jpeg", data.getvalue())
        longest = max(48, min(int(longest * 0.9), int(longest * (limit / data.tell()) ** 0.5)))
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)


def _eight_bits(file: Image.Image) -> Image.Image:
    """Gray or RGB of 8 bits; 16-bit gray is scaled, transparency is shown on white."""
    if file.mode.startswith("I"):
        return file.convert("I").point(lambda value: value / 257).convert("L")
    if file.mode in ("L", "RGB"):
        return file.copy()
    over = file.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")


def _encoded(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def numbers(album: Album, paths: Mapping[str, Path | None]) -> dict[str, int]:
    """The album's number of each picture that there is, by name."""
    found = {name: album.add(path) for name, path in paths.items()}
    return {name: number for name, number in found.items() if number is not None}
