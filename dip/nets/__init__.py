"""The networks: each is a dataclass of its options that builds the PyTorch module.

Importing this package does not import torch, so options can be listed and checked at once; `build` imports it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dip.errors import OptionError
from dip.options import Options, choice, flag, integer, is_integer, option, reject

if TYPE_CHECKING:
    from torch import nn

UPSAMPLINGS = ("bilinear", "nearest")
PADDINGS = ("reflection", "zeros")
ACTIVATIONS = ("leaky_relu", "relu", "elu", "swish")
OUTPUTS = ("sigmoid", "linear", "softplus")

_PER_LEVEL = "an integer >= 1 or a list of net.depth such integers"
_KERNEL = dataclasses.replace(integer(1, 15), words="an odd integer from 1 to 15")

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
        """Build the module, (1, in_channels, H, W) -> (1, out_channels, H, W), from z to the image.

        The weights are drawn from torch's global generator. Raises OptionError where `ordered` does.

        Args:
            in_channels: channels of z.
            out_channels: channels of the image.
            skips: levels with a skip connection.
            size: (H, W), a size that `padded` returns; needed only by networks that work at one size.
        """
        raise NotImplementedError

    def padded(self, height: int, width: int) -> Size:
        """The smallest size of z in pixels that the network accepts, at least (height, width)."""
        raise NotImplementedError

    def ordered(self, skips: Skips) -> list[int]:
        """`skips` from the finest level to the coarsest. Raises OptionError unless they are different legal levels."""
        return sorted(skips)


@dataclass
class Hourglass(Net):
    """The encoder-decoder with skip connections of Ulyanov et al., Deep Image Prior (arXiv 1711.10925).

    Levels count from 1, the finest (the resolution of the image), to `depth`, the coarsest.
    """

    name: str = "hourglass"
    depth: int = option(5, "how many times the encoder halves the resolution", integer(1, 10), "5")
    channels: Any = option(
        128,
        "feature maps of each level, in encoder and decoder: one number for all, or one per level from the finest",
        _PER_LEVEL,
        "[16,32,64,128,128]",
    )
    skip_channels: Any = option(
        4,
        "feature maps of each skip connection: one number for all, or one per level from the finest (values of "
        "levels that are not in `skips` have no effect)",
        _PER_LEVEL,
        "4",
    )
    kernel_down: int = option(3, "kernel size of the encoder's convolutions, in pixels", _KERNEL, "3")
    kernel_up: int = option(3, "kernel size of the decoder's convolutions, in pixels", _KERNEL, "3")
    kernel_skip: int = option(1, "kernel size of the skip connections, in pixels", _KERNEL, "1")
    upsampling: str = option("bilinear", "how the decoder doubles the resolution", choice(UPSAMPLINGS), "bilinear")
    padding: str = option("reflection", "padding of the convolutions", choice(PADDINGS), "reflection")
    activation: str = option(
        "leaky_relu",
        "activation after each normalisation; leaky_relu has slope 0.2 below zero",
        choice(ACTIVATIONS),
        "leaky_relu",
    )
    use_1x1: bool = option(True, "follow each convolution of the decoder by a 1 x 1 convolution", flag(), "true")
    output: str | None = option(
        None,
        "function of the last layer: sigmoid (values in [0, 1]), linear (any) or softplus (positive); null: sigmoid, or "
        "linear where the image's values are not bounded",
        choice(OUTPUTS, none=True),
        "softplus",
    )
    checkpoint_activations: bool = option(
        False,
        "keep only the inputs of each half of a level, recompute the rest in the backward pass, and return freed "
        "memory to the system: 2.3 instead of 6.3 kB per pixel (5 x 128 channels, bf16), 1.7 x the time, same result",
        flag(),
        "true",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("channels", "skip_channels"):
            per_level = _per_level(getattr(self, name), self.depth)
            if len(per_level) != self.depth or not all(is_integer(n) and n >= 1 for n in per_level):
                raise reject(self, name)
        for name in ("kernel_down", "kernel_up", "kernel_skip"):
            if getattr(self, name) % 2 == 0:
                raise reject(self, name)

    def fitting(self, bounded: bool) -> Hourglass:
        """See `Net.fitting`."""
        return (
            self
            if bounded or self.output is not None
            else dataclasses.replace(self, output="linear").for_slices(self.slices)
        )

    def build(self, in_channels: int, out_channels: int, skips: Skips, size: Size | None = None) -> nn.Module:
        """Build the fast network of `dip.nets.fast_hourglass`, which computes what `dip.nets.hourglass` defines. See `Net.build`.

        By default the image's values lie in [0, 1]. With default options, 32 input channels and five skips the network has
        2,214,591 parameters. The paper's network has 2,217,831: it also has 2,580 biases of convolutions and 660 of the
        normalisations of concatenations, which have no effect because a normalisation follows.
        """
        from dip.nets.fast_hourglass import FastHourglass

        return FastHourglass(self, in_channels, out_channels, self.ordered(skips))

    def padded(self, height: int, width: int) -> Size:
        """The next multiples of 2**depth with enough pixels at each level for reflection padding."""
        step = 2**self.depth
        # Reflection by p pixels needs p + 1 pixels. kernel_down works at the coarsest level, kernel_up and kernel_skip
        # one level above it at least. A normalisation needs two pixels.
        down, finer = self.kernel_down // 2 + 1, (max(self.kernel_up, self.kernel_skip) // 2 + 2) // 2
        coarsest = max(2, down, finer)
        return step * max(coarsest, -(-height // step)), step * max(coarsest, -(-width // step))

    def ordered(self, skips: Skips) -> list[int]:
        """See `Net.ordered`."""
        listed = isinstance(skips, Sequence) and not isinstance(skips, str)
        legal_levels = listed and all(is_integer(level) and 1 <= level <= self.depth for level in skips)
        if not legal_levels or len(set(skips)) < len(skips):
            legal = f"a list of different levels from 1 (finest) to {self.depth} (net.depth), or []"
            raise OptionError("skips", list(skips) if listed else skips, legal, f"skips=[{max(self.depth - 1, 1)}]")
        return sorted(skips)

    def channels_per_level(self) -> list[int]:
        """Feature maps of each level, from the finest."""
        return _per_level(self.channels, self.depth)

    def skip_channels_per_level(self) -> list[int]:
        """Feature maps of each level's skip connection, from the finest, also of levels without one."""
        return _per_level(self.skip_channels, self.depth)


