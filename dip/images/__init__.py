"""Pictures: files and arrays to tensors (1, C, H, W) in [0, 1], and back with their depth, alpha and profile.

| what is read                          | becomes                                                            |
|---------------------------------------|--------------------------------------------------------------------|
| PNG JPEG TIFF WEBP BMP PPM, one image | read; animations, pages are refused; of a phone's JPEG, the photo  |
| 1-bit, gray                           | C = 1; 8-bit / 255                                                 |
| RGB                                   | C = 3; 8-bit / 255                                                 |
| palette                               | RGB, C = 3, also when its colours are gray                         |
| CMYK, YCbCr                           | RGB by Pillow's plain formula; a CMYK colour profile is dropped    |
| 12- and 16-bit, gray and colour       | / 4095 and / 65535; saved with 16 bits                             |
| float TIFF                            | as it is if within [0, 1], else min .. max mapped to 0 .. 1, and   |
|                                       | back when saved; NaN and infinite values are refused               |
| alpha, a transparent colour           | kept beside the pixels, never blended; saved with the result       |
| EXIF orientation                      | applied; not written, so it is never applied twice                 |
| colour profile                        | kept, never applied; saved with results of its kind (gray or RGB)  |
| many bands (hyperspectral)            | C = bands, from arrays and from TIFF                               |
| 32-bit integers, signed, Lab          | refused                                                            |
| > 178,956,970 pixels, > 2 GiB         | refused before decoding, as are sizes that cannot fit the file     |

A text that is one of `dip.samples.SAMPLES` is that sample of scikit-image, which ships inside its wheel;
every other text, and every `Path`, is a path: a file called coins is ./coins.
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
    """One picture and what is needed to save a result the way it was stored.

    pixels: (1, C, H, W) float32 in [0, 1]; C = 1 gray, 3 RGB, anything else spectral.
    alpha: (1, 1, H, W) float32 in [0, 1], 1 is opaque; None without transparency.
    mode: "uint8", "uint16" or "float32", the numbers it was stored in.
    icc_profile: the embedded colour profile.
    scale: the stored values that became 0 and 1; other than (0, 1) for floats outside [0, 1] only.
    name: of the sample or the file without suffix.
    path: the file it came from, absolute; `save` refuses to overwrite it.
    flat: made from an (H, W) array, so `to_array` gives one back.
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
    """Reads a file or a sample by the rules above.

    Args:
        source: a path, or the name of a sample.
        option: what the user called it; errors begin with it.
        scale: for float files, the `scale` of another picture that this one is to be compared with.

    Raises:
        ImageError: whatever is wrong, in one line.
    """
    is_sample = isinstance(source, str) and source in SAMPLES
    path = sample_path(str(source)) if is_sample else Path(source)
    try:
        stored = read(path)
        pixels, mode, scale = _unit(stored.values, scale)
    except Unreadable as error:
        legal = f"a path to one complete {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture"
        legal += f", or a sample: {' '.join(sorted(SAMPLES))}"
        what = f"{option}={one_line(str(source))}: {error}"
        raise ImageError(f"{what}; give {legal}; for example {option}=photo.png") from None
    alpha = None if stored.alpha is None else _unit(stored.alpha[..., None], (0.0, 1.0))[0]
    name = str(source) if is_sample else path.stem
    return Picture(pixels, alpha, mode, stored.icc_profile, scale, name, path.absolute())


def _unit(values: Array, scale: tuple[float, float] | None = None) -> tuple[Tensor, str, tuple[float, float]]:
    """(H, W, C) stored values to (1, C, H, W) in [0, 1], with the mode and the scale they had."""
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
    """The picture at the size the fit works in; alpha goes along.

    Args:
        size: None keeps the picture; N cuts the middle square out (an odd rest is cut at the bottom or right)
            and resizes it to N x N; (H, W) resizes the whole, proportions or not. Resizing is
            bicubic (Keys, a = -0.5), antialiased when shrinking, clipped to [0, 1]; upscaling is allowed.

    Raises:
        OptionError: `size` is none of these, or above the pixel limit.
    """
    if size is None:
        return picture
    wanted = (size, size) if isinstance(size, int) else tuple(size)
    if len(wanted) != 2 or min(wanted) < 1 or math.prod(wanted) > MAX_PIXELS:
        raise OptionError(
            "size", size, f"null, N or [H, W], at least 1 and {MAX_PIXELS:,} pixels at most", "size=256"
        )
    planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha]
    planes = [_resize(plane, size).clamp(0, 1) for plane in planes]
    return replace(picture, pixels=planes[0], alpha=planes[1] if len(planes) > 1 else None)


