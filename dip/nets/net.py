"""The base classes of the networks' options. Importing this module does not import torch; `build` imports it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from dip.options import Options, choice, option

if TYPE_CHECKING:
    from torch import nn

Skips = Sequence[int]
Size = tuple[int, int]


@dataclass
class Net(Options):
    """The network that maps the input z to the image: the prior."""

    name: str = "net"

    prefix = "net."
    ignores: ClassVar[tuple[str, ...]] = ()
    """Options of `dip.configuration.schema.Config` that have no effect with this network."""
    volumetric: ClassVar[bool] = False
    """Whether the channels of the image are slices of a volume, or channels x slices."""
    slices = 1
    """Slices of the image, set by `for_slices`; not an option."""

    def for_slices(self, slices: int) -> Self:
        """This network for images of `slices` slices; for networks of images the same object."""
        if not self.volumetric:
            return self
        bound = copy.copy(self)
        bound.slices = slices
        return bound

    def z_slices(self) -> int:
        """Slices of z, at least `slices`. `dip.z.Z.planes` of this number is the number of channels of z."""
        return 1

    def fitting(self, bounded: bool) -> Net:
        """The options for an image whose values are limited to [0, 1] (`bounded`), or can be any real numbers."""
        return self

    def build(self, in_channels: int, out_channels: int, skips: Skips, size: Size | None = None) -> nn.Module:
        """Build the module, (1, in_channels, *input_size(size)) -> (1, out_channels, *size), from z to the image.

        The weights are drawn from torch's global generator. Raises OptionError where `ordered` does.

        Args:
            in_channels: channels of z.
            out_channels: channels of the image.
            skips: levels with a skip connection.
            size: (H, W), a size that `padded` returns; needed only by networks that work at one size.
        """
        raise NotImplementedError

    def padded(self, height: int, width: int) -> Size:
        """The smallest size in pixels of an image that the network makes, at least (height, width)."""
        step, least = self.sides()
        return step * max(least, -(-height // step)), step * max(least, -(-width // step))

    def sides(self) -> tuple[int, int]:
        """(step, least): sides of images that the network makes are multiples of `step`, from `least` * `step` on."""
        return 1, 1

    def input_size(self, size: Size) -> Size:
        """(H, W) of z for an image of `size`, which `padded` returns; smaller where the network only enlarges."""
        return size

    def ordered(self, skips: Skips) -> list[int]:
        """`skips` from the finest level to the coarsest. Raises OptionError unless they are different legal levels."""
        return sorted(skips)


@dataclass
class Network(Net):
    """A network whose last layer has the function `output`, such as the sigmoid for values in [0, 1]."""

    output: str | None = option(
        None,
        "function of the last layer: sigmoid (values in [0, 1]), linear (any) or softplus (positive); null: sigmoid, or "
        "linear where the image's values are not bounded",
        choice(("sigmoid", "linear", "softplus"), none=True),
        "softplus",
    )

    ignores: ClassVar[tuple[str, ...]] = ("skips",)

    def fitting(self, bounded: bool) -> Self:
        free = not bounded and self.output is None
        return dataclasses.replace(self, output="linear").for_slices(self.slices) if free else self

    def module(self, in_channels: int, out_channels: int, size: Size) -> nn.Module:
        """The module without the function of its last layer; arguments as in `Net.build`."""
        raise NotImplementedError

    def build(self, in_channels: int, out_channels: int, skips: Skips, size: Size | None = None) -> nn.Module:
        from torch import nn

        from dip.nets.last_layer import LastLayer

        assert size is not None, f"net={self.name} needs a size"
        return nn.Sequential(self.module(in_channels, out_channels, size), LastLayer(self.output))
