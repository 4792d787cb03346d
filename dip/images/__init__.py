"""Images: files and arrays become tensors (1, C, H, W) in [0, 1], and are saved with their depth, alpha and profile.

| what is read                          | becomes                                                            |
|---------------------------------------|--------------------------------------------------------------------|
| PNG JPEG TIFF WEBP BMP PPM, one image | read; animations and pages are refused, previews in JPEG ignored   |
| 1-bit, gray                           | C = 1; 8-bit values / 255                                          |
| RGB                                   | C = 3; 8-bit values / 255                                          |
| palette                               | RGB, C = 3, also when its colours are gray                         |
| CMYK, YCbCr                           | RGB by Pillow's formula; a CMYK colour profile is dropped          |
| 12- and 16-bit, gray and colour       | / 4095 and / 65535; saved with 16 bits                             |
| float TIFF                            | unchanged if within [0, 1], else min .. max mapped to 0 .. 1, and  |
|                                       | back when saved; NaN and infinite values are refused               |
| alpha, a transparent colour           | kept beside the pixels, never blended; saved with the result       |
| EXIF orientation                      | applied, and not written to the result                             |
| colour profile                        | kept, never applied; saved with results of its kind (gray or RGB)  |
| many bands (hyperspectral)            | C = bands, from arrays and from TIFF                               |
| 32-bit integers, signed, Lab          | refused                                                            |
| > 178,956,970 pixels, > 2 GiB         | refused before decoding                                            |

A string that is in `dip.samples.SAMPLES` means that sample image of scikit-image. Every other string, and every `Path`,
is a path: the file coins is ./coins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dip.errors import ImageError, OptionError, RunError
from dip.files import write_bytes
from dip.images.decoding import FORMATS, MAX_PIXELS, Array, Stored, Unreadable, one_line, read
from dip.images.encoding import SUFFIXES, encode
from dip.samples import SAMPLES, sample_path

_FULL_SCALE = {"uint8": 255.0, "uint16": 65535.0}


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
    """

    pixels: Tensor
    alpha: Tensor | None = None
    mode: str = "uint8"
    icc_profile: bytes | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    name: str = "array"
    path: Path | None = None
    flat: bool = False


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
    return Picture(pixels, alpha, mode, stored.icc_profile, scale, name, path.absolute())


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
        unit = values / np.float32(_FULL_SCALE[mode])
    tensor = torch.from_numpy(np.ascontiguousarray(unit.transpose(2, 0, 1), dtype=np.float32))
    return tensor[None], mode, scale  # (1, C, H, W)


def prepare(picture: Picture, size: int | tuple[int, int] | None) -> Picture:
    """Resize an image and its alpha.

    Args:
        size: None keeps the image. N crops the central square (an odd remainder is cut at the bottom or right) and
            resizes it to N x N. (H, W) resizes the whole image and may change its aspect ratio. Resizing is bicubic
            (Keys, a = -0.5), antialiased when shrinking, clipped to [0, 1].

    Raises:
        OptionError: `size` has another form or exceeds the pixel limit.
    """
    if size is None:
        return picture
    wanted = (size, size) if isinstance(size, int) else tuple(size)
    if len(wanted) != 2 or min(wanted) < 1 or math.prod(wanted) > MAX_PIXELS:
        legal = f"null, N or [H, W], at least 1 and {MAX_PIXELS:,} pixels at most"
        raise OptionError("size", size, legal, "size=256")
    alpha = None if picture.alpha is None else _resize(picture.alpha, size).clamp(0, 1)
    return replace(picture, pixels=_resize(picture.pixels, size).clamp(0, 1), alpha=alpha)


def prepare_mask(mask: Tensor, size: int | tuple[int, int] | None) -> Tensor:
    """Resize a mask, 1 where a pixel is known, else 0, as `prepare` does: 1 where only known pixels contribute."""
    return ((_resize(mask, size) - 1).abs() < 1e-4).float()  # the weights of the interpolation sum to 1


