"""The images that a run reads: files, samples, or arrays from a Python program.

Imports no torch until an image is loaded, so that a finished run is reported fast.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.options import log
from dip.samples import SAMPLES, missing
from dip.sources import split

if TYPE_CHECKING:
    from torch import Tensor

    from dip.fitting.observed import Observed
    from dip.images import Picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif", ".bmp", ".ppm", ".pgm",
            ".npy", ".npz", ".mat", ".h5", ".hdf5", ".dcm", ".nii", ".nii.gz", ".fits", ".fit")  # fmt: skip
"""Suffixes of the image files that are read from a folder. A run whose file needs a package that is missing names it."""


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
        if config.target.raw and config.image in SAMPLES and "image" not in (given or {}):
            operator = config.target.files().get("operator")
            who = f"operator={operator}" if operator else f"target={config.target.name}"
            raise ImageError(f"{who}: needs the file of the measurements, for example y=measurements.npy")
        self.shown = {"image": "y", "target.operator": "operator"} if config.target.raw else {}
        """What the user calls an option, where that is not its name."""
        fields = dataclasses.fields(config.target)
        self.described: dict[str, Mapping[str, str]] = {f"target.{field.name}": field.metadata for field in fields}
        if config.target.raw:
            self.described["image"] = {"legal": "a path", "example": "measurements.npy"}
        named = {"image": config.image, "reference": config.reference, "z.guide": config.z.guide}
        named |= {f"target.{option}": path for option, path in config.target.files().items()}
        self.sources: dict[str, str] = {option: path for option, path in named.items() if path is not None}
        self.given = dict(given or {})
        self.axes = config.axes
        self.observed: Observed | None = None
        self._loaded: dict[str, Picture] = {}
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
        self._refuse_missing(option)
        path, key = split(source)
        if source in SAMPLES or not Path(path).is_file():
            return f"sample {source}"  # or a device or a folder, which is an error on loading
        try:
            content = hashlib.sha256(Path(path).read_bytes())
            content.update(b"" if key is None else key.encode(errors="surrogateescape"))
            return content.hexdigest()
        except OSError as error:
            name = self.shown.get(option, option)
            raise ImageError(f"{name}={source}: cannot be read ({error.strerror})") from None

    def _refuse_missing(self, option: str) -> None:
        """Raise ImageError with the legal values of `option` if the file that it names does not exist."""
        source, name = self.sources[option], self.shown.get(option, option)
        path = split(source)[0]
        if option in self.given or source in SAMPLES or Path(path).exists():
            return
        described = self.described.get(option, {})
        told, example = missing(path, described.get("legal")), described.get("example", "photo.png")
        raise ImageError(f"{name}={source}: {told}; for example {name}={example}")

    def load(self, option: str) -> Picture:
        """The image of `option` as it is stored, decoded once. Raises ImageError."""
        from dip import images

        if option not in self._loaded:
            self._refuse_missing(option)
            axes = self.axes if option in ("image", "reference", "z.guide") else None
            given = self.given.get(option)
            self._loaded[option] = images.load(self.sources[option], option, axes=axes) if given is None else given
        return self._loaded[option]

    def log_crop(self, photo: Picture, size: Any) -> None:
        """Log that `size` crops the image, or enlarges it."""
        height, width = photo.pixels.shape[-2:]
        sides = size if isinstance(size, tuple) else (size, size)
        if size is not None and (sides[0] > height or sides[1] > width):
            log.warning(
                "size=%s: enlarges the image, which has %d x %d pixels (height x width); size=null keeps its size",
                size if isinstance(size, int) else f"[{size[0]},{size[1]}]", height, width,
            )  # fmt: skip
        if isinstance(size, int) and height != width and self.sources["image"] not in SAMPLES:
            log.info(
                "image: %d x %d pixels, cropped to the middle square and resized to %d x %d; size=null keeps all",
                width, height, size, size,
            )  # fmt: skip

    def log_scale(self, picture: Picture, chosen: bool, known: Tensor | None = None) -> None:
        """Log which stored values became 0 and 1, if these are not the full range of the type or clip values.

        Values where `known`, (1, 1, H, W), is 0 do not count.
        """
        import numpy as np

        from dip.images.scaling import TOLERANCE

        low, high = picture.units
        advice, outside = "another range is set by range=[low,high]", 0.0
        if picture.stored is not None and (chosen or not picture.scaled):
            values, margin = picture.stored.values, TOLERANCE * (high - low)
            values = values if known is None else values[known[0, 0].numpy() > 0]
            outside = 100 * float((((values < low - margin) | (values > high + margin)) & np.isfinite(values)).mean())
            clipped = f"{outside:.1f} % of the values are outside and clipped" if outside else "no value is clipped"
            advice = clipped if chosen else f"{clipped}; {advice}"
        if picture.scaled or outside:
            log.info(
                "image: %s values; %.7g becomes 0 and %.7g becomes 1; restored.tif and saved files have the units of the "
                "input; %s", picture.mode, low, high, advice,
            )  # fmt: skip


def _content(given: Any, option: str) -> str:
    """SHA-256 of what was given from Python: of pixels and of the properties that decide how the result is stored."""
    from dip.images import Picture

    if not isinstance(given, Picture):  # measurements or an operator
        from dip.fitting.digests import digest

        return digest(given, option.removeprefix("target."))
    picture = given
    planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha]
    described = (tuple(picture.pixels.shape), len(planes), picture.mode, picture.units, picture.flat, picture.chunks)
    found = hashlib.sha256(repr(described).encode() + (picture.icc_profile or b"") + (picture.jpeg or b""))
    for plane in planes:
        found.update(plane.contiguous().numpy().tobytes())
    return found.hexdigest()


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
        found = [str(path / name) for name in names if name.lower().endswith(SUFFIXES)]
        other = sorted(name for name in names if not name.lower().endswith(SUFFIXES) and (path / name).is_file())
        if other:
            listed = ", ".join(other[:10]) + (f" and {len(other) - 10} more" if len(other) > 10 else "")
            log.warning("image=%s: left out, because their suffixes are not those of images: %s", path, listed)
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
