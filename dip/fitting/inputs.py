"""The image of a run and its observation by the target, from the files and arrays that the options name."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.fitting.masking import known_pixels, opaque
from dip.fitting.network_input import guided
from dip.fitting.pictures import Pictures
from dip.fitting.prefilter import prefiltered
from dip.samples import SAMPLES

if TYPE_CHECKING:
    from torch import Tensor

    from dip.images import Picture
    from dip.targets import Observation

log = logging.getLogger("dip")


def observe(config: Config, pictures: Pictures) -> tuple[Picture, Observation]:
    """The image that `config` names, and its observation by the target, with the user's reference and guide if given.

    It is made once for each `pictures`, which belong to `config`. See `dip.fitting.measured_inputs` for measurements.

    Raises:
        DipError: an image cannot be read, or two images do not match.
    """
    if pictures.observed is None:
        if config.target.raw:
            from dip.fitting.measured_inputs import observe_measured

            image, seen = observe_measured(config, pictures)
        else:
            image, seen = _observe(config, pictures)
        pictures.observed = image, prefiltered(config, guided(config, pictures, image, seen))
    return pictures.observed


def _observe(config: Config, pictures: Pictures) -> tuple[Picture, Observation]:
    """`observe` for an image.

    Pixels that are not observed (cropped by `size`, unknown by the target's mask, NaN) have no influence on the scale.

    Raises:
        DipError: an image cannot be read, or two images do not match.
    """
    from dip import images

    target = config.target
    if "image" not in pictures.given and config.image in SAMPLES:
        target = target.for_sample()
    size = tuple(config.size) if isinstance(config.size, (list, tuple)) else config.size
    photo = pictures.load("image")
    whole = {option: pictures.load(f"target.{option}") for option in target.files() if option not in target.data}
    known, fitted = known_pixels(target, photo, whole, size)
    photo = images.rescaled(photo, config.range, known)
    pictures.tell_scale(photo, chosen=config.range is not None)
    pictures.tell_crop(photo, size)
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
        seen = dataclasses.replace(seen, reference=_reference(size, seen.size, image, pictures))
    return image, seen


def _reference(size: Any, made: tuple[int, int], image: Picture, pictures: Pictures) -> Tensor:
    """The user's reference, (1, C, *made)."""
    from dip import images

    # A target that enlarges the image has a larger reference, cropped and resized in the same way.
    wanted = None if size is None else made[0] if isinstance(size, int) else made
    stored = pictures.load("reference")
    # The same type, or values that only units explain, have the units of the image.
    if stored.mode == image.mode or (stored.scaled and stored.mode not in ("uint8", "uint16")):
        stored = images.rescaled(stored, image.units)
    known = images.prepare(stored, wanted).pixels
    want = (image.pixels.shape[1], *made)
    if known.shape[1:] != want:
        got = " x ".join(map(str, known.shape[1:]))
        raise ImageError(
            f"reference={pictures.sources['reference']}: has {got} (channels x height x width), the restored image has "
            f"{' x '.join(map(str, want))}; give the clean version of the same image, for example reference=clean.png"
        )
    return known
