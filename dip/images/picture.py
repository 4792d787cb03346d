"""Images in memory, made from files, arrays and other objects; the rules are in `dip.images`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dip.errors import ImageError
from dip.images import scaling
from dip.images.decoding import FORMATS, read, read_array
from dip.images.scaling import Scale
from dip.images.stored import Array, Stored, Unreadable, one_line
from dip.images.volumes import from_image, to_image
from dip.options import log
from dip.samples import SAMPLES, missing, sample_path
from dip.sources import split


@dataclass(frozen=True)
class Picture:
    """One image and the format that it was stored in.

    pixels: (1, C, H, W) float32 in [0, 1]; C = 1 gray, 3 RGB, else spectral. NaN: the source marks it as missing.
    alpha: (1, 1, H, W) float32 in [0, 1], 1 is opaque; None without transparency.
    mode: the stored data type, "uint8", "uint16", "float32", "int32", ...
    icc_profile: the embedded colour profile.
    scale: the stored values that became 0 and 1; None: the full range of `mode`, see `dip.images.scaling`.
    name: of the sample, or of the file without suffix.
    path: the absolute path of the file; `save` refuses to overwrite it.
    flat: whether the source was gray without an axis of channels; then `to_array` returns (H, W).
    chunks: the PNG chunks that describe the colours; `save` writes them into PNG files.
    stored: the values before scaling; None after resizing, or if the image was made from pixels.
    jpeg: the content of the JPEG file that the image comes from, also if `pixels` have been changed since.
    depth: slices of a volume, whose channels are channels x slices; 1 for an image.
    axes: the order of the axes of a volume, such as DHW, in which it is given back; None for an image.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    mode: str = "uint8"
    icc_profile: bytes | None = None
    scale: Scale | None = None
    name: str = "array"
    path: Path | None = None
    flat: bool = False
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    stored: Stored | None = field(default=None, repr=False, compare=False)
    jpeg: bytes | None = field(default=None, repr=False)
    depth: int = 1
    axes: str | None = None

    @property
    def units(self) -> Scale:
        """The stored values that became 0 and 1."""
        return scaling.full_scale(self.mode) if self.scale is None else self.scale

    @property
    def scaled(self) -> bool:
        """Whether the stored values that became 0 and 1 are not those of the full range of `mode`."""
        return self.units != scaling.full_scale(self.mode)

    def is_volume(self, channels: int) -> bool:
        """Whether an image of so many channels can have the axes of this volume."""
        deep = self.axes is not None and channels % self.depth == 0
        return deep and ("C" in str(self.axes) or channels == self.depth)


def load(source: Any, option: str = "image", scale: Scale | None = None, axes: str | None = None) -> Picture:
    """Read an image by the rules of `dip.images`.

    Args:
        source: a path, the name of a sample, the bytes of a file, a file that is open for reading bytes, a PIL image,
            a NumPy array, a torch tensor or anything else that NumPy converts. Only a path or a name is a string.
        option: the option that the source was given for; error messages begin with it.
        scale: the stored values that become 0 and 1; None: as `dip.images.scaling.choose` decides.
        axes: the order of the axes of an array, or of the pages of a TIFF, such as CHW; None: a guess.

    Raises:
        ImageError: the source cannot be used. The message is one line.
    """
    place, key, name = located(source)
    try:
        stored = read(place, axes, key)
    except Unreadable as error:
        raise refused(source, option, error) from None
    if axes is not None and stored.axes is None and option == "image":
        log.warning("axes: has no effect on this kind of file, whose format defines the axes")
    mode, alpha = str(stored.values.dtype), stored.alpha
    scale = scaling.choose(stored.values, stored.white) if scale is None else scale
    return Picture(
        _tensor(scaling.to_unit(stored.values, scale)),
        None if alpha is None else _tensor(scaling.to_unit(alpha[..., None], scaling.full_scale(mode))),
        mode,
        stored.icc_profile,
        scale,
        name=name,
        path=place.absolute() if isinstance(place, Path) else None,
        flat=stored.flat,
        chunks=stored.chunks,
        stored=stored,
        jpeg=stored.jpeg,
        depth=stored.depth,
        axes=stored.axes if stored.axes is not None and "D" in stored.axes else None,
    )


