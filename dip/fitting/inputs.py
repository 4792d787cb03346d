"""The image of a run, its mask and its observation by the target, from the files and arrays that the options name."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dip import images
from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.fitting.network_input import guided
from dip.fitting.observed import Observed
from dip.fitting.pictures import Pictures
from dip.fitting.references import of_image, of_measurements
from dip.hardware import devices
from dip.images import Picture
from dip.images.picture import read_values
from dip.options import log
from dip.samples import SAMPLES
from dip.targets import Observation, Target


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
    pictures.log_scale(photo, config.range is not None, known)
    pictures.log_crop(photo, size)
    image = images.prepare(photo, size)
    if config.net.volumetric and image.depth == 1:  # `axes` has no Z
        image = dataclasses.replace(image, depth=image.pixels.shape[1])
        log.info("net=%s: the %d channels of the image are read as slices", config.net.name, image.depth)
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
        seen = dataclasses.replace(seen, reference=of_image(size, seen.size, image, pictures, config.range is not None))
    return image, seen


def _measured(config: Config, pictures: Pictures) -> tuple[Picture, Observation]:
    """`observe` for measurements: a picture that stands for their image. The operator is tried on the device of the fit."""
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
