"""Complex images, whose real and imaginary parts are channels of the network's image."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def complex_image(image: Tensor) -> Tensor:
    """(1, 2 C, H, W), the real parts before the imaginary parts, as a complex image (1, C, H, W)."""
    real, imaginary = image.chunk(2, 1)
    return torch.complex(real.contiguous(), imaginary.contiguous())


def as_array(image: Tensor) -> NDArray[Any]:
    """(1, C, H, W) as an array (H, W, C), float32 or complex64."""
    kind = torch.complex64 if image.is_complex() else torch.float32
    return image.detach().to("cpu", kind)[0].permute(1, 2, 0).contiguous().numpy()
