"""`tile=auto`: tiles where the memory is too small for the whole image."""

from __future__ import annotations

from dip.configuration.schema import Config
from dip.errors import OptionError
from dip.methods import Rival
from dip.options import log

SIDES = (1024, 512, 256)
"""Sides of a tile in pixels that are tried, the largest first: it has the smallest share of overlaps."""


def choose(config: Config, shape: tuple[int, int, int], factor: int = 1) -> int:
    """The largest side of a tile that the memory suffices for; 0: the whole image.

    Args:
        config: the options.
        shape: (C, H, W) of the image that the network makes.
        factor: sides of the image divided by those of the observation.
    """
    channels, height, width = shape
    if fits(config, shape):
        return 0
    for side in SIDES:
        if fits(config, (channels, min(height, side), min(width, side))):
            log.info("tile=auto: the memory is too small for %d x %d pixels at once; tile=%d", height, width, side)
            return max(side // factor, 1)
    legal = f"null or a smaller size; the memory is too small even for tiles of {SIDES[-1]} x {SIDES[-1]} pixels"
    if isinstance(config.method, Rival):
        raise OptionError("size", config.size, legal, "size=128")
    raise OptionError("net.channels", getattr(config.net, "channels", None), legal, "net.channels=32")


def fits(config: Config, shape: tuple[int, int, int]) -> bool:
    """Whether the memory of the device suffices for a fit of an image of `shape` (C, H, W)."""
    from dip.fitting.cost import estimate

    return estimate(config, shape).fits
