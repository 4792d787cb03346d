"""The options of the networks beside the hourglass. Importing this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dip.nets.net import Net, Size, Skips

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Pixels(Net):
    """No network: the image's pixels are the parameters, to measure what a network's prior contributes."""

    name: str = "pixels"

    ignores: ClassVar[tuple[str, ...]] = ("skips", "z", "perturbation")

    def build(self, in_channels: int, out_channels: int, skips: Skips, size: Size | None = None) -> nn.Module:
        """See `Net.build`; the image's values are not bounded."""
        from dip.nets.pixels import PixelsModule

        assert size is not None, "pixels need a size"
        return PixelsModule(out_channels, size)

    def padded(self, height: int, width: int) -> Size:
        """(height, width): any size is accepted."""
        return height, width
