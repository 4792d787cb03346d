"""Measurements and what belongs to them: the observation that they make, and a reference in the units of the image."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dip import images
from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.hardware import devices
from dip.images import Picture
from dip.images.measurements import read_values
from dip.samples import SAMPLES

if TYPE_CHECKING:
    from dip.fitting.pictures import Pictures
    from dip.targets import Observation


def observe_measured(config: Config, pictures: Pictures) -> tuple[Picture, Observation]:
    """The observation of a target whose `raw` is true, and a picture that stands for its image.

    The operator is tried on the device of the fit.

    Raises:
        DipError: the measurements or the reference cannot be read, or do not fit the operator.
    """
    values = _values(pictures, "image")
    given = {name.removeprefix("target."): value for name, value in pictures.given.items()}
    device = devices.pick_device(config.device)
    arithmetic = devices.pick_precision(config.precision.name, device)
    with devices.prepared(arithmetic):
        seen = config.target.observe_raw(values, config.range, device, arithmetic.dtype, given)
    channels = seen.shape[0]
    like = Picture(
        torch.zeros(()).expand(1, channels, *seen.size), mode="float32", flat=channels == (2 if seen.complex else 1),
        name=Path(config.image).stem,
    )  # fmt: skip
    if config.reference is not None:
        seen = dataclasses.replace(seen, reference=_reference(config, pictures, seen, channels))
    return like, seen


def _values(pictures: Pictures, option: str) -> NDArray[Any]:
    """The values that were given for `option`, as they are stored."""
    given = pictures.given.get(option)
    return read_values(Path(pictures.sources[option]) if given is None else given, option)


def _reference(config: Config, pictures: Pictures, seen: Observation, channels: int) -> Tensor:
    """The user's reference as an image of the network, (1, channels, H, W).

    An array or a `.npy` file is (C, H, W), (H, W, C) or, for one channel, (H, W), in the units of the image. A picture
    has values in [0, 1], or in `range`.
    """
    source = pictures.sources["reference"]
    if "reference" not in pictures.given and (source in SAMPLES or Path(source).suffix.lower() != ".npy"):
        pixels = images.load(source, "reference").pixels  # (1, C, H, W) in [0, 1]
        low, high = config.range or (0.0, 1.0)
        values = (low + (high - low) * pixels[0]).numpy()
    else:
        values = _values(pictures, "reference")
    depth = channels // (2 if seen.complex else 1)
    wanted = (depth, *seen.size)  # (C, H, W)
    arranged = values.reshape(values.shape[1:]) if values.ndim == 4 and values.shape[0] == 1 else values
    if depth == 1 and arranged.shape == seen.size:
        arranged = arranged[None]
    elif arranged.shape != wanted and arranged.shape == (*seen.size, depth):
        arranged = arranged.transpose(2, 0, 1)
    if arranged.shape != wanted or not np.isfinite(arranged).all() or (np.iscomplexobj(arranged) and not seen.complex):
        what = f"the shape {values.shape}" if arranged.shape != wanted else "values that are not real and finite"
        raise ImageError(
            f"reference={source}: has {what}; the restored image is {wanted} (channels, height, width); give the clean "
            "image, for example reference=clean.npy"
        )
    image = torch.from_numpy(np.ascontiguousarray(arranged))[None]
    image = torch.cat([image.real, image.imag], 1) if image.is_complex() else image
    if seen.complex and image.shape[1] == depth:
        image = torch.cat([image, torch.zeros_like(image)], 1)
    low, high = seen.scale
    # The network's image is real; its parts are scaled alike.
    return ((image.double() - low) / (high - low)).float()
