"""The hourglass network in three dimensions, for volumes whose slices are the channels of an image.

Parameters and function are those of `dip.nets.hourglass`, with three instead of two dimensions, except that an axis is
halved only while it is long enough, and that a level may have an odd size. So a volume is hardly ever padded: to the
next multiple of 32 a cube of 65 voxels a side would become three times as large.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets.hourglass import Block, HourglassModule, Level
from dip.nets.hourglass_options import HourglassOptions


class Block3d(Block):
    """(1, C_in, D, H, W) -> (1, C_out, D / stride, H / stride, W / stride), rounded up; a short axis has no stride."""

    convolution, batch_norm, inplace = nn.Conv3d, nn.BatchNorm3d, True

    def __init__(
        self, net: HourglassOptions, in_channels: int, out_channels: int, kernel: int, stride: int = 1
    ) -> None:
        super().__init__(net, in_channels, out_channels, kernel, stride)
        self.mode = "reflect" if net.padding == "reflection" else "constant"
        self.pixels, self.stride, self.halved_from = kernel // 2, stride, 2 * net.sides()[1]

    def forward(self, x: Tensor) -> Tensor:
        strides = [self.stride if length >= self.halved_from else 1 for length in x.shape[2:]]
        if self.pixels:
            with torch.autocast(x.device.type, enabled=False):  # it may convert 16-bit numbers to float32 and back
                x = F.pad(x, [self.pixels] * 6, mode=self.mode)
        x = F.conv3d(x, self.conv.weight, None, strides)
        activated: Tensor = self.activation(self.norm(x))
        return activated


class Level3d(Level):
    """One level of the network."""

    block = Block3d

    def enlarged(self, below: Tensor, beside: Tensor) -> Tensor:
        size = beside.shape[2:]
        if below.shape[2:] == size:
            return below
        with torch.autocast(below.device.type, enabled=False):
            return F.interpolate(below, size=size, mode="trilinear" if self.upsampling == "bilinear" else "nearest")


class Hourglass3dModule(HourglassModule):
    """(1, C_z * D', H', W') -> (1, C * D, H', W'), float32 under autocast, with D' = `net.z_slices()`.

    Both are channels x slices: the slices of the first channel come first. Values as in `dip.nets.hourglass`.

    Args:
        net: the options, bound to a number of slices D by `for_slices`.
        in_channels: C_z * D'.
        out_channels: C * D.
        skips: levels with a skip connection, from 1 (finest) to `net.depth`.
    """

    level = Level3d
    layout = torch.channels_last_3d
    """Faster than the default layout on CPUs: of 32 x 48 x 48 x 48 numbers in bf16, the reflection takes 1.4 instead of 7
    ms, trilinear upsampling 10 instead of 54 ms, and a convolution 62 instead of 63 ms, each with its backward pass."""

    def __init__(self, net: HourglassOptions, in_channels: int, out_channels: int, skips: Sequence[int]) -> None:
        self.slices, self.z_slices = net.slices, net.z_slices()
        super().__init__(net, in_channels // self.z_slices, out_channels // self.slices, skips)

    def forward(self, z: Tensor) -> Tensor:
        volume = super().forward(z.reshape(1, -1, self.z_slices, *z.shape[2:]))  # (1, C, D', H', W')
        return volume[:, :, : self.slices].reshape(1, -1, *z.shape[2:])  # (1, C * D, H', W')
