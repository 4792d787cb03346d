"""The function of a network's last layer, `net.output`, computed in float32 or float64."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dip.nets.hourglass import output


class LastLayer(nn.Module):
    """`output(name)` of a tensor of any shape and number format; returns float32 or float64."""

    def __init__(self, name: str | None) -> None:
        super().__init__()
        self.function = output(name)

    def forward(self, x: Tensor) -> Tensor:
        # Near 1 the steps between 16-bit numbers are as wide as those of an 8-bit image.
        return self.function(x.to(torch.promote_types(x.dtype, torch.float32)))
