"""The options of the image that is restored, and of the tiles that it is cut into."""

import dataclasses
from typing import Any

from dip.errors import OptionError
from dip.nets import Net
from dip.options import Legal, Options, integer, interval, is_integer, option, reject, sides, text
from dip.samples import SAMPLES
from dip.sources import canonical
from dip.targets import Target


def _axes(value: Any) -> Any:
    if value is not None and "".join(sorted(canonical(str(value)))) not in ("HW", "CHW", "DHW", "CDHW"):
        raise ValueError
    return value


@dataclasses.dataclass
class ImageOptions(Options):
    """The first options of `dip.configuration.schema.Config`."""

    image: str = option(
        "astronaut",
        "the image: a file, or a sample of scikit-image by its name "
        f"({', '.join(sorted(SAMPLES))}); with -m also a folder or a pattern, one run per file",
        text("a path or a sample's name"),
        "photo.png",
    )
    reference: str | None = option(
        None,
        "a clean image to compute scores against; the fit does not use it",
        text("a path or null", none=True),
        "clean.png",
    )
    size: Any = option(
        None,
        "pixels: null keeps the image's size, N crops the central square and resizes it to N x N, [H,W] resizes",
        sides(),
        "256",
    )
    range: Any = option(
        None,
        "values of the image that become 0 and 1, the limits of the fit and the peak of the PSNR; results keep the units; "
        "null: 0 and the maximum of 8, 10, 12, 14 or 16 bits, or for floats that leave [0, 1] by more "
        "than noise their minimum and maximum",
        interval(),
        "[0,4095]",
    )
    axes: str | None = option(
        None,
        "order of the axes of an array (H or Y: rows, W or X: columns, C: channels, D or Z: slices of a volume) or of a TIFF "
        "file of several pages; null: that of the kind of file, else channels last, unless the shape suggests another "
        "order, which is logged",
        Legal("null, or in any order H or Y, W or X, and C, and D or Z, where the array has them", _axes),
        "CHW",
    )
    tile: Any = option(
        0,
        "fit a large image in overlapping tiles, each a run of its own, and blend them: side of a tile in pixels of the "
        "observation, or less if fewer pixels suffice; 0: the whole image at once; auto: tiles of at most 256 for noisy images "
        "above 320 x 320 pixels, and where the memory is too small for the whole image",
        "0, auto or an integer >= 2**(net.depth + 1), 64 by default",
        "512",
    )
    overlap: int | None = option(
        None,
        "least overlap of neighbouring tiles in pixels; null: a quarter of tile, at most 64, or more if the blur needs it",
        dataclasses.replace(integer(0, none=True), words="null or an integer from 0 to below half of tile"),
        "64",
    )

    def check_tile(self, target: Target, net: Net) -> None:
        """Raise OptionError unless `net` can fit tiles of the side `tile` and `target` can be cut."""
        self.tile = 0 if self.tile in (None, "none") or (self.tile == "auto" and not target.cut) else self.tile
        if self.tile and not target.cut:
            raise OptionError("tile", self.tile, f"0 for measurements (target={target.name})", "tile=0")
        if self.tile in ("auto", 0) and not isinstance(self.tile, bool):
            return
        if not is_integer(self.tile) or self.tile < 0:
            raise reject(self, "tile")
        factor: int = getattr(target, "factor", 1)  # the network makes the enlarged image
        smallest = -(-max(net.padded(1, 1)) // factor)
        if self.tile < smallest:
            legal = f"0, auto or an integer >= {smallest}, the smallest image that net={net.name} accepts"
            raise OptionError("tile", self.tile, legal, f"tile={max(512, smallest)}")
        if self.overlap is not None and 2 * self.overlap >= self.tile:
            legal = f"null or an integer from 0 to below half of tile, {(self.tile - 1) // 2}"
            raise OptionError("overlap", self.overlap, legal, f"overlap={self.tile // 8}")
