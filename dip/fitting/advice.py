"""Advice on a photograph, logged once at the start of a run."""

from __future__ import annotations

import logging

from dip.configuration.schema import Config
from dip.images import Picture
from dip.images.jpeg_quality import file_quality

STRONG = 50
"""Quality of a JPEG below which its artefacts, and not noise, are what is visible."""

log = logging.getLogger("dip")


def advise(config: Config, picture: Picture) -> None:
    """Warn if `target=degraded` is used on a strongly compressed JPEG file."""
    if config.target.name != "degraded" or config.size is not None or picture.path is None:
        return
    quality = file_quality(picture.path)
    if quality is not None and quality < STRONG:
        log.warning(
            "image=%s: a JPEG of quality %d, whose artefacts are not noise; target=jpeg removes them, for example "
            "python train.py image=%s target=jpeg", config.image, quality, config.image,
        )  # fmt: skip
