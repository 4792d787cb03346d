"""Crops of scikit-image's photographs, and random draws."""

import numpy as np
import skimage.data
import skimage.transform
import torch
from torch import Tensor


def photo(name: str = "astronaut", height: int = 96, width: int = 96) -> Tensor:
    """A crop, (1, C, height, width) float32 in [0, 1]."""
    pixels = np.atleast_3d(getattr(skimage.data, name)()).astype(np.float32) / 255
    top, left = min(100, pixels.shape[0] - height), min(180, pixels.shape[1] - width)
    return torch.from_numpy(pixels[top : top + height, left : left + width]).permute(2, 0, 1)[None]


def shrunk(name: str, side: int = 128) -> Tensor:
    """The middle square of a sample, shrunk: sharp, with texture everywhere. (1, C, side, side), rounded to 8 bits."""
    image = np.atleast_3d(getattr(skimage.data, name)())
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    small = skimage.transform.resize(image[top : top + short, left : left + short], (side, side), anti_aliasing=True)
    return torch.from_numpy((small * 255).round().astype(np.float32) / 255).permute(2, 0, 1)[None]


def blurred_noise(channels: int = 3, level: float = 0.1, seed: int = 0, size: tuple[int, int] = (96, 96)) -> Tensor:
    """Gaussian noise whose neighbours are correlated, independent in the channels, (1, channels, *size)."""
    height, width = size
    noise = torch.nn.functional.avg_pool2d(torch.randn(1, channels, height + 2, width + 2, generator=draw(seed)), 3, 1)
    return level * noise / noise.std()


def draw(seed: int = 0) -> torch.Generator:
    """A generator with `seed`."""
    return torch.Generator().manual_seed(seed)


def rand(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """U(0, 1)."""
    return torch.rand(*shape, generator=draw(seed), dtype=dtype)
