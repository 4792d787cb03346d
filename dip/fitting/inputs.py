"""The image of a run and its observation by the target, from the files and arrays that the options name.

Imports no torch until an image is loaded.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.fitting.masking import known_pixels, opaque
from dip.fitting.network_input import guided
from dip.fitting.pictures import Pictures
from dip.options import log
from dip.samples import SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from dip.images import Picture
    from dip.targets import Observation


class Observed(NamedTuple):
    """An image and its observation; for measurements, a picture that stands for the image."""

    picture: Picture
    seen: Observation

    def exact(self, restored: Tensor) -> NDArray[Any]:
        """The restored image (1, C, H, W) as `images/restored.npy` holds it.

        An image is (H, W, C) float32 in [0, 1], a volume has the axes of the input. Measurements give (H, W, C) float32
        or complex64 in the user's units.
        """
        from dip import images

        if self.seen.measurements is not None:
            return self.seen.values(restored)
        return images.to_array(restored, self.picture if self.picture.axes else None)

    def read(self, folder: Path) -> NDArray[Any]:
        """The restored image in a run folder, as `exact` returns it."""
        import numpy as np

        from dip import images

        like, file = self.picture, folder / "images" / "restored.npy"
        if file.is_file():
            stored: NDArray[Any] = np.load(file, allow_pickle=False)
            return stored
        deep = file.with_suffix(".tif")
        if not deep.is_file():
            png_units = dataclasses.replace(like, scale=None).units
            return self.exact(images.load(file.with_suffix(".png"), "out", png_units).pixels)
        pages = None if like.axes is None else "CDHW" if "C" in like.axes else "DHW"
        return self.exact(images.load(deep, "out", like.units, pages).pixels)

    def arrays(self, exact: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """The restored image in [0, 1], the observation, and for measurements the image in the user's units, else None.

        `exact` is the restored image. The arrays have the axes of the input: (H, W, C), or (H, W) if it was gray.
        """
        import torch

        from dip import images

        picture, seen = self
        if seen.measurements is None:
            return images.to_array(images.from_array(exact, picture), picture), images.to_array(seen.y, picture), None
        shown = seen.display(torch.from_numpy(exact).permute(2, 0, 1)[None]).clamp(0, 1)
        return images.to_array(shown, picture), seen.measurements, images.arranged(exact, picture)


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
        seen = config.target.observe_raw(values, config.range, device, arithmetic.dtype, given)
    channels = seen.shape[0]
    like = Picture(
        torch.zeros(()).expand(1, channels, *seen.size), mode="float32", flat=channels == (2 if seen.complex else 1),
        name=Path(config.image).stem,
    )  # fmt: skip
    if config.reference is not None:
        seen = dataclasses.replace(seen, reference=of_measurements(config.range, pictures, seen))
    return like, seen
