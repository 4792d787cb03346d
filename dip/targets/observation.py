"""The observation that a target makes of an image. Imports no torch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from dip.targets.jpeg_intervals import Intervals
    from dip.targets.operators import Operator


@dataclasses.dataclass(frozen=True)
class Observation:
    """The data of one run: the fit minimises the loss between operator(network) and `y`."""

    y: Tensor
    """The observation, (1, C, h, w) float32 in [0, 1]."""
    operator: Operator
    """Maps an image (1, C, H, W) to the space of `y`."""
    reference: Tensor | None
    """The image that scores the restored one, (1, C, H, W); None if it is unknown. The fit does not use it."""
    size: tuple[int, int]
    """(H, W) of the image that the network makes."""
    known: Tensor | None = None
    """Where `y` was observed, (1, 1, h, w): 1 = known, 0 = missing. None: everywhere."""
    z: Tensor | None = None
    """The network's input if the target provides it, (1, C_z, H, W); None: drawn as the options `z` say."""
    intervals: Intervals | None = None
    """What a JPEG file says of its image; the loss then compares the image with `intervals(image)` instead of `y`."""


def direct(y: Tensor, reference: Tensor | None, z: Tensor | None = None) -> Observation:
    """An observation of the image itself, without an operator."""
    from dip.targets.operators import Identity

    return Observation(y, Identity(), reference, (y.shape[-2], y.shape[-1]), z=z)
