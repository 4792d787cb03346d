"""Decoders: networks that enlarge a small z and have no encoder.

Deep Decoder: Heckel and Hand 2019 (arXiv 1810.03982), section 2. ConvDecoder: Darestani and Heckel 2021 (arXiv
2007.02471), made for MRI. In both, normalisation follows the ReLU, so no convolution needs a bias.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets.fast_hourglass import upsampled
from dip.nets.hourglass import normalization
from dip.nets.unet import Conv3x3


class DecoderModule(nn.Module):
    """Deep Decoder: (1, in_channels, H / 2^(layers - 1), W / 2^(layers - 1)) -> (1, out_channels, H, W).

    Each layer is a 1 x 1 convolution, bilinear upsampling by 2 except in the last layer, ReLU and normalisation. With
    k = in_channels = channels, d = layers and an RGB image there are d k^2 + 2 d k + 3 k weights, as in the paper. With
    few enough of them it cannot fit noise. See `dip.nets.Decoder`.
    """

    def __init__(self, in_channels: int, out_channels: int, channels: int, layers: int) -> None:
        super().__init__()
        widths = [in_channels, *[channels] * (layers - 1)]
        self.mix: Sequence[nn.Module] = nn.ModuleList(  # type: ignore[assignment]
            nn.Conv2d(width, channels, 1, bias=False) for width in widths
        )
        self.norms = nn.ModuleList(normalization(channels) for _ in widths)
        self.head = nn.Conv2d(channels, out_channels, 1, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        x = z
        for number, (mix, norm) in enumerate(zip(self.mix, self.norms, strict=True), 1):
            x = mix(x)  # before upsampling, with which it commutes: a quarter of the work
            if number < len(self.mix):
                x = upsampled(x, bilinear=True)  # (1, C, 2H, 2W)
            x = norm(F.relu(x, inplace=True))
        image: Tensor = self.head(x)
        return image


class ConvDecoderModule(nn.Module):
    """ConvDecoder: (1, in_channels, h, w) -> (1, out_channels, H, W).

    Each layer is nearest-neighbour upsampling to the next size, a 3 x 3 convolution, ReLU and normalisation; the last
    one works at the size of the image. In the authors' code this is `convdecoder` with `need_last`.

    `channels` are the feature maps of every layer, and `sizes` (H, W) of the output of each but the last, in ascending
    order; the largest is that of the image.
    """

    def __init__(self, in_channels: int, out_channels: int, channels: int, sizes: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.sizes = [*sizes, sizes[-1]]
        widths = [in_channels, *[channels] * len(sizes)]
        self.convs: Sequence[nn.Module] = nn.ModuleList(  # type: ignore[assignment]
            Conv3x3(width, channels) for width in widths
        )
        self.norms = nn.ModuleList(normalization(channels) for _ in widths)
        self.head = nn.Conv2d(channels, out_channels, 1, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        x = z
        for size, conv, norm in zip(self.sizes, self.convs, self.norms, strict=True):
            if x.shape[2:] != size:
                x = F.interpolate(x, size=size, mode="nearest")
            x = norm(F.relu(conv(x), inplace=True))
        image: Tensor = self.head(x)
        return image
