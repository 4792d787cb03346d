"""Base of the targets of laboratories, whose observation is a measurement and not an image. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from dip.errors import OptionError
from dip.options import flag, option
from dip.targets.superres_deblur import Linear
from dip.targets.target import draws

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass
class Laboratory(Linear):
    """The image is measured by a simulated instrument, and is the reference; or the file holds a measurement."""

    simulate: bool = option(
        True, "measure the image, and score against it; false: the file holds the measurement", flag(), "false"
    )
    default_noise = "gaussian"
    levels: ClassVar[Mapping[str, Mapping[str, float]]] = {"gaussian": {"sigma": 0.01}}
    """The kinds of noise that the measurement can have besides none, and the defaults of their options."""

    def __post_init__(self) -> None:
        kind = self.noise.kind or self.default_noise
        if kind not in ("none", *self.levels):
            legal = f"{', '.join(self.levels)} or none with target={self.name}"
            raise OptionError("target.noise.kind", kind, legal, f"target.noise.kind={next(iter(self.levels))}")
        if self.simulate is True:
            left = {
                name: value for name, value in self.levels.get(kind, {}).items() if getattr(self.noise, name) is None
            }
            self.noise = dataclasses.replace(self.noise, **left)
        super().__post_init__()

    def with_noise(self, y: Tensor, seed: int) -> Tensor:
        """The measurement `y` with noise, not clipped: the noise keeps its mean."""
        return self.noise_model(0).sample(y, draws(seed))
