"""The mask of a target, at the size of the stored image and at the size of the fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from dip.images import Picture
    from dip.targets import Observation, Target


def known_pixels(target: Target, photo: Picture, files: Mapping[str, Picture], size: Any) -> tuple[Tensor, Tensor]:
    """The mask that is given by files or by the image itself: (1, 1, H, W), 1 = known, for `photo` and at `size`.

    Args:
        target: one whose `masked` is true.
        photo: the image as it is stored.
        files: the pictures of `target.files()`, as they are stored, by option. They have the size of the photo, by a
            factor, or that of the resized image.
        size: the option `size`.

    Raises:
        ImageError: a file does not fit the photo, or no pixel is missing or none is known.
    """
    import torch

    from dip import images

    given = {option: file.pixels for option, file in files.items()}
    given |= {f"{option}_alpha": file.alpha for option, file in files.items() if file.alpha is not None}
    small = images.prepare(photo, size)
    shape, wanted = photo.pixels.shape[-2:], small.pixels.shape[-2:]
    own = shape == wanted or any(file.pixels.shape[-2:] != wanted for file in files.values()) or not files
    image = photo if own else small
    if image.alpha is not None:
        given["image_alpha"] = image.alpha
    known = target.known(image.pixels, given)
    if own:
        return known, images.prepare_mask(known, size)
    whole = torch.zeros(1, 1, *shape)  # what `size` crops is not used
    side, crop = min(shape), isinstance(size, int)
    top, left, height, width = ((shape[0] - side) // 2, (shape[1] - side) // 2, side, side) if crop else (0, 0, *shape)
    whole[..., top : top + height, left : left + width] = torch.nn.functional.interpolate(known, (height, width))
    return whole, known


def opaque(image: Picture, seen: Observation) -> Picture:
    """`image` with an alpha of 1 where `seen` has missing pixels, which the fit fills in."""
    if image.alpha is None or seen.known is None or seen.known.shape[-2:] != image.alpha.shape[-2:]:
        return image
    return dataclasses.replace(image, alpha=1 - seen.known * (1 - image.alpha))