def _resize(plane: Tensor, size: int | tuple[int, int] | None) -> Tensor:
    """As `prepare`, without clipping."""
    height, width = plane.shape[-2:]
    if isinstance(size, int):
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        plane = plane[..., top : top + side, left : left + side]
        size = size, size
    if size is None or tuple(plane.shape[-2:]) == tuple(size):
        return plane.contiguous()
    return F.interpolate(plane, size=list(size), mode="bicubic", antialias=True, align_corners=False)


def save(path: str | Path, pixels: Tensor, like: Picture | None = None) -> None:
    """Write (1, C, H, W) pixels atomically to a file; the suffix selects the format. Values are clipped to [0, 1].

    Args:
        path: the file.
        pixels: written with 8 bits, rounded to nearest, unless `like` is given.
        like: the image whose depth, scale, alpha and colour profile are used. Alpha is resized. The profile is dropped
            if it is not for C channels. TIFF supports every depth, PNG uint8 and uint16, other formats uint8 only.

    Raises:
        ImageError: the suffix is unknown, the format does not support alpha or C channels, the file is the one that
            `like` was read from or not a regular file, writing fails, or a value is NaN or infinite.
    """
    path = Path(path)
    assert tuple(pixels.shape[:-3]) == (1,), "pixels are (1, C, H, W)"
    pixels = pixels.detach().to("cpu", torch.float32)
    like = Picture(pixels) if like is None else like
    channels = pixels.shape[1]
    format = SUFFIXES.get(path.suffix.lower())

    def cannot(why: str) -> ImageError:
        return ImageError(f"cannot write {one_line(str(path))}: {why}")

    if format is None:
        raise cannot(f"the suffix must be one of {' '.join(SUFFIXES)}, for example out.png")
    if channels not in (1, 3) and format != "TIFF":
        raise cannot(f"{channels} channels need a TIFF, for example out.tif")
    if like.alpha is not None and format not in ("PNG", "TIFF", "WEBP"):
        raise cannot(f"{format} supports no transparency; use PNG, TIFF or WEBP, for example out.png")
    if not torch.isfinite(pixels).all():
        raise cannot("some values are NaN or infinite: the fit diverged; lower lr, for example lr=0.001")

    deepest = {"TIFF": like.mode, "PNG": "uint8" if like.mode == "uint8" else "uint16"}
    mode = deepest.get(format, "uint8")
    values, alpha, profile = _stored(pixels, mode, like.scale), None, like.icc_profile
    if like.alpha is not None:
        alpha = _stored(_resize(like.alpha, (pixels.shape[2], pixels.shape[3])), mode, (0.0, 1.0))[..., 0]
    if profile is not None and profile[16:20] != {1: b"GRAY", 3: b"RGB "}.get(channels):
        profile = None  # readers reject a profile for another number of channels
    try:
        if path.exists() and not path.is_file():
            raise cannot("it exists and is not a regular file; choose another name, for example out.png")
        if like.path is not None and path.exists() and like.path.exists() and path.samefile(like.path):
            raise cannot("it is the input image; choose another name, for example out.png")
        write_bytes(path, encode(Stored(values, alpha, profile), format))
    except ImageError:
        raise
    except (OSError, ValueError, RunError) as error:  # a full disk, no such folder, an image too large for the format
        cause = error.__cause__ or error
        raise cannot(one_line(getattr(cause, "strerror", None) or str(cause))) from None


def _stored(pixels: Tensor, mode: str, scale: tuple[float, float]) -> Array:
    """Convert (1, C, H, W) in [0, 1] to (H, W, C) of type `mode`."""
    unit: Array = to_array(pixels.clamp(0, 1))
    if mode == "float32":
        low, high = scale
        return unit if scale == (0.0, 1.0) else (unit * np.float64(high - low) + low).astype(np.float32)
    return (unit * np.float32(_FULL_SCALE[mode]) + np.float32(0.5)).astype(mode)


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
