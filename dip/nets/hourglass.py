"""The encoder-decoder with skip connections of "Deep Image Prior" (Ulyanov et al., arXiv 1711.10925), in plain PyTorch.

This file defines the network: its parameters, their names and initial values, and the function that it computes. Runs
use subclasses: `dip.nets.fast_hourglass.FastHourglass`, with the same parameters and the same function in less time, and
`dip.nets.hourglass3d.Hourglass3dModule` in three dimensions.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dip.nets.convolution import number_format
from dip.nets.hourglass_options import HourglassOptions
from dip.nets.last_layer import LastLayer

BatchNorm = nn.BatchNorm2d | nn.BatchNorm3d


class Block(nn.Module):
    """Convolution, batch normalisation, activation: (1, C_in, H, W) -> (1, C_out, H / stride, W / stride).

    The convolution has no bias, because the normalisation subtracts every constant.
    """

    convolution: ClassVar[type[nn.Conv2d | nn.Conv3d]] = nn.Conv2d
    batch_norm: ClassVar[type[BatchNorm]] = nn.BatchNorm2d
    inplace: ClassVar[bool] = False
    """Whether the activation overwrites its input, see `activation`."""

    def __init__(
        self, net: HourglassOptions, in_channels: int, out_channels: int, kernel: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = self.convolution(
            in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False,
            padding_mode="reflect" if net.padding == "reflection" else "zeros",
        )  # fmt: skip
        self.norm = normalization(out_channels, self.batch_norm)
        self.activation = activation(net.activation, self.inplace)

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.activation(self.norm(self.conv(x)))
        return activated


class Level(nn.Module):
    """One level of the network: two encoder blocks, the skip connection, and one or two decoder blocks.

    Args:
        net: the options.
        in_channels: feature maps that enter the level.
        channels: feature maps of the level.
        skip_channels: feature maps of its skip connection; 0 for none.
        below: feature maps that the next coarser level returns.
    """

    block: ClassVar[type[Block]] = Block

    def __init__(self, net: HourglassOptions, in_channels: int, channels: int, skip_channels: int, below: int) -> None:
        super().__init__()
        block = self.block
        self.upsampling = net.upsampling
        self.down = block(net, in_channels, channels, net.kernel_down, stride=2)
        self.refine = block(net, channels, channels, net.kernel_down)
        self.skip = block(net, in_channels, skip_channels, net.kernel_skip) if skip_channels else None
        self.norm = normalization(skip_channels + below, block.batch_norm)
        if net.padding == "reflection":
            # The convolution turns this shift into a constant, which the next normalisation subtracts.
            self.norm.register_parameter("bias", None)
        self.up = block(net, skip_channels + below, channels, net.kernel_up)
        self.mix = block(net, channels, channels, 1) if net.use_1x1 else nn.Identity()

    def encode(self, x: Tensor) -> Tensor:
        """(1, in_channels, H, W) -> (1, channels, H / 2, W / 2)."""
        refined: Tensor = self.refine(self.down(x))
        return refined

    def join(self, below: Tensor, beside: Tensor) -> Tensor:
        """The coarser level's output and what entered this level -> (1, channels, H, W), before `mix`."""
        x: Tensor = self.enlarged(below, beside)  # (1, below, H, W)
        if self.skip is not None:
            x = torch.cat([self.skip(beside), x], dim=1)  # (1, skip_channels + below, H, W)
        joined: Tensor = self.up(self.norm(x))
        return joined

    def enlarged(self, below: Tensor, beside: Tensor) -> Tensor:
        """`below` at the size of `beside`."""
        return F.interpolate(below, scale_factor=2, mode=self.upsampling)


class HourglassModule(nn.Module):
    """(1, in_channels, H, W) -> (1, out_channels, H, W); H and W are multiples of 2**depth.

    The values lie in [0, 1] unless `net.output` says otherwise.

    Args:
        net: the options.
        in_channels: channels of z.
        out_channels: channels of the image.
        skips: levels with a skip connection, from 1 (finest) to `net.depth`.
    """

    level: ClassVar[type[Level]] = Level
    layout: ClassVar[torch.memory_format] = torch.contiguous_format

    def __init__(self, net: HourglassOptions, in_channels: int, out_channels: int, skips: Sequence[int]) -> None:
        super().__init__()
        self.checkpoint_activations = net.checkpoint_activations
        channels, skip_channels = net.per_level("channels"), net.per_level("skip_channels")
        entering, below = [in_channels, *channels[:-1]], [*channels[1:], channels[-1]]
        used = [n if i in skips else 0 for i, n in enumerate(skip_channels, start=1)]
        parts = zip(entering, channels, used, below, strict=True)
        self.levels: list[Level] = nn.ModuleList(self.level(net, *part) for part in parts)  # type: ignore[assignment]
        self.head = self.level.block.convolution(channels[0], out_channels, 1)
        self.output = LastLayer(net.output)
        self.to(memory_format=self.layout)  # type: ignore[call-overload]

    def forward(self, z: Tensor) -> Tensor:
        z = z.to(number_format(z))  # once, instead of once for each convolution of z
        x = z.contiguous(memory_format=self.layout)  # (1, in_channels, H, W)
        entering = []
        for level in self.levels:  # encoder, finest level first
            entering.append(x)
            x = self.run(level.encode, x)  # (1, C, H / 2, W / 2)
        for level, beside in zip(reversed(self.levels), reversed(entering), strict=True):  # decoder
            x = self.run(level.mix, self.run(level.join, x, beside))  # (1, C, 2H, 2W)
        image: Tensor = self.output(self.head(x))  # (1, out_channels, H, W)
        return image

    def run(self, part: Callable[..., Tensor], *inputs: Any) -> Tensor:
        """`part(*inputs)`; with `checkpoint_activations` its activations are computed again in the backward pass."""
        if not (self.checkpoint_activations and torch.is_grad_enabled()):
            return part(*inputs)
        output: Tensor = checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)
        return output


def normalization(channels: int, kind: type[BatchNorm] = nn.BatchNorm2d) -> BatchNorm:
    """Batch normalisation that always uses the statistics of its input: there is one image, and no evaluation mode."""
    return kind(channels, track_running_stats=False)


def activation(name: str, inplace: bool = False) -> nn.Module:
    """The activation called `name`, a value of `net.activation`.

    With `inplace` it overwrites its input, except swish, whose backward pass needs it.
    """
    known = {
        "leaky_relu": nn.LeakyReLU(0.2, inplace), "relu": nn.ReLU(inplace), "elu": nn.ELU(inplace=inplace),
        "swish": nn.SiLU(),
    }  # fmt: skip
    return known[name]
