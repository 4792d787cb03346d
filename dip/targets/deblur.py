"""Deblurring with a known kernel."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from dip.options import check_flag, check_number, option, reject
from dip.targets.observation import Observation
from dip.targets.target import NO_PICTURES, Simulated, draws

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass
class Deblur(Simulated):
    """The image is blurred by a known kernel, or is blurred by it first."""

    name: str = "deblur"
    resized: ClassVar[bool] = False
    kernel: str = option(
        "gaussian",
        "blur kernel: gaussian (sigma), motion (length, angle), or a picture of the blur of one point, bright on black",
        "gaussian, motion or a path",
        "kernel.png",
    )
    sigma: float = option(2.0, "standard deviation of the gaussian kernel in pixels", "a number in (0, 100]", "2")
    length: float = option(15.0, "length of the motion in pixels", "a number in (0, 1000]", "15")
    angle: float = option(
        0.0, "direction of the motion in degrees, counter-clockwise", "a number from -360 to 360", "45"
    )
    simulate: bool = option(False, "blur the image first, and score against it", "true or false", "true")
    task = "deblurring"

    def __post_init__(self) -> None:
        if not self.kernel:
            raise reject(self, "kernel", "target.")
        check_number(self, "sigma", low=0, high=100, open_low=True, prefix="target.")
        check_number(self, "length", low=0, high=1000, open_low=True, prefix="target.")
        check_number(self, "angle", low=-360, high=360, prefix="target.")
        check_flag(self, "simulate", prefix="target.")
        super().__post_init__()

    def real_damage(self) -> str | None:
        return None if self.simulate else "target.simulate=false"

    def unused(self) -> dict[str, str]:
        used = {"gaussian": {"sigma"}, "motion": {"length", "angle"}}.get(self.kernel, set())
        unused = {"sigma", "length", "angle"} - used
        return super().unused() | dict.fromkeys(sorted(unused), f"target.kernel={self.kernel}")

    def files(self) -> dict[str, str]:
        """The kernel, if it is a file."""
        return {} if self.kernel in ("gaussian", "motion") else {"kernel": self.kernel}

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, or with `simulate` the image convolved with the kernel, with noise."""
        from dip.targets import operators

        if "kernel" in pictures:
            kernel = operators.kernel_from_image(pictures["kernel"])
        elif self.kernel == "motion":
            kernel = operators.motion_kernel(self.length, self.angle)
        else:
            kernel = operators.gaussian_kernel(self.sigma)
        blur, size = operators.Blur(kernel), (image.shape[-2], image.shape[-1])
        if not self.simulate:
            return Observation(image, blur, None, size)
        return Observation(self.add_noise(blur(image).clamp(0, 1), draws(seed)), blur, image, size)
