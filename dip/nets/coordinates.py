"""A multilayer perceptron of the pixel's coordinates: the image as a function. It reads neither z nor its perturbation.

With Fourier features (Tancik et al. 2020, arXiv 2006.10739, section 4) or sines as activations (SIREN: Sitzmann et al.
2020, arXiv 2006.09661, section 3). It computes in float32 under autocast: 16-bit coordinates of neighbours would be
equal.
"""

import itertools
import math

import torch
from torch import Tensor, nn

HIDDEN_OMEGA = 30.0
"""omega_0 of SIREN's layers after the first."""


class CoordinatesModule(nn.Module):
    """(1, C_z, H', W') -> (1, out_channels, H, W): of its input it uses the device only.

    The perceptron is applied to every pixel, as 1 x 1 convolutions. Coordinates run along the longer side from 0 to 1
    (Fourier features) or from -1 to 1 (SIREN), as in the papers.

    Args:
        out_channels: channels of the image.
        channels: hidden units of each layer.
        layers: hidden layers.
        features: number of frequencies of the Fourier features; 0 for SIREN.
        scale: standard deviation of the frequencies, in periods over the longer side, or omega_0 of SIREN's first
            layer.
        size: (H, W).
    """

    grid: Tensor
    frequencies: Tensor

    def __init__(
        self, out_channels: int, channels: int, layers: int, features: int, scale: float, size: tuple[int, int]
    ) -> None:
        super().__init__()
        longer = max(*size, 2) - 1
        lines = (torch.arange(n) / longer if features else (2 * torch.arange(n) - n + 1) / longer for n in size)
        grid = torch.stack(torch.meshgrid(*lines, indexing="ij"))[None]  # (1, 2, H, W)
        self.register_buffer("grid", grid, persistent=False)
        # Not trained, but random, so a checkpoint holds them.
        self.register_buffer("frequencies", 2 * math.pi * scale * torch.randn(features, 2, 1, 1))
        self.first_omega = scale
        widths = [2 * features or 2, *[channels] * layers]
        self.hidden = nn.ModuleList(nn.Conv2d(before, width, 1) for before, width in itertools.pairwise(widths))
        self.head = nn.Conv2d(channels, out_channels, 1)
        if not features:
            self._initialize_sines()

    @torch.no_grad()
    def _initialize_sines(self) -> None:
        """The initial weights of SIREN's section 3.2: the distribution of activations is the same in every layer."""
        for number, conv in enumerate((*self.hidden, self.head)):
            inputs = conv.in_channels
            limit = 1 / inputs if number == 0 else math.sqrt(6 / inputs) / HIDDEN_OMEGA
            conv.weight.uniform_(-limit, limit)

    def forward(self, z: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            x = self.grid
            if len(self.frequencies):
                waves = torch.conv2d(x, self.frequencies)  # (1, features, H, W)
                x = torch.cat([waves.cos(), waves.sin()], dim=1)
            for number, layer in enumerate(self.hidden):
                x = layer(x)  # (1, channels, H, W)
                if len(self.frequencies):
                    x = torch.relu(x)
                else:
                    x = torch.sin((self.first_omega if number == 0 else HIDDEN_OMEGA) * x)
            image: Tensor = self.head(x)
        return image
