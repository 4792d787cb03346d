"""The network written the obvious way: what the benchmark compares with, and nothing else uses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def _conv(fan_in: int, fan_out: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        fan_in, fan_out, kernel, stride, kernel // 2, padding_mode="reflect" if kernel > 1 else "zeros"
    )


def _stage(*layers: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.LeakyReLU(0.2))


class PlainLevel(nn.Module):
    """One level of the hourglass and, inside it, all coarser ones."""

    def __init__(self, fan_in: int, channels: int, skip_channels: int, inner: nn.Module | None) -> None:
        super().__init__()
        self.down = nn.Sequential(
            _stage(_conv(fan_in, channels, stride=2), channels=channels),
            _stage(_conv(channels, channels), channels=channels),
        )
        self.skip = _stage(_conv(fan_in, skip_channels, 1), channels=skip_channels) if skip_channels else None
        self.inner = inner
        self.up = nn.Sequential(
            nn.BatchNorm2d(channels + skip_channels),
            _stage(_conv(channels + skip_channels, channels), channels=channels),
            _stage(_conv(channels, channels, 1), channels=channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(1, fan_in, H, W) -> (1, channels, H, W)."""
        below = self.down(x)  # (1, C, H / 2, W / 2)
        if self.inner is not None:
            below = self.inner(below)
        above = functional.interpolate(
            below, scale_factor=2, mode="bilinear", align_corners=False
        )  # (1, C, H, W)
        if self.skip is not None:
            above = torch.cat([self.skip(x), above], dim=1)  # (1, S + C, H, W)
        out: Tensor = self.up(above)
        return out


def plain_network(z_channels: int, channels: int, depth: int, skips: Sequence[int]) -> nn.Module:
    """The original paper's network with bilinear upsampling; convolutions keep their biases, as in its code."""
    inner: nn.Module | None = None
    for level in range(depth, 0, -1):
        fan_in = z_channels if level == 1 else channels
        inner = PlainLevel(fan_in, channels, 4 if level in skips else 0, inner)
    assert inner is not None
    return nn.Sequential(inner, nn.Conv2d(channels, 3, 1), nn.Sigmoid())