def read_values(source: Any, option: str = "image") -> Array:
    """The values in a file or an object, as they are stored: measurements, which need not be an image.

    Args:
        source: as for `load`.
        option: as for `load`.

    Returns:
        Bool, integers, floats or complex numbers of any shape. NaN and infinite values are kept. A picture, such as a
        PNG file, is (H, W) or (H, W, C), without its alpha.

    Raises:
        ImageError: the source cannot be used. The message is one line.
    """
    place, key, _ = located(source)
    try:
        return read_array(place, key)
    except Unreadable as error:
        raise refused(source, option, error) from None


def located(source: Any) -> tuple[Any, str | None, str]:
    """The `Path` that `source` names, or `source` itself; the key of an array in that file; and a name for people."""
    if not isinstance(source, (str, os.PathLike)):
        return source, None, "array"
    if isinstance(source, str) and source in SAMPLES:
        return sample_path(source), None, source
    file, key = split(os.fspath(source))
    path = Path(file)
    return path, key, path.stem if key is None else f"{path.stem}_{Path(key).name}"


def refused(source: Any, option: str, error: Unreadable) -> ImageError:
    """The error of one line for the `source` of `option`."""
    named = isinstance(source, (str, os.PathLike))
    what = f"{option}={one_line(str(source))}" if named else option
    if error.advice is not None:
        return ImageError(f"{what}: {error}; give {error.advice}")
    if named and isinstance(error.__context__, FileNotFoundError):
        return ImageError(f"{what}: {missing(str(located(source)[0]))}; for example {option}=photo.png")
    legal = f"a path to one complete {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image"
    return ImageError(f"{what}: {error}; give {legal}; for example {option}=photo.png")


def rescaled(picture: Picture, scale: Sequence[float] | None = None, known: Tensor | None = None) -> Picture:
    """`picture` with other stored values as 0 and 1. Without its stored values it is returned as it is.

    Args:
        picture: as `load` returns it, not resized.
        scale: the stored values that become 0 and 1; None: as `dip.images.scaling.choose` decides.
        known: (1, 1 or C, H, W), true or 1 where pixels are known; others do not decide. None: everywhere.
    """
    stored = picture.stored
    if stored is None:
        return picture
    values = stored.values
    if scale is None:
        seen = None if known is None else np.broadcast_to(known[0].permute(1, 2, 0).numpy() > 0, values.shape)
        scale = scaling.choose(values, stored.white, seen)
    low, high = scale
    return replace(picture, pixels=_tensor(scaling.to_unit(values, (low, high))), scale=(low, high))


def _tensor(unit: Array) -> Tensor:
    """(H, W, C) as (1, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(unit.transpose(2, 0, 1), dtype=np.float32))[None]


def to_array(pixels: Tensor, like: Picture | None = None) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Convert (1, C, H, W) pixels to an (H, W, C) float32 array, or to the shape that `arranged` gives it."""
    assert tuple(pixels.shape[:-3]) == (1,), "pixels are (1, C, H, W)"
    array = pixels.detach().to("cpu", torch.float32)[0].permute(1, 2, 0).contiguous().numpy()  # (H, W, C)
    return array if like is None else arranged(array, like)


def arranged(array: Array, like: Picture) -> Array:
    """(H, W, C) as (H, W) if `like` has no axis of channels, or in the axes of `like` if that is a volume."""
    if like.axes is not None and like.is_volume(array.shape[2]):
        return np.ascontiguousarray(from_image(array, like.axes, like.depth))
    return array[..., 0] if like.flat and array.shape[2] == 1 else array


def from_array(array: Array, like: Picture) -> Tensor:
    """The inverse of `to_array`: (1, C, H, W)."""
    if like.axes is not None and array.ndim == len(like.axes):
        array = to_image(array, like.axes)[0]
    return _tensor(array if array.ndim == 3 else array[..., None])
