"""The encoder-decoder with skip connections of "Deep Image Prior" (Ulyanov et al., arXiv 1711.10925), in plain PyTorch.

This file defines the network: its parameters, their names and initial values, and the function that it computes. Runs
use `dip.nets.fast_hourglass.FastHourglass`, a subclass with the same parameters that computes the same function faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets.last_layer import LastLayer


class Architecture(Protocol):
    """The options of the network that its modules read; `dip.nets.hourglass_options.Hourglass` describes them."""

    depth: int
    kernel_down: int
    kernel_up: int
    kernel_skip: int
    upsampling: str
    padding: str
    activation: str
    use_1x1: bool
    output: str | None
    checkpoint_activations: bool

    def channels_per_level(self) -> list[int]: ...

    def skip_channels_per_level(self) -> list[int]: ...


class HourglassModule(nn.Module):
    """(1, in_channels, H, W) -> (1, out_channels, H, W); H and W are multiples of 2**depth.

    The values lie in [0, 1] unless `net.output` says otherwise.

    Args:
        net: the options.
        in_channels: channels of z.
        out_channels: channels of the image.
        skips: levels with a skip connection, from 1 (finest) to `net.depth`.
    """

    def __init__(self, net: Architecture, in_channels: int, out_channels: int, skips: Sequence[int]) -> None:
        super().__init__()
        channels, skip_channels = net.channels_per_level(), net.skip_channels_per_level()
        levels = []
        for i in range(net.depth):
            entering = in_channels if i == 0 else channels[i - 1]
            below = channels[min(i + 1, net.depth - 1)]
            skip = skip_channels[i] if i + 1 in skips else 0
            levels.append(Level(net, entering, channels[i], skip, below))
        self.levels: list[Level] = nn.ModuleList(levels)  # type: ignore[assignment]
        self.head = nn.Conv2d(channels[0], out_channels, 1)
        self.output = LastLayer(net.output)

    def forward(self, z: Tensor) -> Tensor:
        x = z  # (1, in_channels, H, W)
        entering = []
        for level in self.levels:  # encoder, finest level first
            entering.append(x)
            x = level.encode(x)  # (1, C, H / 2, W / 2)
        for level, beside in zip(reversed(self.levels), reversed(entering), strict=True):  # decoder
            x = level.decode(x, beside)  # (1, C, 2H, 2W)
        image: Tensor = self.output(self.head(x))  # (1, out_channels, H, W)
        return image


class Level(nn.Module):
    """One level of the network: two encoder blocks, the skip connection, and one or two decoder blocks.

    Args:
        net: the options.
        in_channels: feature maps that enter the level.
        channels: feature maps of the level.
        skip_channels: feature maps of its skip connection; 0 for none.
        below: feature maps that the next coarser level returns.
    """

    def __init__(self, net: Architecture, in_channels: int, channels: int, skip_channels: int, below: int) -> None:
        super().__init__()
        self.upsampling = net.upsampling
        self.down = Block(net, in_channels, channels, net.kernel_down, stride=2)
        self.refine = Block(net, channels, channels, net.kernel_down)
        self.skip = Block(net, in_channels, skip_channels, net.kernel_skip) if skip_channels else None
        self.norm = normalization(skip_channels + below)
        if net.padding == "reflection":
            # The convolution turns this shift into a constant, which the next normalisation subtracts.
            self.norm.register_parameter("bias", None)
        self.up = Block(net, skip_channels + below, channels, net.kernel_up)
        self.mix = Block(net, channels, channels, 1) if net.use_1x1 else None

    def encode(self, x: Tensor) -> Tensor:
        """(1, in_channels, H, W) -> (1, channels, H / 2, W / 2)."""
        refined: Tensor = self.refine(self.down(x))
        return refined

    def decode(self, below: Tensor, beside: Tensor) -> Tensor:
        """The coarser level's output and what entered this level -> (1, channels, H, W)."""
        x: Tensor = F.interpolate(below, scale_factor=2, mode=self.upsampling)  # (1, below, H, W)
        if self.skip is not None:
            x = torch.cat([self.skip(beside), x], dim=1)  # (1, skip_channels + below, H, W)
        x = self.up(self.norm(x))  # (1, channels, H, W)
        if self.mix is not None:
            x = self.mix(x)
        return x


class Block(nn.Module):
    """Convolution, batch normalisation, activation: (1, C_in, H, W) -> (1, C_out, H / stride, W / stride).

    The convolution has no bias, because the normalisation subtracts every constant.
    """

    def __init__(self, net: Architecture, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False,
            padding_mode="reflect" if net.padding == "reflection" else "zeros",
        )  # fmt: skip
        self.norm = normalization(out_channels)
        self.activation = activation(net.activation)

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.activation(self.norm(self.conv(x)))
        return activated


def normalization(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation that always uses the statistics of its input: there is one image, and no evaluation mode."""
    return nn.BatchNorm2d(channels, eps=1e-5, track_running_stats=False)


def activation(name: str) -> nn.Module:
    """The activation called `name`, one of `dip.nets.hourglass_options.ACTIVATIONS`."""
    known = {"leaky_relu": nn.LeakyReLU(0.2), "relu": nn.ReLU(), "elu": nn.ELU(), "swish": nn.SiLU()}
    return known[name]
