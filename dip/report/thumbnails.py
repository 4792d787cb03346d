"""Images for the page: each different file once, small enough for one HTML file."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

from PIL import Image

BUDGET = 9_000_000
"""Bytes of all images before base64, which adds a third."""
_LIMIT = 220_000
"""Bytes of one image."""


class Thumbnails:
    """Numbers image files; files with equal content, such as the reference of all runs, share one number."""

    def __init__(self) -> None:
        self._paths: dict[str, Path] = {}

    def add(self, path: Path | None) -> int | None:
        """The number of the image in file `path`; None if there is no such file."""
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path else None
        except OSError:
            digest = None
        if path is None or digest is None:
            return None
        self._paths.setdefault(digest, path)
        return list(self._paths).index(digest)

    def data(self) -> list[str]:
        """One data URI per number; "" for a file that is not an image (damaged or still being written)."""
        limit = min(_LIMIT, BUDGET // max(1, len(self._paths)))
        return [_uri(path, limit) for path in self._paths.values()]


def _uri(path: Path, limit: int) -> str:
    """The image as a data URI of about `limit` bytes at most: the file itself if it is small enough, else a JPEG."""
    try:
        with Image.open(path, formats=("PNG",)) as file:
            file.load()
            if path.stat().st_size <= limit and not file.mode.startswith("I"):
                return data_uri("png", path.read_bytes())
            image = _eight_bits(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    data = _jpeg(image)
    while len(data) > limit and max(image.size) > 48:
        longest = max(48, int(max(image.size) * min(0.9, (limit / len(data)) ** 0.5)))
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        data = _jpeg(image)
    return data_uri("jpeg", data)


def _jpeg(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=88, subsampling=0)  # 4:4:4, to keep colour noise visible
    return data.getvalue()


def _eight_bits(file: Image.Image) -> Image.Image:
    """8-bit gray or RGB: 16-bit gray is scaled, transparency is shown on white."""
    if file.mode.startswith("I"):
        return file.convert("I").point(lambda value: value / 257).convert("L")
    over = file.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")


def data_uri(kind: str, data: bytes) -> str:
    """`data`, an image of type `image/<kind>`, as a URI that stands for the file."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
