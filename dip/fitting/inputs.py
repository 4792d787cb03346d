"""The image of a run and its observation by the target, from the files and arrays that the options name.

Imports no torch until an image is loaded.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.fitting.masking import known_pixels, opaque
from dip.fitting.network_input import guided
from dip.fitting.observed import Observed
from dip.fitting.pictures import Pictures
from dip.options import log
from dip.samples import SAMPLES

if TYPE_CHECKING:
    from dip.images import Picture
    from dip.targets import Observation


def observe(config: Config, pictures: Pictures) -> Observed:
    """The image that `config` names, and its observation by the target, with the user's reference and guide if given.

    It is made once for each `pictures`, which belong to `config`.

    Raises:
        DipError: an image cannot be read, or two images do not match.
    """
    if pictures.observed is None:
        image, seen = (_measured if config.target.raw else _photographed)(config, pictures)
        pictures.observed = Observed(image, guided(config, pictures, image, seen))
    return pictures.observed


def _photographed(config: Config, pictures: Pictures) -> tuple[Picture, Observation]:
    """`observe` for an image.

    Pixels that are not observed (cropped by `size`, unknown by the target's mask, NaN) have no influence on the scale.

    Raises:
        DipError: an image cannot be read, or two images do not match.
    """
    from dip import images
    from dip.fitting.references import of_image

    target = config.target
    if "image" not in pictures.given and config.image in SAMPLES:
        target = target.for_sample()
        if target.name == "degraded":
            log.info(
                "image=%s: a sample image, restored as it is; for a photo of your own, image=photo.jpg", config.image
            )
    size = tuple(config.size) if isinstance(config.size, (list, tuple)) else config.size
    photo = pictures.load("image")
    whole = {option: pictures.load(f"target.{option}") for option in target.files() if option not in target.data}
    known, fitted = known_pixels(target, photo, whole, size)
    photo = images.rescaled(photo, config.range, known)
    pictures.log_scale(photo, chosen=config.range is not None)
    pictures.log_crop(photo, size)
    image = pictures.in_slices(images.prepare(photo, size), config.net)
    if size is not None and not target.resized and not getattr(target, "simulate", False):
        log.warning("size: resizes the image only; the kernel must be the blur of the resized image")
    beside = {option: images.prepare(file, size if target.resized else None).pixels for option, file in whole.items()}
    beside |= {} if fitted is None else {"known": fitted}
    if not target.fills and image.pixels.isnan().any():
        raise ImageError(
            f"image={pictures.sources['image']}: some values are NaN or infinite, which marks missing pixels; fill them in "
            "with target=inpaint, for example target=inpaint target.mask=mask.png"
        )
    seen = target.observe_file(image.pixels, config.seed, beside, image.jpeg)
    seen = dataclasses.replace(seen, channels=image.pixels.shape[1])
    image = opaque(image, seen) if target.masked else image
    if config.reference is not None:
        seen = dataclasses.replace(seen, reference=of_image(size, seen.size, image, pictures))
    return image, seen


def _measured(config: Config, pictures: Pictures) -> tuple[Picture, Observation]:
    """`observe` for measurements: a picture that stands for their image. The operator is tried on the device of the fit."""
    import torch

    from dip.fitting.references import of_measurements
    from dip.hardware import devices
    from dip.images import Picture
    from dip.images.picture import read_values

    values = read_values(pictures.given.get("image", Path(pictures.sources["image"])), "y")
    given = {name.removeprefix("target."): value for name, value in pictures.given.items()}
    device = devices.pick_device(config.device)
    arithmetic = devices.pick_precision(config.precision.name, device)
    with devices.prepared(arithmetic):
        seen = config.target.observe_raw(values, given, span=config.range, device=device, dtype=arithmetic.dtype)
    channels = seen.shape[0]
    like = Picture(
        torch.zeros(()).expand(1, channels, *seen.size), mode="float32", flat=channels == (2 if seen.complex else 1),
        name=Path(config.image).stem,
    )  # fmt: skip
    if config.reference is not None:
        seen = dataclasses.replace(seen, reference=of_measurements(config.range, pictures, seen))
    return like, seen
