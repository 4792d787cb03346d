"""Super-resolution: the image is small and becomes larger (the original paper, super-resolution)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dip.options import check_choice, check_flag, check_integer, option
from dip.targets.observation import Observation
from dip.targets.target import NO_PICTURES, Simulated, draws

if TYPE_CHECKING:
    from torch import Tensor

BORDER = 4  # pixels that the paper's tables leave out at each side, at every factor


@dataclasses.dataclass
class SuperRes(Simulated):
    """The image is small, and becomes `factor` times larger."""

    name: str = "superres"
    factor: int = option(4, "ratio of the sides after and before", "an integer from 2 to 16", "4")
    simulate: bool = option(False, "shrink the image first, and score against it", "true or false", "true")
    kernel: str = option(
        "lanczos3",
        "antialiasing of the downsampling in the loss: lanczos3 as in most programs, lanczos2 as in the paper's fits",
        "lanczos2 or lanczos3",
        "lanczos2",
    )
    task = "super-resolution"

    def __post_init__(self) -> None:
        check_integer(self, "factor", low=2, high=16, prefix="target.")
        check_flag(self, "simulate", prefix="target.")
        check_choice(self, "kernel", ("lanczos2", "lanczos3"), prefix="target.")
        super().__post_init__()

    def real_damage(self) -> str | None:
        return None if self.simulate else "target.simulate=false"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, or with `simulate` the image shrunk by lanczos3 (as the paper's small images), with noise."""
        from dip.targets.operators import Downsample

        height, width = image.shape[-2:]
        if not self.simulate:
            size = (self.factor * height, self.factor * width)
            return Observation(image, Downsample(self.factor, size, self.kernel), None, size)
        size = (height, width)
        small = Downsample(self.factor, size, "lanczos3")(image).clamp(0, 1)  # (1, C, H / factor, W / factor)
        y = self.add_noise(small, draws(seed))
        return Observation(y, Downsample(self.factor, size, self.kernel), image, size)

    def scores(self, restored: Tensor, observation: Observation) -> dict[str, float]:
        """Adds `psnr_y`, the usual metric of super-resolution, for gray and RGB images."""
        from dip import metrics

        scores = super().scores(restored, observation)
        if observation.reference is not None and restored.shape[1] in (1, 3):
            scores["psnr_y"] = metrics.psnr_y(restored, observation.reference.to(restored), BORDER).item()
        return scores
