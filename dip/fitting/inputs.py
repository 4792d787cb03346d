"""The pictures that one run is made from: files, samples, or arrays that a Python program hands over.

Imports no torch until one is loaded, so that asking for a finished run again stays quick.
"""

from __future__ import annotations

import dataclasses
import glob
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.files import digest
from dip.samples import SAMPLES

if TYPE_CHECKING:
    from torch import Tensor

    from dip.images import Picture
    from dip.targets import Observation

log = logging.getLogger("dip")

PICTURES = ("image", "reference", "target.mask", "target.kernel", "target.flash")
"""The options that name a picture."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm")
"""Of the files that are taken from a folder."""


def several(source: str) -> list[str] | None:
    """The files that a pattern or a folder stands for, `photo9` before `photo10`; None where `source` is one picture.

    In a pattern `*` and `?` stand for any letters and one, `**/` for any folders; brackets mean themselves, as they do in
    the names of many photos. Of a folder, not of those in it, the files count whose suffix is one of `SUFFIXES`.

    Raises:
        ImageError: there are none, or the folder cannot be read.
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
    found = [
        os.path.join(os.curdir, file) if file in SAMPLES else file for file in found if os.path.isfile(file)
    ]
    if not found:
        what = f"holds no {' '.join(SUFFIXES)}" if path.is_dir() else "matches no file"
        raise ImageError(f"image={source}: {what}; for example image='photos/*.jpg'")
    # Every second part is a number.
    return sorted(
        found, key=lambda file: [p.zfill(20) if p.isdecimal() else p for p in re.split(r"(\d+)", file)]
    )


class Pictures:
    """The pictures that `config` names, by option: `image`, `reference`, `target.mask`, ...

    Args:
        config: the options.
        given: pictures in memory, by the option that they stand for; what the option says is then only a name.
    """

    def __init__(self, config: Config, given: Mapping[str, Picture] | None = None) -> None:
        named = {"image": config.image, "reference": config.reference}
        named |= {f"target.{option}": path for option, path in config.target.files().items()}
        self.sources: dict[str, str] = {option: path for option, path in named.items() if path is not None}
        self.given = dict(given or {})
        self._cut_said = False
        assert self.given.keys() <= self.sources.keys(), f"no option takes one of {list(self.given)}"

    def check(self) -> None:
        """That the files are there, which is soon seen; a run would tell of it only once torch is imported.

        Raises:
            ImageError: one is not.
        """
        for option, source in self.sources.items():
            if option in self.given or source in SAMPLES or Path(source).exists():
                continue
            samples = "" if option.startswith("target.") else f", or a sample: {' '.join(sorted(SAMPLES))}"
            raise ImageError(
                f"{option}={source}: there is no such file; give a path{samples}; for example {option}=photo.png"
            )

    def digest(self, option: str) -> str | None:
        """What stands for a picture in a run's identity: the content of a file or an array, the name of a sample.

        None where the option names none.

        Raises:
            ImageError: the file cannot be read.
        """
        source = self.sources.get(option)
        if source is None:
            return None
        if option in self.given:
            return _content(self.given[option])
        if option == "image" and (files := several(source)) is not None:
            raise ImageError(
                f"image={source}: stands for {len(files)} pictures; for a run each add -m, for example "
                "python train.py -m 'image=photos/*.jpg'"
            )
        if source in SAMPLES or not Path(source).is_file():
            return f"sample {source}"  # or nothing at all, which loading it will say
        try:
            return digest(Path(source))
        except OSError as error:
            raise ImageError(f"{option}={source}: cannot be read ({error.strerror})") from None

    def load(self, option: str, size: Any = None, scale: tuple[float, float] | None = None) -> Picture:
        """The picture behind `option` at `size` (see `dip.images.prepare`). Raises ImageError or OptionError."""
        from dip import images

        picture = self.given.get(option)
        if picture is None:
            picture = images.load(self.sources[option], option, scale)
        prepared = images.prepare(picture, size)
        height, width = picture.pixels.shape[-2:]
        cut = option == "image" and isinstance(size, int) and height != width
        if cut and self.sources[option] not in SAMPLES and not self._cut_said:
            self._cut_said = True  # once, however many fits there are
            log.info(
                "image: %d x %d pixels, of which the middle square is taken, at %d x %d; size=null takes all",
                width, height, size, size,
            )  # fmt: skip
        return prepared


def observe(config: Config, pictures: Pictures) -> tuple[Picture, Observation]:
    """The image that `config` names and what its target observes of it, with the reference that the user gave.

    Raises:
        DipError: a picture cannot be read, or one does not fit the other.
    """
    target = config.target
    size = tuple(config.size) if isinstance(config.size, (list, tuple)) else config.size
    image = pictures.load("image", size)
    beside_size = size if target.resized else None
    if size is not None and not target.resized and not getattr(target, "simulate", False):
        log.warning(
            "size: resizes the image, not the kernel, which is taken as the blur of the resized image"
        )
    beside = {option: pictures.load(f"target.{option}", beside_size).pixels for option in target.files()}
    if size is not None and target.masked:
        from dip.images import prepare_mask

        whole = {option: pictures.load(f"target.{option}").pixels for option in target.files()}
        photo = pictures.load("image").pixels
        if all(picture.shape[-2:] == photo.shape[-2:] for picture in whole.values()):
            beside["mask"] = prepare_mask(target.known(photo, whole), size)
        # Else the mask was drawn for the resized image.
    seen = target.observe(image.pixels, config.seed, beside)
    if config.reference is not None:
        seen = dataclasses.replace(seen, reference=_reference(size, seen.size, image, pictures))
    return image, seen


def _reference(size: Any, made: tuple[int, int], image: Picture, pictures: Pictures) -> Tensor:
    """The known answer that the user gave, (1, C, *made)."""
    # An image that is made larger than the one given has a larger answer, cut and resized alike.
    wanted = None if size is None else made[0] if isinstance(size, int) else made
    known = pictures.load("reference", wanted, image.scale).pixels
    want = (image.pixels.shape[1], *made)
    if known.shape[1:] != want:
        got = " x ".join(map(str, known.shape[1:]))
        raise ImageError(
            f"reference={pictures.sources['reference']}: has {got} (channels x height x width), the restored image has "
            f"{' x '.join(map(str, want))}; give the clean version of the same picture, for example reference=clean.png"
        )
    return known


def _content(picture: Picture) -> str:
    """SHA-256 of what is computed with and of what the result is stored like."""
    planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha]
    described = (tuple(picture.pixels.shape), len(planes), picture.mode, picture.scale, picture.flat)
    content = [repr(described).encode(), picture.icc_profile or b""]
    return digest(b"".join([*content, *(plane.contiguous().numpy().tobytes() for plane in planes)]))
