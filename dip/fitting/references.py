"""The user's reference: a clean image to compute scores against, in the units of the restored image."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dip import images
from dip.errors import ImageError
from dip.fitting.pictures import Pictures
from dip.images import Picture
from dip.images.picture import read_values
from dip.images.scaling import BITS, WHITE, choose, to_unit
from dip.options import log
from dip.targets import Observation


def of_image(size: Any, made: tuple[int, int], image: Picture, pictures: Pictures, chosen: bool = False) -> Tensor:
    """The reference of an image, (1, C, *made) in [0, 1].

    A reference of the integer type of the image has the units of the image, and so has one of about its size, if one of
    the two has values in units. Otherwise black and white of both are those of their types, or of their bits.

    Args:
        size: the option `size`.
        made: (H, W) of the restored image.
        image: the image.
        pictures: hold the reference.
        chosen: whether the option `range` set black and white of the image.

    Raises:
        ImageError: it cannot be read, has another shape, or has other units than the image.
    """
    # A target that enlarges the image has a larger reference, cropped and resized in the same way.
    wanted = None if size is None else made[0] if isinstance(size, int) else made
    stored = pictures.load("reference")
    typed = all(picture.mode in WHITE or not picture.scaled for picture in (image, stored))
    if (stored.mode == image.mode and not stored.mode.startswith("float")) or (not typed and _alike(image, stored)):
        stored = images.rescaled(stored, image.units)
    elif not typed and _full(stored) and (chosen or _full(image)):
        log.info("reference: a picture, whose black is %g and whose white is %g", *image.units)
    elif not typed:
        theirs, ours = ("from {:.4g} to {:.4g}".format(*picture.units) for picture in (stored, image))
        raise ImageError(
            f"reference={pictures.sources['reference']}: its values, {theirs}, are in another unit than those of the image, "
            f"{ours}; give both in one unit, or a reference of uint8, uint16 or floats in [0, 1] and black and white of the "
            "image, for example range=[0,255]"
        )
    known = images.prepare(stored, wanted).pixels
    want = (image.pixels.shape[1], *made)
    if known.shape[1:] != want:
        raise _other_shape(pictures, f"{_sides(known.shape[1:])} (channels x height x width)", want)
    return known


def of_measurements(span: Any, pictures: Pictures, seen: Observation) -> Tensor:
    """The reference of an image of measurements, as an image of the network, (1, C, H, W).

    It is read from any file or array, (C, H, W), (H, W, C) or, for one channel, (H, W), of real or complex values. It
    has the units of the image. A picture of 8 or 16 bits has its black and white at the ends of `span` instead.

    Args:
        span: the option `range`; None: [0, 1].
        pictures: hold the reference.
        seen: the observation.

    Raises:
        ImageError: it cannot be read, is not finite, or has another shape.
    """
    values = read_values(pictures.given.get("reference", pictures.sources["reference"]), "reference")
    if str(values.dtype) in WHITE:
        low, high = span or (0.0, 1.0)
        values = low + (high - low) * to_unit(values, choose(values))
        log.info("reference: a picture, whose black is %g and whose white is %g", low, high)
    depth = seen.shape[0] // (2 if seen.complex else 1)
    wanted = (depth, *seen.size)  # (C, H, W)
    arranged = values.reshape(values.shape[1:]) if values.ndim == 4 and values.shape[0] == 1 else values
    if depth == 1 and arranged.shape == seen.size:
        arranged = arranged[None]
    elif arranged.shape != wanted and arranged.shape == (*seen.size, depth):
        arranged = arranged.transpose(2, 0, 1)
    if arranged.shape != wanted:
        raise _other_shape(pictures, f"the shape {_sides(values.shape)}", wanted)
    if not np.isfinite(arranged).all() or (np.iscomplexobj(arranged) and not seen.complex):
        raise _other_shape(pictures, "values that are not real and finite", wanted)
    image = torch.from_numpy(np.ascontiguousarray(arranged))[None]
    image = torch.cat([image.real, image.imag], 1) if image.is_complex() else image
    if seen.complex and image.shape[1] == depth:
        image = torch.cat([image, torch.zeros_like(image)], 1)
    low, high = seen.scale
    # The network's image is real; its parts are scaled alike.
    return ((image.double() - low) / (high - low)).float()


def _full(picture: Picture) -> bool:
    """Whether black is 0 and white that of a type or of a number of bits: not the extremes of the values."""
    low, high = picture.units
    return low == 0 and high in (1, *(2**bits - 1 for bits in BITS))


def _alike(image: Picture, reference: Picture) -> bool:
    """Whether two pictures of a scene are in one unit: their large values differ by less than a factor of 3.

    8 and 10 bits, the nearest of the usual units, differ by a factor of 4.
    """
    sizes = []
    for picture in (image, reference):
        low, high = picture.units
        values = picture.pixels.double().numpy() * (high - low) + low
        sizes.append(np.quantile(np.abs(values[np.isfinite(values)]), 0.95))
    return bool(max(sizes) < 3 * min(sizes) or sizes[0] == sizes[1])


def _other_shape(pictures: Pictures, what: str, wanted: tuple[int, ...]) -> ImageError:
    return ImageError(
        f"reference={pictures.sources['reference']}: has {what}, the restored image has {_sides(wanted)}; give the clean "
        "version of the same image, for example reference=clean.png"
    )


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
