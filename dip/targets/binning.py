"""Pixel binning: detectors that give the mean of blocks of pixels. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from dip.options import integer, option
from dip.targets.laboratory import Laboratory
from dip.targets.noise_models import NOISE_MODELS
from dip.targets.observation import Observation
from dip.targets.target import NO_PICTURES

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass
class Binning(Laboratory):
    """Each value of the observation is the mean of `factor` x `factor` pixels, without antialiasing."""

    name: str = "binning"
    factor: int = option(2, "side of the blocks in pixels", integer(2, 64), "4")
    task = "binning"
    levels: ClassVar[dict[str, dict[str, float]]] = {
        kind: {"sigma": 0.01} if kind == "gaussian" else {} for kind in NOISE_MODELS if kind != "none"
    }

    def unused(self) -> dict[str, str]:
        return super().unused() | ({} if self.shape is None else {"shape": "target=binning"})

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, or with `simulate` the means of its blocks with noise, clipped to [0, 1]."""
        from dip.targets.operators import Bins

        bins, size = Bins(self.factor), (image.shape[-2], image.shape[-1])
        if not self.simulate:
            return Observation(image, bins, None, (self.factor * size[0], self.factor * size[1]))
        return Observation(self.add_noise(bins(image), seed), bins, image, size)

    @property
    def raw(self) -> bool:
        """False: binned pixels are an image."""
        return False
