"""The hourglass network in three dimensions, for volumes whose slices are the channels of an image.

Parameters and function are those of `dip.nets.hourglass`, with three instead of two dimensions, except that an axis is
halved only while it is long enough, and that a level may have an odd size. So a volume is hardly ever padded: to the
next multiple of 32 a cube of 65 voxels a side would become three times as large.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets.convolution import number_format
from dip.nets.fast_hourglass import run_part
from dip.nets.hourglass import Architecture, activation
from dip.nets.last_layer import LastLayer

LAST = torch.channels_last_3d
"""Faster than the default layout on CPUs: of 32 x 48 x 48 x 48 numbers in bf16, the reflection takes 1.4 instead of 7
ms, trilinear upsampling 10 instead of 54 ms, and a convolution 62 instead of 63 ms, each with its backward pass."""

Size = tuple[int, ...]


class Architecture3d(Architecture, Protocol):
    """The options that the modules read; `dip.nets.hourglass_options.Hourglass3d` describes them."""

    slices: int

    def z_slices(self) -> int: ...

    def shortest(self) -> int: ...


class Hourglass3dModule(nn.Module):
    """(1, C_z * D', H', W') -> (1, C * D, H', W'), float32 under autocast, with D' = `net.z_slices()`.

    Both are channels x slices: the slices of the first channel come first. Values as in `dip.nets.hourglass`.

    Args:
        net: the options, bound to a number of slices D by `for_slices`.
        in_channels: C_z * D'.
        out_channels: C * D.
        skips: levels with a skip connection, from 1 (finest) to `net.depth`.
    """

    def __init__(self, net: Architecture3d, in_channels: int, out_channels: int, skips: Sequence[int]) -> None:
        super().__init__()
        self.slices, self.z_slices = net.slices, net.z_slices()
        self.shortest, self.checkpoint_activations = net.shortest(), net.checkpoint_activations
        channels, skip_channels = net.channels_per_level(), net.skip_channels_per_level()
        levels = []
        for i in range(net.depth):
            entering = in_channels // self.z_slices if i == 0 else channels[i - 1]
            below = channels[min(i + 1, net.depth - 1)]
            skip = skip_channels[i] if i + 1 in skips else 0
            levels.append(Level3d(net, entering, channels[i], skip, below))
        self.levels: list[Level3d] = nn.ModuleList(levels)  # type: ignore[assignment]
        self.head = nn.Conv3d(channels[0], out_channels // self.slices, 1)
        self.output = LastLayer(net.output)
        self.to(memory_format=LAST)  # type: ignore[call-overload]

    def forward(self, z: Tensor) -> Tensor:
        z = z.to(number_format(z))  # once, instead of once for each convolution of z
        x = z.reshape(1, -1, self.z_slices, *z.shape[2:]).contiguous(memory_format=LAST)  # (1, C_z, D', H', W')
        run, entering = functools.partial(run_part, self.checkpoint_activations), []
        for level in self.levels:  # encoder, finest level first
            entering.append(x)
            stride = tuple(2 if length >= 2 * self.shortest else 1 for length in x.shape[2:])
            x = run(level.encode, x, stride)  # (1, C, D / 2, H / 2, W / 2)
        for level, beside in zip(reversed(self.levels), reversed(entering), strict=True):  # decoder
            x = run(level.join, x, beside)  # (1, C, 2D, 2H, 2W)
            if level.mix is not None:
                x = run(level.mix, x)
        x = self.head(x)[:, :, : self.slices]  # (1, C, D, H', W')
        x = x.reshape(1, -1, *x.shape[3:])  # (1, C * D, H', W')
        image: Tensor = self.output(x)
        return image


class Level3d(nn.Module):
    """One level of the network; see `dip.nets.hourglass.Level` for the arguments."""

    def __init__(self, net: Architecture3d, in_channels: int, channels: int, skip_channels: int, below: int) -> None:
        super().__init__()
        self.upsampling = "trilinear" if net.upsampling == "bilinear" else "nearest"
        self.down = Block3d(net, in_channels, channels, net.kernel_down)
        self.refine = Block3d(net, channels, channels, net.kernel_down)
        self.skip = Block3d(net, in_channels, skip_channels, net.kernel_skip) if skip_channels else None
        self.norm = normalization(skip_channels + below)
        if net.padding == "reflection":
            # The convolution turns this shift into a constant, which the next normalisation subtracts.
            self.norm.register_parameter("bias", None)
        self.up = Block3d(net, skip_channels + below, channels, net.kernel_up)
        self.mix = Block3d(net, channels, channels, 1) if net.use_1x1 else None

    def encode(self, x: Tensor, stride: Size) -> Tensor:
        """(1, in_channels, D, H, W) -> (1, channels, D / stride, H / stride, W / stride), rounded up."""
        refined: Tensor = self.refine(self.down(x, stride))
        return refined

    def join(self, below: Tensor, beside: Tensor) -> Tensor:
        """The coarser level's output and what entered this level -> (1, channels, D, H, W), without `mix`."""
        x = below  # (1, below, D / 2, H / 2, W / 2)
        if below.shape[2:] != beside.shape[2:]:
            with torch.autocast(x.device.type, enabled=False):  # it may convert 16-bit numbers to float32 and back
                x = F.interpolate(x, size=beside.shape[2:], mode=self.upsampling)  # (1, below, D, H, W)
        if self.skip is not None:
            x = torch.cat([self.skip(beside), x], dim=1)  # (1, skip_channels + below, D, H, W)
        joined: Tensor = self.up(self.norm(x))
        return joined


class Block3d(nn.Module):
    """Convolution, normalisation, activation: (1, C_in, D, H, W) -> (1, C_out, D / stride, H / stride, W / stride)."""

    def __init__(self, net: Architecture3d, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.mode = "reflect" if net.padding == "reflection" else "constant"
        self.pixels = kernel // 2
        self.conv = nn.Conv3d(in_channels, out_channels, kernel, bias=False)
        self.norm = normalization(out_channels)
        self.activation = activation(net.activation)
        if isinstance(self.activation, (nn.LeakyReLU, nn.ReLU, nn.ELU)):
            self.activation.inplace = True  # their backward pass needs the result only

    def forward(self, x: Tensor, stride: Size = (1, 1, 1)) -> Tensor:
        if self.pixels:
            with torch.autocast(x.device.type, enabled=False):
                x = F.pad(x, [self.pixels] * 6, mode=self.mode)
        x = F.conv3d(x, self.conv.weight, None, stride)  # type: ignore[arg-type]
        activated: Tensor = self.activation(self.norm(x))
        return activated


def normalization(channels: int) -> nn.BatchNorm3d:
    """Batch normalisation with the statistics of its input; see `dip.nets.hourglass.normalization`."""
    return nn.BatchNorm3d(channels, eps=1e-5, track_running_stats=False)
