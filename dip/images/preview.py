"""What an image of any number of channels looks like on a screen."""

from __future__ import annotations

from torch import Tensor


def preview(pixels: Tensor) -> Tensor:
    """(1, C, H, W) as gray or RGB: for other than 1 or 3 channels, the first, the middle and the last."""
    channels = pixels.shape[1]
    return pixels if channels in (1, 3) else pixels[:, [0, channels // 2, channels - 1]]
