"""No network at all: the image's own pixels are what is fitted, to see what the network's prior is worth."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PixelsModule(nn.Module):
    """(1, C_z, H, W) -> (1, channels, H, W), whatever the input: the values that are being fitted, not bounded.

    They start as U(0, 0.1), as in the original paper's comparison of priors in super-resolution ("prior effect"): pixels
    alone leave ringing, with total variation they turn into flat patches, with a network they are clean and sharp.

    Args:
        channels: of the image.
        size: (H, W) of the input, which is the image's.
    """

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.pixels = nn.Parameter(0.1 * torch.rand(1, channels, *size))

    def forward(self, z: Tensor) -> Tensor:
        assert z.shape[-2:] == self.pixels.shape[-2:], "pixels have one size"
        return self.pixels + 0.0  # not the parameter itself: the next step would change what was given out
