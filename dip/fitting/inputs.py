"""The images that a run reads: files, samples, or arrays from a Python program.

Imports no torch until an image is loaded, so that a finished run is reported fast.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.samples import SAMPLES
from dip.targets import Jpeg

if TYPE_CHECKING:
    from torch import Tensor

    from dip.images import Picture
    from dip.targets import Observation

log = logging.getLogger("dip")

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm")
"""Suffixes of the image files that are read from a folder."""


def several(source: str) -> list[str] | None:
    """The files that match a pattern or lie in a folder, `photo9` before `photo10`; None if `source` is one image.

    In a pattern, `*` matches any characters, `?` one character and `**/` any folders. Brackets are literal, because
    names of photos often contain them. In a folder, files with one of `SUFFIXES` count; its subfolders do not.

    Raises:
        ImageError: there is no such file, or the folder cannot be read.
    """
    path = Path(source)
    if source in SAMPLES or path.is_file() or not (path.is_dir() or {"*", "?"} & set(source)):
        return None
    if path.is_dir():
        try:
            names = [name for name in os.listdir(path) if not name.startswith(".")]
        except OSError as error:
            raise ImageError(f"image={source}: cannot be read ({error.strerror})") from None
        found = [str(path / name) for name in names if Path(name).suffix.lower() in SUFFIXES]
    else:
        found = glob.glob(source.replace("[", "[[]"), recursive=True)
    # A file with the name of a sample is written as a path.
    found = [f"./{file}" if file in SAMPLES else file for file in found if os.path.isfile(file)]
    if not found:
        what = f"holds no {' '.join(SUFFIXES)}" if path.is_dir() else "matches no file"
        raise ImageError(f"image={source}: {what}; for example image='photos/*.jpg'")
    # Numbers are padded with zeros, so that they sort by value.
    return sorted(found, key=lambda file: re.sub(r"\d+", lambda number: number[0].zfill(20), file))


class Pictures:
    """The images that `config` names, by option: `image`, `reference`, `target.mask`, ...

    Args:
        config: the options.
        given: images in memory, by the option that they replace; the option's value is then only a name.
    """

    def __init__(self, config: Config, given: Mapping[str, Picture] | None = None) -> None:
        named = {"image": config.image, "reference": config.reference}
        named |= {f"target.{option}": path for option, path in config.target.files().items()}
        self.sources: dict[str, str] = {option: path for option, path in named.items() if path is not None}
        self.given = dict(given or {})
        self._cut_said = False
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
            return _content(self.given[option])
        if option == "image" and (files := several(source)) is not None:
            raise ImageError(
                f"image={source}: matches {len(files)} images; add -m for one run per image, for example "
                "python train.py -m 'image=photos/*.jpg'"
            )
        if source not in SAMPLES and not Path(source).exists():
            samples = "" if option.startswith("target.") else f", or a sample: {' '.join(sorted(SAMPLES))}"
            raise ImageError(
                f"{option}={source}: there is no such file; give a path{samples}; for example {option}=photo.png"
            )
        if source in SAMPLES or not Path(source).is_file():
            return f"sample {source}"  # or a device or a folder, which is an error on loading
        try:
            return hashlib.sha256(Path(source).read_bytes()).hexdigest()
        except OSError as error:
            raise ImageError(f"{option}={source}: cannot be read ({error.strerror})") from None

    def load(self, option: str, size: Any = None, scale: tuple[float, float] | None = None) -> Picture:
        """Load the image of `option` at `size` (see `dip.images.prepare`). Raises ImageError or OptionError."""
        from dip import images

        picture = self.given.get(option)
        if picture is None:
            picture = images.load(self.sources[option], option, scale)
        prepared = images.prepare(picture, size)
        height, width = picture.pixels.shape[-2:]
        cut = option == "image" and isinstance(size, int) and height != width
        if cut and self.sources[option] not in SAMPLES and not self._cut_said:
            self._cut_said = True
            log.info(
                "image: %d x %d pixels, cropped to the middle square and resized to %d x %d; size=null keeps all",
                width, height, size, size,
            )  # fmt: skip
        return prepared


def observe(config: Config, pictures: Pictures) -> tuple[Picture, Observation]:
    """The image that `config` names, and its observation by the target, with the user's reference if there is one.

    Raises:
        DipError: an image cannot be read, or two images do not match.
    """
    target = config.target
    size = tuple(config.size) if isinstance(config.size, (list, tuple)) else config.size
    image = pictures.load("image", size)
    beside_size = size if target.resized else None
    if size is not None and not target.resized and not getattr(target, "simulate", False):
        log.warning("size: resizes the image only; the kernel must be the blur of the resized image")
    beside = {option: pictures.load(f"target.{option}", beside_size).pixels for option in target.files()}
    if size is not None and target.masked:
        from dip.images import prepare_mask

        whole = {option: pictures.load(f"target.{option}").pixels for option in target.files()}
        photo = pictures.load("image").pixels
        if all(picture.shape[-2:] == photo.shape[-2:] for picture in whole.values()):
            beside["mask"] = prepare_mask(target.known(photo, whole), size)
        # Otherwise the mask already has the size of the resized image.
    if isinstance(target, Jpeg):
        seen = target.observe(image.pixels, config.seed, beside, image.jpeg)
    else:
        seen = target.observe(image.pixels, config.seed, beside)
    if config.reference is not None:
        seen = dataclasses.replace(seen, reference=_reference(size, seen.size, image, pictures))
    return image, seen


def _reference(size: Any, made: tuple[int, int], image: Picture, pictures: Pictures) -> Tensor:
    """The user's reference, (1, C, *made)."""
    # A target that enlarges the image has a larger reference, cropped and resized in the same way.
    wanted = None if size is None else made[0] if isinstance(size, int) else made
    known = pictures.load("reference", wanted, image.scale).pixels
    want = (image.pixels.shape[1], *made)
    if known.shape[1:] != want:
        got = " x ".join(map(str, known.shape[1:]))
        raise ImageError(
            f"reference={pictures.sources['reference']}: has {got} (channels x height x width), the restored image has "
            f"{' x '.join(map(str, want))}; give the clean version of the same image, for example reference=clean.png"
        )
    return known


def _content(picture: Picture) -> str:
    """SHA-256 of the pixels and of the properties that decide how the result is stored."""
    planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha]
    described = (tuple(picture.pixels.shape), len(planes), picture.mode, picture.scale, picture.flat)
    found = hashlib.sha256(repr(described).encode() + (picture.icc_profile or b"") + (picture.jpeg or b""))
    for plane in planes:
        found.update(plane.contiguous().numpy().tobytes())
    return found.hexdigest()
