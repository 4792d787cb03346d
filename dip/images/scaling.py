"""Which stored values become 0 and 1: those of the type, those of the data, or those that the user gives."""

import numpy as np

from dip.images.stored import Array

Scale = tuple[float, float]

BITS = (8, 10, 12, 14, 16)
TOLERANCE = 1e-6
"""Floats that leave [0, 1] by no more than this are rounding errors."""

NOISIEST = 0.25
"""Standard deviation of the strongest noise with which an image is recognised as one in [0, 1]."""

WHITE = {"uint8": 255.0, "uint16": 65535.0}
"""Types of pictures, and their white. Values of other types are in units, or in [0, 1]."""


def full_scale(mode: str) -> Scale:
    """The range of a stored type: 0 to 255 or 65535, and for all other types 0 to 1."""
    return 0.0, WHITE.get(mode, 1.0)


def choose(values: Array, white: int | None = None, known: Array | None = None) -> Scale:
    """The stored values that become 0 and 1.

    - uint8: 0 and 255. A type with a declared maximum (`white`, as in a 12-bit TIFF): 0 and this maximum.
    - Other integers: 0 and the maximum of the smallest of 8, 10, 12, 14 and 16 bits that holds them, because cameras
      and microscopes write 10, 12 and 14 bits into files of 16. If none does: the minimum and the maximum.
    - Floats: 0 and 1 if the values are within [0, 1] or leave it as noise does (`overshoots`), else the minimum and
      the maximum. These also where the maximum is as small as a rounding error, because such values have another unit.

    Args:
        values: (H, W, C) of any real type. NaN and infinite values have no influence.
        white: the declared maximum.
        known: (H, W, C) bool, where values are known; the others have no influence. None: everywhere.
    """
    kind = values.dtype.kind
    if values.dtype == np.uint8 or white is not None:
        return 0.0, float(white or 255)
    seen = values if known is None else values[known]
    seen = seen[np.isfinite(seen)] if kind == "f" else seen
    if seen.size == 0:
        return full_scale(str(values.dtype))
    low, high = float(seen.min()), float(seen.max())
    if kind == "f" and low >= -TOLERANCE and high <= 1 + TOLERANCE and (high > TOLERANCE or low == high == 0):
        return 0.0, 1.0
    if kind == "f" and overshoots(values if known is None else np.where(known, values, np.nan)):
        return 0.0, 1.0
    if kind != "f" and low >= 0 and high < 2**16:
        bits = 16 if high == 0 else next(bits for bits in BITS if high < 2**bits)
        return 0.0, float(2**bits - 1)
    return low, high if high > low else max(low + 1.0, low + abs(low) * TOLERANCE)


def overshoots(values: Array) -> bool:
    """Whether float values (H, W, C) are an image in [0, 1] whose noise was not clipped. Only finite ones count.

    White noise of standard deviation s leaves [0, 1] by up to 7 s (6 s in 1e9 values), and 2.3 % of it by more than
    2 s, whatever the image. Not so centred images, as in [-1, 1], bright highlights and other units. Where a quarter of
    the values is outside, as of stars on black, clipping would lose too much. s is estimated from diagonal differences
    (Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994), of a million values at most.
    """
    seen = values[np.isfinite(values)]
    if min(values.shape[:2]) < 2 or seen.size == 0 or seen.min() < -7 * NOISIEST or seen.max() > 1 + 7 * NOISIEST:
        return False
    with np.errstate(invalid="ignore"):  # the difference of infinite values
        across = np.diff(np.diff(values, axis=0), axis=1)
    across = across[np.isfinite(across)]
    noise = float(np.median(np.abs(across[:: 1 + across.size // 10**6]))) / (2 * 0.6745) if across.size else 0.0
    far = np.maximum(-seen, seen - 1)
    return bool(
        noise <= NOISIEST
        and far.max() <= 7 * noise
        and (far > 2 * noise).mean() <= 0.05
        and (far > 0).mean() <= 0.25
        and (seen > 0.25 + noise).mean() >= 0.05
    )


def to_unit(values: Array, scale: Scale) -> Array:
    """`values` as float32 in [0, 1]. Values outside `scale` are clipped. Infinite values become NaN."""
    low, high = scale
    unit: Array
    if values.dtype.kind == "f" and scale == (0.0, 1.0):
        unit = values.astype(np.float32)
    elif values.dtype.kind == "f" or low != 0 or values.dtype.itemsize > 2:
        unit = ((values - np.float64(low)) / (high - low)).astype(np.float32)
    else:
        unit = values / np.float32(high)
    return np.where(np.isfinite(unit), unit.clip(0, 1), np.float32(np.nan))


def from_unit(unit: Array, mode: str, scale: Scale) -> Array:
    """The inverse of `to_unit`: [0, 1] as the stored type `mode`. Integers are rounded to nearest."""
    low, high = scale
    if mode in ("float32", "float64"):
        values = unit if scale == (0.0, 1.0) else unit * np.float64(high - low) + low
        return values.astype(mode, copy=False)
    limits = np.iinfo(mode)
    return np.floor(unit * np.float64(high - low) + low + 0.5).clip(limits.min, limits.max).astype(mode)
