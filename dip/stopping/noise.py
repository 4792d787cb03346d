"""The noise level of an image, from the image alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_NORMAL_MEDIAN = 0.6744897501960817  # median of |n| for n ~ N(0, 1)
_ENOUGH = 64  # values below which a restriction is given up


def noise_level(image: Tensor, known: Tensor | None = None) -> float:
    """Standard deviation of the noise in an image, in the image's units; about right for white Gaussian noise.

    The image is filtered with the difference of two Laplacians (Immerkaer, "Fast noise variance estimation", CVIU
    1996), which removes all that is locally flat or linear, and the level is the median absolute value of the rest
    (Donoho and Johnstone, Biometrika 1994), so that edges do not count. Clipping makes noise weaker:
    neighbourhoods with a value at 0 or 1 are left out where enough others remain.

    Args:
        image: (1, C, h, w), values in [0, 1]. Sides below 3 give 0.
        known: (1, 1, h, w), not 0 where the image was observed; None if it was everywhere.
    """
    _, channels, height, width = image.shape
    if min(height, width) < 3:
        return 0.0
    image = image.detach().float()
    row = image.new_tensor([1.0, -2.0, 1.0])
    kernel = (row[:, None] * row).expand(channels, 1, 3, 3)
    detail = functional.conv2d(image, kernel, groups=channels).abs()  # (1, C, h-2, w-2)
    everywhere = torch.ones_like(detail, dtype=torch.bool)
    whole = everywhere if known is None else _all_of_3x3((known != 0).expand_as(image))
    inside = whole & _all_of_3x3((image > 0) & (image < 1))
    for chosen in (inside, whole):
        if int(chosen.sum()) >= _ENOUGH:
            break
    else:
        chosen = everywhere
    return float(detail[chosen].median()) / (_NORMAL_MEDIAN * 6)  # 6: the filter's norm


def unclipped(image: Tensor, sigma: float, known: Tensor | None = None) -> Tensor:
    """Where noise of level `sigma` was hardly clipped: a boolean tensor like `image`, never all false.

    True where the mean over 5 x 5 pixels is 2 sigma away from 0 and 1; where that leaves too little, everywhere.
    """
    inside = torch.ones_like(image, dtype=torch.bool) if known is None else (known != 0).expand_as(image)
    if not inside.any():
        inside = torch.ones_like(inside)
    around = functional.avg_pool2d(image.detach().float(), 5, stride=1, padding=2, count_include_pad=False)
    away = inside & (around > 2 * sigma) & (around < 1 - 2 * sigma)
    return away if int(away.sum()) >= _ENOUGH else inside


def _all_of_3x3(mask: Tensor) -> Tensor:
    """True where a pixel and its eight neighbours are: (1, C, h, w) -> (1, C, h-2, w-2)."""
    return -functional.max_pool2d(-mask.float(), 3, stride=1) > 0
