"""The quality of a JPEG file, read from its quantization table without decoding the image."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

LUMINANCE_SUM = 3676
"""Sum of the 64 entries of the luminance table in ITU-T T.81, table K.1, which libjpeg uses at quality 50."""


def file_quality(path: Path) -> int | None:
    """The quality on libjpeg's scale, 1 to 100, whose luminance table is as coarse as that of the file.

    None if the file is not a JPEG, or cannot be read.
    """
    try:
        with Image.open(path, formats=["JPEG"]) as image:
            tables: dict[int, list[int]] = image.quantization  # type: ignore[attr-defined]
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    if not tables:
        return None
    scale = 100 * sum(tables[min(tables)]) / LUMINANCE_SUM  # in per cent of the table at quality 50
    quality = 5000 / scale if scale > 100 else (200 - scale) / 2
    return max(1, min(100, round(quality)))
