"""Where the way up meets a skip connection: upsample, concatenate, normalise, convolve."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets.layers import EPS, Convolution, Normalization, mirror
from dip.nets.upsampled import BLUR, centred, convolve_upsampled, filter_channels


def make_join(skip: int, below: int, channels: int, kernel: int, padding: str, upsampling: str) -> nn.Module:
    """The module that takes below, (1, below, H, W), and skipped, (1, skip, 2H, 2W) or None for skip = 0.

    It returns (1, channels, 2H, 2W).
    """
    if kernel == 3 and padding == "reflection":
        return FoldedJoin(skip, below, channels, upsampling)
    return PlainJoin(skip, below, channels, kernel, padding, upsampling)


class PlainJoin(nn.Module):
    """The join step by step, for any kernel and padding."""

    def __init__(
        self, skip: int, below: int, channels: int, kernel: int, padding: str, upsampling: str
    ) -> None:
        super().__init__()
        self.upsampling = upsampling
        self.norm = Normalization(skip + below)
        self.convolution = Convolution(skip + below, channels, kernel, padding)

    def forward(self, below: Tensor, skipped: Tensor | None) -> Tensor:
        x = F.interpolate(below, scale_factor=2, mode="nearest")  # (1, below, 2H, 2W)
        if self.upsampling == "bilinear":
            x = filter_channels(mirror(x, 1, about_edge=True), BLUR)
        if skipped is not None:
            x = torch.cat([skipped, x], dim=1)  # (1, skip + below, 2H, 2W)
        out: Tensor = self.convolution(self.norm(x))
        return out


class FoldedJoin(nn.Module):
    """The join of a 3 x 3 kernel and reflection padding, without making any of the tensors between.

    The normalisation is folded into the weights of the convolution: of it remains one scale per channel,
    gamma / sqrt(variance + eps). Its shifts, the mean and beta, become a constant behind the convolution
    (reflection continues constants), which the next normalisation takes away, so it has no beta. The
    convolution over the concatenation is the sum of one over each part, and that of the upsampled part is
    done before upsampling.
    """

    def __init__(self, skip: int, below: int, channels: int, upsampling: str) -> None:
        super().__init__()
        self.bilinear = upsampling == "bilinear"
        self.gamma = nn.Parameter(torch.ones(skip + below))
        self.weight = nn.Parameter(Convolution(skip + below, channels, 3, "reflection").weight.detach())

    def forward(self, below: Tensor, skipped: Tensor | None) -> Tensor:
        # Constants have no effect here, but without the mean 16-bit numbers resolve more of the rest.
        below, variance = centred(below, self.bilinear)
        if skipped is not None:
            skipped, skip_variance = centred(skipped, bilinear=False)
            variance = torch.cat([skip_variance, variance])  # (skip + below,)
        scale = self.gamma * torch.rsqrt(variance + EPS)
        weight = self.weight * scale.view(1, -1, 1, 1)  # (channels, skip + below, 3, 3)
        if skipped is None:
            return convolve_upsampled(below, weight, self.bilinear)
        skip_weight, weight = weight.split_with_sizes([skipped.shape[1], below.shape[1]], dim=1)
        x = convolve_upsampled(below, weight, self.bilinear)
        return x.add_(F.conv2d(mirror(skipped, 1), skip_weight))
