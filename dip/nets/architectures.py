"""The networks: the hourglass, and other priors for comparison. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dip.errors import OptionError
from dip.nets.hourglass_options import FEATURE_MAPS, PER_LEVEL, HourglassOptions
from dip.nets.net import Net, Network, Size, Skips
from dip.options import choice, integer, integers, is_integer, number, option, reject

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Hourglass(HourglassOptions):
    """The encoder-decoder with skip connections of Ulyanov et al., Deep Image Prior (arXiv 1711.10925)."""

    name: str = "hourglass"

    def build(self, in_channels: int, out_channels: int, skips: Skips, size: Size | None = None) -> nn.Module:
        """Build `dip.nets.fast_hourglass`, which computes what `dip.nets.hourglass` defines.

        By default the image's values lie in [0, 1]. With default options, 32 input channels and five skips the network
        has 2,214,591 parameters. The paper's network has 2,217,831: it also has 2,580 biases of convolutions and 660 of
        the normalisations of concatenations, which have no effect because a normalisation follows.
        """
        from dip.nets.fast_hourglass import FastHourglass

        return FastHourglass(self, in_channels, out_channels, self.ordered(skips))


@dataclass
class Hourglass3d(HourglassOptions):
    """The hourglass in three dimensions. The channels of the image are slices, or channels x slices.

    An axis is halved only while it keeps two voxels or more. `bilinear` stands for trilinear upsampling.
    """

    name: str = "hourglass3d"
    channels: Any = option(32, FEATURE_MAPS, PER_LEVEL, "16")

    volumetric = True

    def build(self, in_channels: int, out_channels: int, skips: Skips, size: Size | None = None) -> nn.Module:
        """See `Net.build`. The channels are those of z and of the image times their slices."""
        from dip.nets.hourglass3d import Hourglass3dModule

        for channels, slices in ((in_channels, self.z_slices()), (out_channels, self.slices)):
            if channels % slices:
                legal = f"hourglass for {channels} channels, which are not a multiple of {slices} slices"
                raise OptionError("net", self.name, legal, "net=hourglass")
        return Hourglass3dModule(self, in_channels, out_channels, self.ordered(skips))

    def sides(self) -> tuple[int, int]:
        """Levels may have odd sizes. Reflection by p voxels needs p + 1 at each, and a normalisation several."""
        return 1, max(2, max(self.kernel_down, self.kernel_up, self.kernel_skip) // 2 + 1)

    def z_slices(self) -> int:
        return max(self.slices, self.sides()[1])


@dataclass
class Pixels(Net):
    """No network: the image's pixels are the parameters, to measure what a network's prior contributes."""

    name: str = "pixels"

    ignores = ("skips", "z", "perturbation")

    def build(self, in_channels: int, out_channels: int, skips: Skips, size: Size | None = None) -> nn.Module:
        """See `Net.build`; the image's values are not bounded."""
        from dip.nets.pixels import PixelsModule

        assert size is not None, "pixels need a size"
        return PixelsModule(out_channels, size)


@dataclass
class UNet(Network):
    """U-Net (Ronneberger et al. 2015, arXiv 1505.04597): all feature maps of the encoder are concatenated."""

    name: str = "unet"
    channels: Any = option(
        [16, 32, 64, 128, 256],
        "feature maps of each level, from the finest; each level has half the resolution of the one before",
        integers(2, 10),
        "[32,64,128]",
    )

    def module(self, in_channels: int, out_channels: int, size: Size) -> nn.Module:
        from dip.nets.unet import UNetModule

        return UNetModule(in_channels, out_channels, self.channels)

    def sides(self) -> tuple[int, int]:
        """Two pixels at the coarsest level, which reflection needs."""
        return 2 ** (len(self.channels) - 1), 2


@dataclass
class ResNet(Network):
    """Residual blocks (He et al. 2016, arXiv 1512.03385), all at the resolution of the image."""

    name: str = "resnet"
    channels: int = option(32, "feature maps", integer(1), "64")
    blocks: int = option(8, "residual blocks of two convolutions", integer(1), "4")

    def module(self, in_channels: int, out_channels: int, size: Size) -> nn.Module:
        from dip.nets.resnet import ResNetModule

        return ResNetModule(in_channels, out_channels, self.channels, self.blocks)

    def sides(self) -> tuple[int, int]:
        """Two pixels, which reflection needs."""
        return 1, 2


