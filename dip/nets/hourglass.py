"""The encoder-decoder with skip connections of the Deep Image Prior paper (arXiv 1711.10925)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dip.nets import Hourglass
from dip.nets.join import make_join
from dip.nets.layers import Convolution, NormalizedActivation


class HourglassModule(nn.Module):
    """(1, in_channels, H, W) -> (1, out_channels, H, W) in [0, 1], float32 under autocast. See `Hourglass`.

    H and W are multiples of 2**depth, as `Hourglass.padded` makes them. Everything inside is channels_last.
    """

    def __init__(self, net: Hourglass, in_channels: int, out_channels: int, skips: Sequence[int]) -> None:
        super().__init__()
        self.checkpoint_activations = net.checkpoint_activations
        channels, skip_channels = net.channels_per_level(), net.skip_channels_per_level()
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level in range(1, net.depth + 1):
            entering = in_channels if level == 1 else channels[level - 2]
            below = channels[min(level, net.depth - 1)]
            skip = skip_channels[level - 1] if level in skips else 0
            self.encoder.append(EncoderLevel(net, entering, channels[level - 1]))
            self.decoder.append(DecoderLevel(net, entering, skip, below, channels[level - 1]))
        self.head = nn.Conv2d(channels[0], out_channels, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor) -> Tensor:
        device = z.device.type
        if torch.is_autocast_enabled(device):  # once, where each convolution of z would do it
            z = z.to(torch.get_autocast_dtype(device))
        x = z.contiguous(memory_format=torch.channels_last)  # (1, in_channels, H, W)
        entering = []
        for encode in self.encoder:
            entering.append(x)
            x = self._run(encode, x)  # (1, channels, H / 2, W / 2)
        for decode, beside in zip(reversed(self.decoder), reversed(entering), strict=True):
            x = self._run(decode, x, beside)  # (1, channels, 2H, 2W)
            x = self._run(decode.mix, x)
        x = self.head(x)
        # Steps of 16-bit numbers near 1 are as wide as those of an 8-bit image.
        return torch.sigmoid(x.to(torch.promote_types(x.dtype, torch.float32)))

    def _run(self, part: Any, *inputs: Tensor) -> Tensor:
        output: Tensor
        if self.checkpoint_activations and torch.is_grad_enabled():
            output = checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)
        else:
            output = part(*inputs)
        return output


class EncoderLevel(nn.Module):
    """(1, C_in, H, W) -> (1, C, H / 2, W / 2)."""

    def __init__(self, net: Hourglass, in_channels: int, channels: int) -> None:
        super().__init__()
        self.halve = Convolution(in_channels, channels, net.kernel_down, net.padding, stride=2)
        self.halved = NormalizedActivation(channels, net.activation)
        self.refine = Convolution(channels, channels, net.kernel_down, net.padding)
        self.refined = NormalizedActivation(channels, net.activation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.halved(self.halve(x))  # (1, C, H / 2, W / 2)
        refined: Tensor = self.refined(self.refine(x))
        return refined


class DecoderLevel(nn.Module):
    """Where a level's way up meets what entered it on its way down.

    From below, (1, C_below, H / 2, W / 2), and beside, (1, C_in, H, W), to (1, C, H, W). `mix`, the 1 x 1
    convolution if there is one, comes after `forward`.
    """

    def __init__(
        self, net: Hourglass, in_channels: int, skip_channels: int, below: int, channels: int
    ) -> None:
        super().__init__()
        self.skip: nn.Module | None = None
        if skip_channels:
            self.skip = nn.Sequential(
                Convolution(in_channels, skip_channels, net.kernel_skip, net.padding),
                NormalizedActivation(skip_channels, net.activation),
            )
        self.join = make_join(skip_channels, below, channels, net.kernel_up, net.padding, net.upsampling)
        self.joined = NormalizedActivation(channels, net.activation)
        # Not part of `forward`, so that either can forget its activations when the other computes.
        self.mix = nn.Sequential()
        if net.use_1x1:
            self.mix = nn.Sequential(
                Convolution(channels, channels, 1, net.padding),
                NormalizedActivation(channels, net.activation),
            )

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        skipped = self.skip(beside) if self.skip is not None else None  # (1, C_skip, H, W)
        joined: Tensor = self.joined(self.join(below, skipped))  # (1, C, H, W)
        return joined
