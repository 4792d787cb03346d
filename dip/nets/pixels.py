"""No network: the pixels of the image are the parameters of the fit, to measure what a network's prior contributes."""

import torch
from torch import Tensor, nn


class PixelsModule(nn.Module):
    """(1, C_z, H, W) -> (1, channels, H, W): the parameters themselves, for any input; their values are not bounded.

    They start as U(0, 0.1), as in the original paper's comparison of priors in super-resolution ("prior effect").

    Args:
        channels: channels of the image.
        size: (H, W) of the input and of the image.
    """

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.pixels = nn.Parameter(0.1 * torch.rand(1, channels, *size))

    def forward(self, z: Tensor) -> Tensor:
        assert z.shape[-2:] == self.pixels.shape[-2:], "pixels have one size"
        return self.pixels + 0.0  # a copy: the next step changes the parameter in place
