"""What a JPEG file stores: quantization tables, and the quantized coefficients of its 8 x 8 blocks (ITU-T T.81).

Pillow decodes the file without the conversion from YCbCr to RGB. The discrete cosine transform of these samples,
divided by the table, gives the stored integers. A coefficient can be wrong by 1 where the table's entry is 1 or 2,
because the samples are rounded to 8 bits, and in blocks with many samples that the decoder clipped to 0 or 255. Blocks
that exceed the image at its right and bottom border are those of the image extended by its edge pixels.
"""

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from dip.errors import ImageError

BLOCK = 8
LUMINANCE_SUM = 3676
"""Sum of the 64 entries of the luminance table in ITU-T T.81, table K.1, which libjpeg uses at quality 50."""

ITERATIONS = 20
"""Of the estimate of samples that the decoder has clipped."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Component:
    """One component of the file: gray or luma, Cb, Cr, or a colour of RGB."""

    table: Tensor
    """The steps of the quantization, (8, 8) float32, vertical frequency first; samples range over 255."""
    stored: Tensor
    """The quantized coefficients, (1, 1, h, w, 8, 8) float32 with integer values, by row and column of the block."""
    factor: tuple[int, int]
    """Pixels of the image per sample, vertically and horizontally."""


@dataclass(frozen=True)
class JpegFile:
    """The content of a JPEG file, in the orientation in which it is stored."""

    components: tuple[Component, ...]
    """One (gray) or three."""
    ycc: bool
    """Whether the three components are Y, Cb and Cr; otherwise they are R, G and B."""
    size: tuple[int, int]
    """(H, W)."""
    orientation: int
    """The EXIF orientation, 1 to 8."""
    pixels: Tensor
    """The image that Pillow decodes, (1, C, H, W) float32 in [0, 1]."""


def read(data: bytes) -> JpegFile | None:
    """The content of a JPEG file that Pillow can decode; None for CMYK and for unusual subsampling."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        orientation = int(image.getexif().get(0x0112, 1))
        layers: list[tuple[int, int, int, int]] = image.layer  # type: ignore[attr-defined]
        tables: dict[int, list[int]] = image.quantization  # type: ignore[attr-defined]
        ids, rgb = bytes(layer[0] for layer in layers), image.info.get("adobe_transform") == 0
        pixels = np.asarray(image)
    if image.mode not in ("L", "RGB"):
        return None
    ycc = image.mode == "RGB" and not rgb and ids != b"RGB"
    samples = pixels
    if ycc:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            image.draft("YCbCr", None)  # type: ignore[arg-type]
            samples = np.asarray(image)
    height, width = pixels.shape[:2]
    sampling = np.array([(down, across) for _, across, down, _ in layers])  # (C, 2)
    if (sampling.max(0) % sampling).any():
        return None
    factors = sampling.max(0) // sampling
    components = []
    for number, (layer, factor) in enumerate(zip(layers, factors.tolist(), strict=True)):
        plane = np.atleast_3d(samples)[..., number].astype(np.float64)
        steps = torch.tensor(tables[layer[3]], dtype=torch.float32).view(BLOCK, BLOCK)
        native = torch.from_numpy(_native(plane, factor)).float()[None, None]  # (1, 1, h', w')
        whole = extend(native, factors.max(0) // factor)  # as many blocks as in the image, extended for all components
        stored = _quantized(whole, steps)
        components.append(Component(steps, stored, (factor[0], factor[1])))
    values = torch.from_numpy(np.atleast_3d(pixels).copy()).permute(2, 0, 1)[None]  # (1, C, H, W)
    return JpegFile(tuple(components), ycc, (height, width), orientation, values.float() / 255)


def quality_of(data: bytes) -> int:
    """The quality on libjpeg's scale, 1 to 100, whose luminance table is as coarse as that of a JPEG file."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        tables: dict[int, list[int]] = image.quantization  # type: ignore[attr-defined]
    scale = 100 * sum(tables[min(tables)]) / LUMINANCE_SUM  # in per cent of the table at quality 50
    return max(1, min(100, round(5000 / scale if scale > 100 else (200 - scale) / 2)))


def _quantized(samples: Tensor, steps: Tensor) -> Tensor:
    """The integers of the coefficients of `samples` (1, 1, h', w'), which the decoder has clipped to 0 and 255.

    Samples that were clipped are replaced by those that the integers found so far give, where these exceed the limit.
    """
    stored = (transform(samples - 128) / steps).round()
    dark, bright = samples <= 0, samples >= 255
    if not (dark | bright).any():
        return stored
    for _ in range(ITERATIONS):
        decoded = inverse(stored * steps) + 128
        free = torch.where(dark, decoded.clamp(max=0), torch.where(bright, decoded.clamp(min=255), samples))
        stored = (transform(free - 128) / steps).round()
    return stored


def upright(image: Tensor, orientation: int) -> Tensor:
    """Apply EXIF orientation 1 to 8 to (..., H, W). Other values change nothing."""
    if orientation in (5, 6, 7, 8):
        image = image.mT
    turned = [dim for dim, values in ((-1, (2, 3, 6, 7)), (-2, (3, 4, 7, 8))) if orientation in values]
    return image.flip(turned) if turned else image


def as_stored(image: Tensor, orientation: int) -> Tensor:
    """The inverse of `upright`."""
    return upright(image, {6: 8, 8: 6}.get(orientation, orientation))


def extend(planes: Tensor, factor: Sequence[int]) -> Tensor:
    """(1, C, h, w) with the last row and column repeated, up to whole blocks of `factor` pixels per sample."""
    height, width = planes.shape[-2:]
    down, right = -height % int(BLOCK * factor[0]), -width % int(BLOCK * factor[1])
    return functional.pad(planes, (0, right, 0, down), mode="replicate")


def transform(planes: Tensor) -> Tensor:
    """The orthonormal DCT-II of 8 x 8 blocks: (1, C, 8 h, 8 w) -> (1, C, h, w, 8, 8)."""
    height, width = planes.shape[-2:]
    blocks = planes.reshape(*planes.shape[:-2], height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    cosines = _cosines(planes.device, planes.dtype)
    found: Tensor = cosines @ blocks.transpose(-3, -2) @ cosines.mT
    return found


def inverse(coefficients: Tensor) -> Tensor:
    """The inverse of `transform`."""
    cosines = _cosines(coefficients.device, coefficients.dtype)
    return (cosines.mT @ coefficients @ cosines).transpose(-3, -2).flatten(-4, -3).flatten(-2)


@functools.cache  # a copy to the device at each step would wait for it
def _cosines(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(frequency, position), orthonormal."""
    from scipy.fft import dct  # its import takes a tenth of a second

    return torch.from_numpy(dct(np.eye(BLOCK), axis=0, norm="ortho")).to(device, dtype)


def _native(plane: Array, factor: Sequence[int]) -> Array:
    """The samples of a component, (h, w), from those that the decoder has enlarged to the image's size, (H, W)."""
    # libjpeg interpolates where a side is doubled and the other is doubled or kept, and else repeats samples.
    own = 0.75 if max(factor) == 2 and -(-plane.shape[1] // factor[1]) > 2 else 1.0
    for axis in (0, 1):
        if factor[axis] > 1:
            plane = np.moveaxis(_samples(np.moveaxis(plane, axis, 0), factor[axis], own), 0, axis)
    return np.ascontiguousarray(plane)


def _samples(values: Array, factor: int, own: float) -> Array:
    """Least squares for the samples c of which libjpeg makes `values` along axis 0, `factor` of each.

    The first of c[i] is own c[i] + (1 - own) c[i - 1], the others are own c[i] + (1 - own) c[i + 1]. The last can be
    missing.
    """
    from scipy import sparse
    from scipy.sparse.linalg import splu

    index, count = np.arange(len(values)), -(-len(values) // factor)
    nearest = index // factor
    beside = np.clip(nearest + np.where(index % factor, 1, -1), 0, count - 1)
    weights = np.repeat([own, 1 - own], len(values))
    places = np.tile(index, 2), np.concatenate([nearest, beside])
    matrix = sparse.csr_array((weights, places), shape=(len(values), count))
    solved: Array = splu((matrix.T @ matrix).tocsc()).solve(np.ascontiguousarray(matrix.T @ values))
    return solved


def compressed(image: Tensor, quality: int) -> bytes:
    """A JPEG file of the image (1, C, H, W) in [0, 1], written by Pillow: 8 bits, chroma at half resolution.

    Args:
        image: gray (C = 1) or RGB (C = 3).
        quality: from 1 (worst) to 100.

    Raises:
        ImageError: another number of channels, or sides that JPEG does not support.
    """
    channels, height, width = image.shape[1:]
    if channels not in (1, 3) or max(height, width) > 65535:
        raise ImageError(
            f"target.quality: JPEG stores gray or RGB and at most 65535 pixels a side, the image has {channels} channels "
            f"and {height} x {width} pixels; use target=degraded, or a smaller size, for example size=2048"
        )
    values = (image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()  # (H, W, C)
    buffer = io.BytesIO()
    Image.fromarray(values[..., 0] if channels == 1 else values).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
