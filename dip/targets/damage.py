"""Damage that is no linear operator, done to clean images so that it can be undone."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dip.errors import ImageError


def jpeg(image: Tensor, quality: int) -> Tensor:
    """What Pillow's JPEG of `image` (1, C, H, W) in [0, 1] shows: rounded to 8 bits, chroma at half resolution.

    Args:
        image: gray (C = 1) or RGB (C = 3).
        quality: from 1 (worst) to 100.

    Raises:
        ImageError: another number of channels, or sides that JPEG does not know.
    """
    channels, height, width = image.shape[1:]
    if channels not in (1, 3):
        raise ImageError(
            f"target.quality: JPEG holds gray or RGB, the image has {channels} channels; take target=degraded"
        )
    if max(height, width) > 65535:
        raise ImageError(
            f"target.quality: JPEG holds 65535 pixels a side, the image is {height} x {width}; set size=2048"
        )
    values = (image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()  # (H, W, C)
    buffer = io.BytesIO()
    Image.fromarray(values[..., 0] if channels == 1 else values).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer, formats=["JPEG"]) as stored:
        pixels = np.array(stored).reshape(height, width, channels)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255  # (1, C, H, W)
