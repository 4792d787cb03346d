"""The order of an array's axes: C channels, H or Y rows, W or X columns, D or Z slices of a volume.

A volume is kept as an image (H, W, C * D): its channels are channels x slices, the slices of the first channel first.
"""

from __future__ import annotations

from dip.images.stored import Array, Unreadable


def to_image(values: Array, axes: str) -> tuple[Array, int]:
    """`values` in the order `axes` as (H, W, C * D), and D, which is 1 without an axis D.

    Raises:
        Unreadable: the array has another number of axes.
    """
    if len(axes) != values.ndim:
        text = f"axes={axes}, but the array has {values.ndim} axes, {values.shape}"
        raise Unreadable(text, f"axes={SUGGESTED.get(values.ndim, 'CDHW')}")
    order = [axes.index(letter) for letter in "CDHW" if letter in axes]
    depth = values.shape[axes.index("D")] if "D" in axes else 1
    values = values.transpose(order)
    values = values.reshape(-1, *values.shape[-2:])  # (C * D, H, W)
    return values.transpose(1, 2, 0), depth


SUGGESTED = {2: "HW", 3: "HWC or axes=ZYX", 4: "CZYX"}
"""Orders for arrays of two to four axes."""


def from_image(image: Array, axes: str, depth: int) -> Array:
    """The inverse of `to_image`: (H, W, C * `depth`) in the order `axes`."""
    height, width = image.shape[:2]
    values = image.transpose(2, 0, 1).reshape(-1, depth, height, width)  # (C, D, H, W)
    names = "".join(letter for letter in "CDHW" if letter in axes)
    values = values.reshape([n for letter, n in zip("CDHW", values.shape, strict=True) if letter in axes])
    return values.transpose([names.index(letter) for letter in axes])
