"""`tile=auto`: tiles where they are better than the whole image, or where the memory is too small for it."""

from dip.configuration.schema import Config
from dip.errors import OptionError
from dip.methods import Denoiser
from dip.options import log

SIDES: tuple[int, ...] = (1024, 512, 256)
"""Sides of a tile in pixels that are tried, the largest first: it has the smallest share of overlaps."""

LARGE = 320**2
"""Pixels of a noisy image above which it is fitted in the smallest tiles. A network of fixed size needs more steps for more
pixels, and details remain blurred. Two networks of 32 channels, noise of a camera: at 384 x 384 and 384 x 320 pixels tiles
are 0.3 to 0.95 dB better than the whole, at 256 x 256 pixels 0.0 and 0.4 dB worse (sweeps/results/tiles).
So they are small on a GPU too, where larger ones would take less time: 512 x 512 pixels are more than these whole images."""


def choose(config: Config, shape: tuple[int, int, int], here: str | None = None) -> int:
    """The side of a tile in pixels of the restored image; 0: the whole image.

    Args:
        config: the options.
        shape: (C, H, W) of the image that the network makes.
        here: what works in this process alone, such as on_record, so that the image is fitted at once; None: nothing.
    """
    channels, height, width = shape
    sides = SIDES
    if not isinstance(config.method, Denoiser) and config.target.task == "denoising" and height * width > LARGE:
        sides = SIDES[-1:]
        reason = "more details are restored in tiles"
    elif not fits(config, shape):
        reason = "the memory is too small for the whole image"
    else:
        return 0
    if here:
        log.info(
            "tile=auto: %d x %d pixels at once, without tiles, whose processes cannot use %s=", height, width, here
        )
        return 0
    for side in sides:
        if fits(config, (channels, min(height, side), min(width, side))):
            log.info("tile=auto: %d x %d pixels in tiles of at most %d, since %s", height, width, side, reason)
            return side
    legal = f"null or a smaller size; the memory is too small even for tiles of {SIDES[-1]} x {SIDES[-1]} pixels"
    if isinstance(config.method, Denoiser):
        raise OptionError("size", config.size, legal, "size=128")
    raise OptionError("net.channels", getattr(config.net, "channels", None), legal, "net.channels=32")


def fits(config: Config, shape: tuple[int, int, int]) -> bool:
    """Whether the memory of the device suffices for a fit of an image of `shape` (C, H, W)."""
    from dip.fitting.cost import estimate

    return estimate(config, shape).fits
