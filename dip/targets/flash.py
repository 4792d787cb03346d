"""Restoration of a photo in dim light with the help of a flash photo (the original paper, flash/no-flash)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from dip.errors import ImageError
from dip.options import option, reject
from dip.targets.observation import Observation, direct
from dip.targets.target import NO_PICTURES, Simulated, draws

if TYPE_CHECKING:
    from torch import Tensor

WARM = (0.9, 0.6, 0.35)  # RGB of the dim, warm light of the simulated photo without flash


@dataclasses.dataclass
class Flash(Simulated):
    """The image is a photo in dim light; a flash photo of the same scene is the network's input in place of z."""

    name: str = "flash"
    ignores: ClassVar[tuple[str, ...]] = ("z",)
    flash: str | None = option(
        None,
        "the photo with flash, of the image's size; null: the image is the flash photo, and a dim one is simulated",
        "a path or null",
        "flash.jpg",
    )
    sigma: float | None = option(
        None, "short for target.noise.sigma: noise of the simulated dim photo", "a number >= 0", "0.1"
    )
    default_noise = "gaussian"
    shorthands = ("sigma",)

    def __post_init__(self) -> None:
        if self.flash is not None and not self.flash:
            raise reject(self, "flash", "target.")
        super().__post_init__()

    def real_damage(self) -> str | None:
        return None if self.flash is None else f"target.flash={self.flash}"

    def files(self) -> dict[str, str]:
        """The flash photo."""
        return {} if self.flash is None else {"flash": self.flash}

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = the dim image and z = the flash photo."""
        import torch

        if self.flash is None:
            tint = torch.tensor(WARM if image.shape[1] == 3 else WARM[1:2]).view(1, -1, 1, 1)
            dim = tint * image  # (1, C, H, W)
            return direct(self.add_noise(dim, draws(seed)), dim, z=image)
        flash = pictures["flash"]
        if flash.shape[-2:] != image.shape[-2:]:
            got, want = (f"{p.shape[-1]} x {p.shape[-2]}" for p in (flash, image))
            raise ImageError(
                f"target.flash={self.flash}: is {got} pixels (width x height), the image {want}; give two photos "
                "of one scene and size, or resize both with size, for example size=512"
            )
        return direct(image, None, z=flash)
