"""The images that a run reads: files, samples, or arrays from a Python program.

Imports no torch until an image is loaded, so that a finished run is reported fast.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import importlib.util
import logging
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.fitting.masking import known_pixels, opaque
from dip.samples import SAMPLES
from dip.sources import split

if TYPE_CHECKING:
    from torch import Tensor

    from dip.images import Picture
    from dip.nets import Net
    from dip.targets import Observation

log = logging.getLogger("dip")

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif", ".bmp", ".ppm", ".pgm",
            ".npy", ".npz", ".mat", ".h5", ".hdf5", ".dcm", ".nii", ".nii.gz", ".fits", ".fit")  # fmt: skip
"""Suffixes of the image files that are read from a folder."""
PACKAGES = {"pi_heif": [".heic", ".heif"], "h5py": [".h5", ".hdf5"], "pydicom": [".dcm"], "nibabel": [".nii", ".nii.gz"],
            "astropy": [".fits", ".fit"]}  # fmt: skip
"""Optional packages, and the suffixes of the files that need them."""


def several(source: str) -> list[str] | None:
    """The files that match a pattern or lie in a folder, `photo9` before `photo10`; None if `source` is one image.

    In a pattern, `*` matches any characters, `?` one character and `**/` any folders. Brackets are literal, because
    names of photos often contain them. In a folder, files with one of `SUFFIXES` count; its subfolders do not.

    Raises:
        ImageError: there is no such file, or the folder cannot be read.
    """
    source, key = split(source)
    path = Path(source)
    if source in SAMPLES or path.is_file() or not (path.is_dir() or {"*", "?"} & set(source)):
        return None
    if path.is_dir():
        try:
            names = [name for name in os.listdir(path) if not name.startswith(".")]
        except OSError as error:
            raise ImageError(f"image={source}: cannot be read ({error.strerror})") from None
        readable = _readable()
        found = [str(path / name) for name in names if name.lower().endswith(readable)]
        _tell_left_out(path, [name for name in names if not name.lower().endswith(readable)])
    else:
        found = glob.glob(source.replace("[", "[[]"), recursive=True)
    # A file with the name of a sample is written as a path.
    found = [f"./{file}" if file in SAMPLES else file for file in found if os.path.isfile(file)]
    if not found:
        what = f"holds no {' '.join(SUFFIXES)}" if path.is_dir() else "matches no file"
        raise ImageError(f"image={source}: {what}; for example image='photos/*.jpg'")
    found = found if key is None else [f"{file}:{key}" for file in found]
    # Numbers are padded with zeros, so that they sort by value.
    return sorted(found, key=lambda file: re.sub(r"\d+", lambda number: number[0].zfill(20), file))


def _readable() -> tuple[str, ...]:
    """The `SUFFIXES` of which this installation can decode the files."""
    from PIL import features

    lacking = [".avif"] * (not features.check("avif"))
    for package, suffixes in PACKAGES.items():
        lacking += suffixes if importlib.util.find_spec(package) is None else []
    return tuple(suffix for suffix in SUFFIXES if suffix not in lacking)


def _tell_left_out(folder: Path, names: Iterable[str]) -> None:
    """Warn about the files in `folder` that are not read, with up to ten of their `names`."""
    files = sorted(name for name in names if (folder / name).is_file())
    if not files:
        return
    shown = ", ".join(files[:10]) + (f" and {len(files) - 10} more" if len(files) > 10 else "")
    heic = any(name.lower().endswith((".heic", ".heif")) for name in files)
    advice = "; for HEIC install pi-heif, for example pip install 'deep-image-prior[heic]'" if heic else ""
    log.warning(
        "image=%s: left out, because their suffixes are not those of readable images: %s%s", folder, shown, advice
    )


class Pictures:
    """The images that `config` names, by option: `image`, `reference`, `target.mask`, ...

    Args:
        config: the options.
        given: images in memory, by the option that they replace; the option's value is then only a name. Measurements
            are arrays, an operator is a callable.

    Raises:
        OptionError: an option of the target without a default is missing.
    """

    def __init__(self, config: Config, given: Mapping[str, Any] | None = None) -> None:
        config.target.check_complete()
        named = {"image": config.image, "reference": config.reference}
        named |= {f"target.{option}": path for option, path in config.target.files().items()}
        self.sources: dict[str, str] = {option: path for option, path in named.items() if path is not None}
        self.given = dict(given or {})
        self.axes = config.axes
        self.observed: tuple[Picture, Observation] | None = None
        self._loaded: dict[str, Picture] = {}
        self._crop_told = self._scale_told = self._slices_told = False
        assert self.given.keys() <= self.sources.keys(), f"no option takes one of {list(self.given)}"

    def digest(self, option: str) -> str | None:
        """The image in a run's identity: SHA-256 of a file or an array, or the name of a sample. None without an image.

        Raises:
            ImageError: the file does not exist or cannot be read, or `image` is a pattern or a folder.
        """
        source = self.sources.get(option)
        if source is None:
            return None
        if option in self.given:
            return _content(self.given[option], option)
        if option == "image" and (files := several(source)) is not None:
            raise ImageError(
                f"image={source}: matches {len(files)} images; add -m for one run per image, for example "
                "python train.py -m 'image=photos/*.jpg'"
            )
        path, key = split(source)
        if source not in SAMPLES and not Path(path).exists():
            samples = "" if option.startswith("target.") else f", or a sample: {' '.join(sorted(SAMPLES))}"
            example = "my_operator.py" if option == "target.operator" else "photo.png"
            raise ImageError(
                f"{option}={source}: there is no such file; give a path{samples}; for example {option}={example}"
            )
        if source in SAMPLES or not Path(path).is_file():
            return f"sample {source}"  # or a device or a folder, which is an error on loading
        try:
            content = hashlib.sha256(Path(path).read_bytes())
            content.update(b"" if key is None else key.encode(errors="surrogateescape"))
            return content.hexdigest()
        except OSError as error:
            raise ImageError(f"{option}={source}: cannot be read ({error.strerror})") from None

    def load(self, option: str) -> Picture:
        """The image of `option` as it is stored, decoded once. Raises ImageError."""
        from dip import images

        if option not in self._loaded:
            axes = self.axes if option in ("image", "reference") else None
            given = self.given.get(option)
            self._loaded[option] = images.load(self.sources[option], option, axes=axes) if given is None else given
        return self._loaded[option]

    def tell_crop(self, photo: Picture, size: Any) -> None:
        """Log once that `size` crops the image."""
        height, width = photo.pixels.shape[-2:]
        if isinstance(size, int) and height != width and self.sources["image"] not in SAMPLES and not self._crop_told:
            self._crop_told = True
            log.info(
                "image: %d x %d pixels, cropped to the middle square and resized to %d x %d; size=null keeps all",
                width, height, size, size,
            )  # fmt: skip

    def in_slices(self, picture: Picture, net: Net) -> Picture:
        """`picture` with its number of slices: for a network of volumes, all channels are slices unless `axes` has Z."""
        channels = picture.pixels.shape[1]
        if not net.volumetric or picture.depth > 1:
            return picture
        if not self._slices_told:
            self._slices_told = True
            log.info("net=%s: the %d channels of the image are read as slices", net.name, channels)
        return dataclasses.replace(picture, depth=channels)

    def tell_scale(self, picture: Picture, chosen: bool) -> None:
        """Log once which stored values became 0 and 1, if these are not the full range of the type."""
        if picture.scaled and not self._scale_told:
            self._scale_told = True
            low, high = picture.units
            advice = "another range is set by range=[low,high]"
            if chosen and picture.stored is not None:
                values = picture.stored.values
                advice = (
                    f"{100 * ((values < low) | (values > high)).mean():.1f} % of the values are outside and clipped"
                )
            log.info(
                "image: %s values; %.7g becomes 0 and %.7g becomes 1; restored.tif and saved files have the units of the "
                "input; %s", picture.mode, low, high, advice,
            )  # fmt: skip


def observe(config: Config, pictures: Pictures) -> tuple[Picture, Observation]:
    """The image that `config` names, and its observation by the target, with the user's reference if there is one.

    It is made once for each `pictures`, which belong to `config`. See `dip.fitting.measured_inputs` for measurements.

    Raises:
        DipError: an image cannot be read, or two images do not match.
    """
    if pictures.observed is None:
        if config.target.raw:
            from dip.fitting.measured_inputs import observe_measured

            pictures.observed = observe_measured(config, pictures)
        else:
            pictures.observed = _observe(config, pictures)
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


def _content(given: Any, option: str) -> str:
    """SHA-256 of what was given from Python: of pixels and of the properties that decide how the result is stored."""
    from dip.images import Picture

    if not isinstance(given, Picture):  # measurements or an operator
        from dip.fitting.callables import digest

        return digest(given, option.removeprefix("target."))
    picture = given
    planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha]
    described = (tuple(picture.pixels.shape), len(planes), picture.mode, picture.units, picture.flat, picture.chunks)
    found = hashlib.sha256(repr(described).encode() + (picture.icc_profile or b"") + (picture.jpeg or b""))
    for plane in planes:
        found.update(plane.contiguous().numpy().tobytes())
    return found.hexdigest()
