"""Where the way up meets a skip connection: upsample, concatenate, normalise, convolve."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets.layers import EPS, Convolution, Normalization, mirror
from dip.nets.upsampled import BLUR, centred, convolve_upsampled, filter_channels

FOLDED_FROM = 2**21
"""Channels below x channels x H x W from which a folded join is faster than a plain one on a CPU. Its many small operations
take 0.5 to 2 ms whatever the size; plain's arithmetic grows (measured for 32 to 128 channels, one and two threads)."""


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
        out: Tensor = self.convolution(self.norm(concatenated(below, skipped, self.upsampling == "bilinear")))
        return out


def concatenated(below: Tensor, skipped: Tensor | None, bilinear: bool) -> Tensor:
    """What is skipped, then what is below at twice its resolution: (1, skip + below, 2H, 2W)."""
    native = bilinear and below.device.type == "cpu"  # its way back is not deterministic on CUDA
    x = F.interpolate(below, scale_factor=2, mode="bilinear" if native else "nearest")  # (1, below, 2H, 2W)
    if bilinear and not native:
        x = filter_channels(mirror(x, 1, about_edge=True), BLUR)
    return x if skipped is None else torch.cat([skipped, x], dim=1)


class FoldedJoin(nn.Module):
    """The join of a 3 x 3 kernel and reflection padding, without making any of the tensors between.

    The normalisation is folded into the weights of the convolution: of it remains one scale per channel,
    gamma / sqrt(variance + eps). Its shifts, the mean and beta, become a constant behind the convolution
    (reflection continues constants), which the next normalisation takes away, so it has no beta. The
    convolution over the concatenation is the sum of one over each part, and that of the upsampled part is
    done before upsampling. Where there is next to nothing to save, all that costs more than it saves: small inputs are
    joined plainly on a CPU.
    """

    def __init__(self, skip: int, below: int, channels: int, upsampling: str) -> None:
        super().__init__()
        self.bilinear = upsampling == "bilinear"
        self.gamma = nn.Parameter(torch.ones(skip + below))
        self.weight = nn.Parameter(Convolution(skip + below, channels, 3, "reflection").weight.detach())

    def forward(self, below: Tensor, skipped: Tensor | None) -> Tensor:
        if below.device.type == "cpu" and below.numel() * self.weight.shape[0] < FOLDED_FROM:
            x = concatenated(below, skipped, self.bilinear)
            x = F.batch_norm(x, None, None, self.gamma, training=True, eps=EPS)
            return F.conv2d(mirror(x, 1), self.weight)
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
