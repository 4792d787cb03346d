"""Denoising of an image that is noisy already."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dip.targets.observation import Observation, direct
from dip.targets.target import NO_PICTURES, Target

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass
class Degraded(Target):
    """The image is the observation; no noise is added. It is scored only if the option `reference` is given."""

    name: str = "degraded"
    task = "denoising"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, without a reference."""
        return direct(image, None)
