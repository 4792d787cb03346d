"""U-Net: Ronneberger, Fischer, Brox 2015 (arXiv 1505.04597), section 2, as a prior.

In the form of the code of "Deep Image Prior" (models/unet.py, bilinear): 3 x 3 convolutions with padding, maximum
pooling, and bilinear upsampling followed by a 3 x 3 convolution instead of transposed convolutions. Unlike there, the
decoder is normalised too. Convolutions have no bias, because a normalisation follows.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets.convolution import convolve, number_format
from dip.nets.hourglass import normalization
from dip.nets.reflection import reflect
from dip.nets.upsampled import convolve_upsampled, scaled_parts


class UNetModule(nn.Module):
    """(1, in_channels, H, W) -> (1, out_channels, H, W), H and W multiples of 2**(levels - 1); see `dip.nets.UNet`."""

    def __init__(self, in_channels: int, out_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        entering = [in_channels, *channels[:-1]]
        levels = list(itertools.pairwise(channels))  # the finest first
        self.down: Sequence[nn.Module] = nn.ModuleList(  # type: ignore[assignment]
            double(before, width) for before, width in zip(entering, channels, strict=True)
        )
        self.enlarge: Sequence[nn.Module] = nn.ModuleList(  # type: ignore[assignment]
            Upsampled3x3(below, width) for width, below in levels
        )
        self.up: Sequence[nn.Module] = nn.ModuleList(  # type: ignore[assignment]
            double(2 * width, width) for width, _ in levels
        )
        self.head = nn.Conv2d(channels[0], out_channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        x, skipped = self.down[0](z), []
        for block in self.down[1:]:
            skipped.append(x)
            x = block(F.max_pool2d(x, 2))  # (1, C, H / 2, W / 2)
        for enlarge, block in zip(reversed(self.enlarge), reversed(self.up), strict=True):
            x = block(torch.cat([enlarge(x), skipped.pop()], dim=1))  # (1, C, 2H, 2W)
        image: Tensor = self.head(x)  # (1, out_channels, H, W)
        return image


class Conv3x3(nn.Conv2d):
    """A 3 x 3 convolution with reflection padding: (1, in_channels, H, W) -> (1, out_channels, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = False) -> None:
        super().__init__(in_channels, out_channels, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = reflect(x, 1)
        return convolve(x, self.weight) if self.bias is None else F.conv2d(x, self.weight, self.bias)


class Upsampled3x3(Conv3x3):
    """The same of the input upsampled bilinearly: (1, in_channels, H, W) -> (1, out_channels, 2H, 2W)."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(number_format(x))
        return convolve_upsampled(x, scaled_parts(self.weight, None, 0, x.dtype), bilinear=True)


def double(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3 x 3 convolutions, each followed by normalisation and ReLU."""
    return nn.Sequential(
        Conv3x3(in_channels, out_channels), normalization(out_channels), nn.ReLU(inplace=True),
        Conv3x3(out_channels, out_channels), normalization(out_channels), nn.ReLU(inplace=True),
    )  # fmt: skip
