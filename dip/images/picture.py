"""Images in memory, made from files and from arrays; the rules are in `dip.images`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dip.errors import ImageError
from dip.images.decoding import FORMATS, Array, Unreadable, one_line, read
from dip.samples import SAMPLES, sample_path

FULL_SCALE = {"uint8": 255.0, "uint16": 65535.0}
"""The stored value that becomes 1."""


@dataclass(frozen=True)
class Picture:
    """One image and the format that it was stored in.

    pixels: (1, C, H, W) float32 in [0, 1]; C = 1 gray, 3 RGB, else spectral.
    alpha: (1, 1, H, W) float32 in [0, 1], 1 is opaque; None without transparency.
    mode: the stored data type, "uint8", "uint16" or "float32".
    icc_profile: the embedded colour profile.
    scale: the stored values that became 0 and 1. It differs from (0, 1) only for floats outside [0, 1].
    name: of the sample, or of the file without suffix.
    path: the absolute path of the file; `save` refuses to overwrite it.
    flat: whether the source was an (H, W) array; then `to_array` returns one.
    jpeg: the content of the JPEG file that the image comes from, also if `pixels` have been changed since.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    mode: str = "uint8"
    icc_profile: bytes | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    name: str = "array"
    path: Path | None = None
    flat: bool = False
    jpeg: bytes | None = None


def from_bytes(data: bytes, option: str = "image") -> Picture:
    """Decode the content of an image file, as `load`. Raises ImageError."""
    try:
        stored = read(data)
        pixels, mode, scale = _unit(stored.values)
    except Unreadable as error:
        legal = f"the content of one complete {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image"
        raise ImageError(f"{option}: {error}; give {legal}, for example open('photo.jpg', 'rb').read()") from None
    alpha = None if stored.alpha is None else _unit(stored.alpha[..., None], (0.0, 1.0))[0]
    return Picture(pixels, alpha, mode, stored.icc_profile, scale, jpeg=stored.jpeg)


def load(source: str | Path, option: str = "image", scale: tuple[float, float] | None = None) -> Picture:
    """Read a file or a sample by the rules above.

    Args:
        source: a path, or the name of a sample.
        option: the option that the source was given for; error messages begin with it.
        scale: for float files, the `scale` of the image that this one will be compared with.

    Raises:
        ImageError: the file cannot be used. The message is one line.
    """
    is_sample = isinstance(source, str) and source in SAMPLES
    path = sample_path(str(source)) if is_sample else Path(source)
    try:
        stored = read(path)
        pixels, mode, scale = _unit(stored.values, scale)
    except Unreadable as error:
        legal = f"a path to one complete {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image"
        legal += f", or a sample: {' '.join(sorted(SAMPLES))}"
        what = f"{option}={one_line(str(source))}: {error}"
        raise ImageError(f"{what}; give {legal}; for example {option}=photo.png") from None
    alpha = None if stored.alpha is None else _unit(stored.alpha[..., None], (0.0, 1.0))[0]
    name = str(source) if is_sample else path.stem
    return Picture(pixels, alpha, mode, stored.icc_profile, scale, name, path.absolute(), jpeg=stored.jpeg)


def _unit(values: Array, scale: tuple[float, float] | None = None) -> tuple[Tensor, str, tuple[float, float]]:
    """Convert (H, W, C) stored values to (1, C, H, W) in [0, 1]; also return their `mode` and `scale`."""
    mode = str(values.dtype)
    if mode == "float32":
        if not np.isfinite(values).all():
            raise Unreadable("some values are NaN or infinite")
        low, high = float(values.min()), float(values.max())
        if scale is None:
            scale = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high if high > low else low + 1.0)
        low, high = scale
        unit = (values if scale == (0.0, 1.0) else (values - np.float64(low)) / (high - low)).clip(0, 1)
    else:
        scale = (0.0, 1.0)
        unit = values / np.float32(FULL_SCALE[mode])
    tensor = torch.from_numpy(np.ascontiguousarray(unit.transpose(2, 0, 1), dtype=np.float32))
    return tensor[None], mode, scale  # (1, C, H, W)


def from_array(array: Any, option: str = "image") -> Picture:
    """Convert a NumPy array or torch tensor, (H, W) or (H, W, C), with any C. No channel is interpreted as alpha.

    uint8 is divided by 255 and uint16 by 65535. bool becomes 0 and 1. Floats must lie in [0, 1].

    Raises:
        ImageError: another type, shape or range.
    """
    if isinstance(array, Tensor):
        array = (array.float() if array.is_floating_point() else array).detach().cpu().numpy()
    values = np.asarray(array)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)

    def wrong(got: str, legal: str) -> ImageError:
        example = "np.asarray(PIL.Image.open('photo.png'))"
        return ImageError(f"{option}: got {got}; give {legal}, for example {example}")

    shape = "(H, W) or (H, W, C), channels last"
    if values.ndim not in (2, 3) or values.size == 0:
        raise wrong(f"an array of shape {values.shape}", f"one of shape {shape}, not empty")
    if values.ndim == 3 and values.shape[0] in (1, 3, 4) and min(values.shape[1:]) > 4:
        raise wrong(f"shape {values.shape}, which looks like (C, H, W)", shape)
    flat = values.ndim == 2
    values = values[..., None] if flat else values
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    elif values.dtype.kind == "f":
        if not (values.min() >= 0 and values.max() <= 1):  # NaN fails too
            raise wrong(f"values from {values.min():.4g} to {values.max():.4g}", "finite values in [0, 1]")
        values = values.astype(np.float32)
    elif values.dtype not in (np.uint8, np.uint16):
        raise wrong(f"an array of {values.dtype}", "uint8, uint16, bool or floats in [0, 1]")
    pixels, mode, scale = _unit(values)
    return Picture(pixels, mode=mode, scale=scale, flat=flat)


def to_array(pixels: Tensor, like: Picture | None = None) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Convert (1, C, H, W) pixels to an (H, W, C) float32 array, or (H, W) if `like` was made from such an array."""
    assert tuple(pixels.shape[:-3]) == (1,), "pixels are (1, C, H, W)"
    array = pixels.detach().to("cpu", torch.float32)[0].permute(1, 2, 0).contiguous().numpy()  # (H, W, C)
    return array[..., 0] if like is not None and like.flat and array.shape[2] == 1 else array
