"""Images for the page: each different file once, small enough for one HTML file."""

import base64
import hashlib
import io
from pathlib import Path

from PIL import Image

from dip.report.figures.strips import read_picture

BUDGET = 9_000_000
"""Bytes of all images before base64, which adds a third."""
_LIMIT = 220_000
"""Bytes of one image."""


class Thumbnails:
    """Numbers image files; files with equal content, such as the reference of all runs, share one number."""

    def __init__(self) -> None:
        self._paths: dict[bytes, Path] = {}

    def add(self, path: Path | None) -> int | None:
        """The number of the image in file `path`; None if there is no such file."""
        if path is None:
            return None
        try:
            key = hashlib.sha256(path.read_bytes()).digest()
        except OSError:
            return None
        self._paths.setdefault(key, path)
        return list(self._paths).index(key)

    def data(self) -> list[str]:
        """One data URI per number; "" for a file that is not an image (damaged or still being written)."""
        limit = min(_LIMIT, BUDGET // max(1, len(self._paths)))
        return [_uri(path, limit) for path in self._paths.values()]


def _uri(path: Path, limit: int) -> str:
    """The image as a data URI of about `limit` bytes at most: the file itself if it is small enough, else a JPEG."""
    try:
        image, data = read_picture(path), path.read_bytes()
    except OSError:
        return ""
    if len(data) <= limit:
        return data_uri("png", data)
    while True:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=88, subsampling=0)  # 4:4:4, to keep colour noise visible
        if buffer.tell() <= limit or max(image.size) <= 48:
            return data_uri("jpeg", buffer.getvalue())
        longest = max(48, int(max(image.size) * min(0.9, (limit / buffer.tell()) ** 0.5)))
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)


def data_uri(kind: str, data: bytes) -> str:
    """`data`, an image of type `image/<kind>`, as a URI that stands for the file."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