@dataclass
class Hourglass3d(Hourglass):
    """The hourglass in three dimensions. The channels of the image are slices, or channels x slices.

    An axis is halved only while it keeps two voxels or more. `bilinear` stands for trilinear upsampling.
    """

    name: str = "hourglass3d"
    channels: Any = option(
        32,
        "feature maps of each level, in encoder and decoder: one number for all, or one per level from the finest",
        _PER_LEVEL,
        "16",
    )

    volumetric = True

    def build(self, in_channels: int, out_channels: int, skips: Skips, size: Size | None = None) -> nn.Module:
        """See `Net.build`. The channels are those of z and of the image times their slices."""
        from dip.nets.hourglass3d import Hourglass3dModule

        for channels, slices in ((in_channels, self.z_slices()), (out_channels, self.slices)):
            if channels % slices:
                legal = f"hourglass for {channels} channels, which are not a multiple of {slices} slices"
                raise OptionError("net", self.name, legal, "net=hourglass")
        return Hourglass3dModule(self, in_channels, out_channels, self.ordered(skips))

    def padded(self, height: int, width: int) -> Size:
        """(height, width), but at least `shortest` each: levels may have odd sizes."""
        return max(height, self.shortest()), max(width, self.shortest())

    def z_slices(self) -> int:
        """See `Net.z_slices`."""
        return max(self.slices, self.shortest())

    def shortest(self) -> int:
        """The shortest length of an axis at any level, in voxels: reflection by p voxels needs p + 1."""
        return max(2, max(self.kernel_down, self.kernel_up, self.kernel_skip) // 2 + 1)


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


NETS: dict[str, type[Net]] = {"hourglass": Hourglass, "hourglass3d": Hourglass3d, "pixels": Pixels}


def _per_level(value: Any, depth: int) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * depth