def prepare_mask(mask: Tensor, size: int | tuple[int, int] | None) -> Tensor:
    """Where a picture at `size` is made of known pixels alone, 1, and 0 elsewhere, as `mask` says of it as it is.

    Resizing mixes a pixel with its neighbours, some with a negative weight: one missing pixel among them spoils it.
    """
    return ((_resize(mask, size) - 1).abs() < 1e-4).float()  # weights sum to 1


def _resize(plane: Tensor, size: int | tuple[int, int] | None) -> Tensor:
    """See `prepare`; not yet clipped."""
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
    """Writes (1, C, H, W) pixels in [0, 1] to a file, whole or not at all; the suffix says the format.

    8 bits, rounded to nearest, without `like`. With it: its depth as far as the format goes (TIFF: all, PNG:
    floats become 16-bit in [0, 1], others: 8-bit), its scale, its alpha (resized if the pixels have another
    size) and its colour profile if that is made for C channels. Values outside [0, 1] are clipped.

    Raises:
        ImageError: the suffix is unknown or cannot hold alpha or C channels; the target is the file that
            `like` came from, or not a regular file; it cannot be written; a value is NaN or infinite.
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
        raise cannot(f"{format} holds no transparency, take a PNG, TIFF or WEBP, for example out.png")
    if not torch.isfinite(pixels).all():
        raise cannot("some values are NaN or infinite, the fit has diverged; lower lr, for example lr=0.001")

    mode = like.mode
    if mode == "float32" and format != "TIFF":
        mode = "uint16"
    if mode == "uint16" and format not in ("PNG", "TIFF"):
        mode = "uint8"
    values, alpha, profile = _stored(pixels, mode, like.scale), None, like.icc_profile
    if like.alpha is not None:
        height, width = pixels.shape[-2:]
        alpha = _stored(_resize(like.alpha, (height, width)).clamp(0, 1), mode, (0.0, 1.0))[..., 0]
    if profile is not None and profile[16:20] != {1: b"GRAY", 3: b"RGB "}.get(channels):
        profile = None  # made for other channels, readers would reject it
    try:
        if path.exists() and not path.is_file():
            raise cannot("it exists and is not a regular file; give another name, for example out.png")
        if like.path is not None and path.exists() and like.path.exists() and path.samefile(like.path):
            raise cannot("this is the input picture; give another name, for example out.png")
        write_bytes(path, encode(Stored(values, alpha, profile), format))
    except ImageError:
        raise
    except (OSError, ValueError, RunError) as error:  # a full disk, no folder, too many pixels for the format
        cause = error.__cause__ or error
        raise cannot(one_line(getattr(cause, "strerror", None) or str(cause))) from None


def _stored(pixels: Tensor, mode: str, scale: tuple[float, float]) -> Array:
    """(1, C, H, W) in [0, 1] to (H, W, C) of type `mode`."""
    unit: Array = to_array(pixels.clamp(0, 1))
    if mode == "float32":
        low, high = scale
        return unit if scale == (0.0, 1.0) else (unit * np.float64(high - low) + low).astype(np.float32)
    return (unit * np.float32(_FULL_SCALE[mode]) + np.float32(0.5)).astype(mode)


def from_array(array: Any, option: str = "image") -> Picture:
    """A picture from a NumPy array or torch tensor, (H, W) or (H, W, C), any C; no channel is taken as alpha.

    uint8 is divided by 255, uint16 by 65535, bool is 0 and 1, floats must lie in [0, 1]. Raises ImageError.
    """
    if isinstance(array, Tensor):
        array = (array.float() if array.is_floating_point() else array).detach().cpu().numpy()
    values = np.asarray(array)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)

    def wrong(got: str, legal: str) -> ImageError:
        return ImageError(
            f"{option}: got {got}; give {legal}, for example np.asarray(PIL.Image.open('photo.png'))"
        )

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
    """(1, C, H, W) pixels to an (H, W, C) float32 array; (H, W) if `like` was made from an (H, W) array."""
    assert tuple(pixels.shape[:-3]) == (1,), "pixels are (1, C, H, W)"
    array = pixels.detach().to("cpu", torch.float32)[0].permute(1, 2, 0).contiguous().numpy()  # (H, W, C)
    return array[..., 0] if like is not None and like.flat and array.shape[2] == 1 else array
