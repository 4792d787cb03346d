"""A residual network: He et al. 2016 (arXiv 1512.03385), section 3.2, at the resolution of the image throughout.

In the form of the code of "Deep Image Prior" (models/resnet.py), which compares it in inpainting: without coarser
levels the prior relates pixels only within the reach of its convolutions. Padding is by reflection everywhere, and a
convolution before a normalisation has no bias.
"""

from torch import Tensor, nn

from dip.nets.hourglass import normalization
from dip.nets.unet import Conv3x3


class ResNetModule(nn.Module):
    """(1, in_channels, H, W) -> (1, out_channels, H, W), H and W at least 2; see `dip.nets.ResNet`."""

    def __init__(self, in_channels: int, out_channels: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Sequential(Conv3x3(in_channels, channels, bias=True), nn.LeakyReLU(0.2, inplace=True))
        self.blocks = nn.Sequential(*(Residual(channels) for _ in range(blocks)))
        self.last = nn.Sequential(Conv3x3(channels, channels), normalization(channels))
        self.head = Conv3x3(channels, out_channels, bias=True)

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.head(self.last(self.blocks(self.first(z))))
        return image


class Residual(nn.Module):
    """x + norm(conv(act(norm(conv(x))))): (1, C, H, W) -> (1, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Conv3x3(channels, channels), normalization(channels), nn.LeakyReLU(0.2, inplace=True),
            Conv3x3(channels, channels), normalization(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.body(x)
        return x + changed