@dataclass
class Decoder(Network):
    """Deep Decoder (Heckel and Hand 2019, arXiv 1810.03982): 1 x 1 convolutions and upsampling of a small z."""

    name: str = "decoder"
    channels: int = option(128, "feature maps of every layer, k in the paper", integer(1), "64")
    layers: int = option(
        6, "layers, d in the paper; all but the last double the resolution, z has 1 / 2**(d - 1)", integer(2, 10), "5"
    )

    def module(self, in_channels: int, out_channels: int, size: Size) -> nn.Module:
        from dip.nets.decoders import DecoderModule

        return DecoderModule(in_channels, out_channels, self.channels, self.layers)

    def sides(self) -> tuple[int, int]:
        """Two pixels in z, since a normalisation needs several."""
        return 2 ** (self.layers - 1), 2

    def input_size(self, size: Size) -> Size:
        step, _ = self.sides()
        return size[0] // step, size[1] // step


@dataclass
class ConvDecoder(Network):
    """ConvDecoder (Darestani and Heckel 2021, arXiv 2007.02471): upsampling and 3 x 3 convolutions of a small z."""

    name: str = "convdecoder"
    channels: int = option(64, "feature maps of every layer", integer(1), "160")
    layers: int = option(
        6, "3 x 3 convolutions; all but the last enlarge their input by the same factor", integer(2, 20), "8"
    )
    coarsest: int = option(8, "shorter side of z in pixels", integer(2), "16")

    def module(self, in_channels: int, out_channels: int, size: Size) -> nn.Module:
        from dip.nets.decoders import ConvDecoderModule

        entering = self.input_size(size)
        steps = [step / (self.layers - 1) for step in range(1, self.layers)]
        height, width = (
            [round(first * (last / first) ** step) for step in steps]
            for first, last in zip(entering, size, strict=True)
        )
        return ConvDecoderModule(in_channels, out_channels, self.channels, list(zip(height, width, strict=True)))

    def sides(self) -> tuple[int, int]:
        return 1, self.coarsest

    def input_size(self, size: Size) -> Size:
        scale = self.coarsest / min(size)
        return round(size[0] * scale), round(size[1] * scale)


@dataclass
class MLP(Network):
    """A perceptron of the coordinates: Fourier features (arXiv 2006.10739) or sines (SIREN, arXiv 2006.09661)."""

    name: str = "mlp"
    encoding: str = option(
        "fourier",
        "Fourier features and ReLU, or SIREN, which has sines instead of both",
        choice(("fourier", "siren")),
        "siren",
    )
    channels: int = option(256, "hidden units of each layer", integer(1), "128")
    layers: int = option(4, "hidden layers", integer(1, 20), "3")
    features: int = option(256, "frequencies of the Fourier features; no effect with siren", integer(1), "128")
    scale: float | None = option(
        None,
        "how fine the details are: standard deviation of the frequencies in periods per longer side (fourier), or omega_0 "
        "of the first layer (siren); null: 10 or 30, as in the papers",
        number("> 0", none=True),
        "5",
    )

    ignores = ("skips", "z", "perturbation")

    def unused(self) -> dict[str, str]:
        """Options without effect here: field name -> the setting that makes it so."""
        return {"features": "net.encoding=siren"} if self.encoding == "siren" else {}

    def module(self, in_channels: int, out_channels: int, size: Size) -> nn.Module:
        from dip.nets.coordinates import CoordinatesModule

        fourier = self.encoding == "fourier"
        scale = self.scale or (10.0 if fourier else 30.0)
        return CoordinatesModule(out_channels, self.channels, self.layers, self.features if fourier else 0, scale, size)


@dataclass
class Swin(Network):
    """A small Swin transformer (Liu et al. 2021, arXiv 2103.14030): attention in shifted windows of 8 x 8 tokens."""

    name: str = "swin"
    channels: int = option(60, "numbers per token", "an integer >= 1 that is a multiple of net.heads", "48")
    blocks: int = option(4, "attention blocks", integer(1), "6")
    heads: int = option(4, "heads of each attention", integer(1), "6")
    patch: int = option(2, "side of a token in pixels", integer(1, 16), "4")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_integer(self.channels) or self.channels < 1 or self.channels % self.heads:
            raise reject(self, "channels")

    def module(self, in_channels: int, out_channels: int, size: Size) -> nn.Module:
        from dip.nets.swin import SwinModule

        return SwinModule(in_channels, out_channels, self.channels, self.blocks, self.heads, self.patch, size)

    def sides(self) -> tuple[int, int]:
        """Whole windows of 8 tokens."""
        return 8 * self.patch, 1
