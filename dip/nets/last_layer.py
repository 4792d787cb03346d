"""The function of a network's last layer, `net.output`, computed in float32 or float64."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FUNCTIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: torch.sigmoid, "sigmoid": torch.sigmoid, "linear": nn.Identity(), "softplus": F.softplus,
}  # fmt: skip
"""The functions of `net.output`, and the default."""


class LastLayer(nn.Module):
    """The function called `name` of a tensor of any shape and number format; returns float32 or float64."""

    def __init__(self, name: str | None) -> None:
        super().__init__()
        self.function = FUNCTIONS[name]

    def forward(self, x: Tensor) -> Tensor:
        # Near 1 the steps between 16-bit numbers are as wide as those of an 8-bit image.
        return self.function(x.to(torch.promote_types(x.dtype, torch.float32)))
