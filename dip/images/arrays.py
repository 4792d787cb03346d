"""Arrays of any real type and any order of axes become (H, W, C)."""

from typing import Any

import numpy as np

from dip.images.stored import Array, Contents, Stored, Unreadable, check_bytes, check_size
from dip.images.volumes import to_image
from dip.options import log
from dip.sources import canonical

FEW = 4
"""An axis of at most FEW entries holds channels, not rows or columns."""


def as_array(source: Any) -> Array:
    """`source` as a NumPy array: a torch tensor on any device, a list, or anything else that NumPy converts.

    Masked values of a masked array become NaN.
    """
    if isinstance(source, np.ma.MaskedArray) and np.ma.is_masked(source):
        return np.where(np.ma.getmaskarray(source), np.float32(np.nan), np.ma.getdata(source))
    if hasattr(source, "detach"):
        source = source.detach().cpu()
        source = (source.float() if source.is_floating_point() else source).numpy()  # NumPy has no bfloat16
    return np.asarray(source)


def from_contents(contents: Contents, axes: str | None = None) -> Stored:
    """Interpret an array from a file: in the order `axes`, or in that of the kind of file."""
    values = contents.values
    if axes is None and contents.axes is not None and "D" in contents.axes:
        log.info("the file is read as a volume (%s) of shape %s", ", ".join(contents.axes), values.shape)
    usual = contents.guess if values.ndim == 3 and values.shape[-1] > FEW else None
    if axes is None and usual is not None:
        log.info("an array of shape %s is read as (%s), as is usual in such files; axes=ZYX or another order says otherwise",
                 values.shape, ", ".join(usual))  # fmt: skip
    return from_values(values, axes or contents.axes or contents.guess)


def from_values(values: Array, axes: str | None = None) -> Stored:
    """Interpret an array as an image.

    Args:
        values: bool, integers or floats, (H, W) or three axes, or with `axes` four; a leading further axis of length 1
            is dropped.
        axes: the order of the axes, such as CHW, or ZYX for a volume. None: the channels are the last axis if that has
            at most 4 entries, else the first if it is much shorter than the others or these are equal, else the last; a
            guess is logged.

    Raises:
        Unreadable: another type or shape.
    """
    given, axes = axes, None if axes is None else canonical(axes)
    while values.ndim > max(3, len(axes or "")) and values.shape[0] == 1:
        values = values[0]
    if values.dtype.kind == "c":
        advice = "real numbers, for example abs(array), or complex measurements with target=measured and its operator"
        raise Unreadable(f"got an array of {values.dtype}", advice)
    if values.dtype.kind not in "buif":
        raise Unreadable(f"got an array of {values.dtype}", "real numbers, for example array.astype('float32')")
    if axes is None and values.ndim == 4 and values.size:
        legal = "the order of its axes, for example axes=CZYX or axes=ZYXC (Z: slices, C: channels)"
        raise Unreadable(f"got an array of four axes, {values.shape}", legal)
    if values.ndim not in (2, 3, 4) or values.size == 0:
        legal = "one of shape (H, W) or (H, W, C), not empty"
        raise Unreadable(f"got an array of shape {values.shape}", f"{legal}, for example array[..., :3]")
    axes = axes or _guessed(values.shape)
    axes = axes.replace("C", "") if values.ndim == len(axes) - 1 else axes
    values, depth = to_image(values, axes, given)
    check_size(values.shape[1], values.shape[0])
    check_bytes(values.nbytes)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    elif values.dtype.kind == "f":
        values = values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)
    else:
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return Stored(np.ascontiguousarray(values), flat="C" not in axes and depth == 1, axes=axes, depth=depth)


def _guessed(shape: tuple[int, ...]) -> str:
    """The order of the axes that `shape` suggests. A guess that may be wrong is logged."""
    if len(shape) == 2:
        return "HW"
    first, second, last = shape
    if last <= FEW:
        return "HWC"
    short = 4 * first <= 3 * min(second, last) and min(second, last) > FEW
    axes = "CHW" if short or first != second == last else "HWC"
    log.info("an array of shape %s is read as (%s), %d channels; axes=%s says otherwise",
             shape, ", ".join(axes), shape[axes.index("C")], "HWC" if axes == "CHW" else "CHW")  # fmt: skip
    return axes
