"""Resizing of images and masks."""

import math
from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from dip.errors import OptionError
from dip.images.picture import Picture
from dip.images.stored import MAX_PIXELS


def prepare(picture: Picture, size: int | tuple[int, int] | None) -> Picture:
    """Resize an image and its alpha.

    Args:
        size: None keeps the image. N crops the central square (an odd remainder is cut at the bottom or right) and
            resizes it to N x N. (H, W) resizes the whole image and may change its aspect ratio. Resizing is bicubic
            (Keys, a = -0.5), antialiased when shrinking, clipped to [0, 1]. NaN spreads to all pixels that it would
            contribute to.

    Raises:
        OptionError: `size` has another form or exceeds the pixel limit.
    """
    if size is None:
        return picture
    wanted = (size, size) if isinstance(size, int) else tuple(size)
    if len(wanted) != 2 or min(wanted) < 1 or math.prod(wanted) > MAX_PIXELS:
        legal = f"null, N or [H, W], at least 1 and {MAX_PIXELS:,} pixels at most"
        raise OptionError("size", size, legal, "size=256")
    alpha = None if picture.alpha is None else resize(picture.alpha, size).clamp(0, 1)
    return replace(picture, pixels=resize(picture.pixels, size).clamp(0, 1), alpha=alpha, stored=None)


def prepare_mask(mask: Tensor, size: int | tuple[int, int] | None) -> Tensor:
    """Resize a mask, 1 where a pixel is known, else 0, as `prepare` does: 1 where only known pixels contribute."""
    return ((resize(mask, size) - 1).abs() < 1e-4).float()  # the weights of the interpolation sum to 1


def crop(height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns of the central square."""
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return slice(top, top + side), slice(left, left + side)


def resize(plane: Tensor, size: int | tuple[int, int] | None) -> Tensor:
    """As `prepare`, without clipping."""
    height, width = plane.shape[-2:]
    if isinstance(size, int):
        plane = plane[..., *crop(height, width)]
        size = size, size
    if size is None or tuple(plane.shape[-2:]) == tuple(size):
        return plane.contiguous()
    return F.interpolate(plane, size=list(size), mode="bicubic", antialias=True, align_corners=False)
