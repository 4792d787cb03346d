"""The mask of a target, at the size of the stored image and at the size of the fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dip import images
from dip.images import Picture
from dip.options import log
from dip.targets import Observation, Target


def known_pixels(
    target: Target, photo: Picture, files: Mapping[str, Picture], size: Any
) -> tuple[Tensor | None, Tensor | None]:
    """Which pixels are used, as masks (1, 1, H, W), 1 = known: in the stored image, and in the resized one.

    Args:
        target: if its `masked` is true, it reads the mask from the files or from the image itself.
        photo: the image as it is stored.
        files: the pictures of `target.files()` as they are stored, by option. A mask has the size of the photo, up to
            a factor, or that of the resized image.
        size: the option `size`. What it crops is not used.

    Returns:
        None instead of the first mask: all pixels are used. None instead of the second one: the target has no mask.

    Raises:
        ImageError: a file does not fit the photo, or no pixel is missing or none is known.
    """
    shape, cropped = photo.pixels.shape[-2:], isinstance(size, int)
    inside = images.crop(*shape) if cropped else (slice(None), slice(None))
    used = torch.zeros(1, 1, *shape)
    used[..., *inside] = 1
    if not target.masked:
        return (used if cropped else None), None
    given = {option: file.pixels for option, file in files.items()}
    given |= {f"{option}_alpha": file.alpha for option, file in files.items() if file.alpha is not None}
    small = images.prepare(photo, size)
    wanted = small.pixels.shape[-2:]
    for_resized = wanted != shape and any(file.pixels.shape[-2:] == wanted for file in files.values())
    image = small if for_resized else photo
    if image.alpha is not None:
        given["image_alpha"] = image.alpha
    known = target.known(image.pixels, given)
    if not for_resized:
        resized = images.prepare_mask(known, size)
        before, after = (100 * (1 - mask.mean().item()) for mask in (known[..., *inside], resized))
        if round(after, 1) > round(before, 1):
            log.info(
                "size: pixels that are partly missing count as missing in the resized mask, %.1f %% instead of %.1f %%",
                after, before,
            )  # fmt: skip
        return known * used, resized
    sides = used[..., *inside].shape[-2:]
    used[..., *inside] = torch.nn.functional.interpolate(known, size=sides, mode="nearest-exact")
    return used, known


def opaque(image: Picture, seen: Observation) -> Picture:
    """`image` with an alpha of 1 where `seen` has missing pixels, which the fit fills in."""
    if image.alpha is None or seen.known is None or seen.known.shape[-2:] != image.alpha.shape[-2:]:
        return image
    return dataclasses.replace(image, alpha=1 - seen.known * (1 - image.alpha))
