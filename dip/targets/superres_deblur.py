"""Targets with a linear operator that removes detail: super-resolution, and deblurring with a known kernel."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from dip.options import choice, flag, integer, log, number, option
from dip.targets.observation import Observation
from dip.targets.target import NO_PICTURES, Simulated

if TYPE_CHECKING:
    from torch import Tensor

BORDER = 4  # pixels that the paper's tables leave out at each side, at every factor


@dataclasses.dataclass
class Linear(Simulated):
    """Base of the targets with an option `simulate`."""

    simulate: bool = option(False, "apply the damage to the image first, and score against the image", flag(), "true")

    def real_damage(self) -> str | None:
        return None if self.simulate else "target.simulate=false"


@dataclasses.dataclass
class SuperRes(Linear):
    """The image is small, and becomes `factor` times larger (the original paper, super-resolution)."""

    name: str = "superres"
    factor: int = option(4, "ratio of the sides after and before", integer(2, 16), "4")
    kernel: str = option(
        "lanczos3",
        "antialiasing of the downsampling in the loss: lanczos3 as in most programs, lanczos2 as in the paper's fits",
        choice(("lanczos2", "lanczos3")),
        "lanczos2",
    )
    task = "super-resolution"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, or with `simulate` the image shrunk by lanczos3 (as the paper's small images), with noise."""
        from dip.targets.operators import Downsample

        size = (image.shape[-2], image.shape[-1])
        if not self.simulate:
            size = (self.factor * size[0], self.factor * size[1])
            return Observation(image, Downsample(self.factor, size, self.kernel), None, size)
        small = Downsample(self.factor, size, "lanczos3")(image).clamp(0, 1)  # (1, C, H / factor, W / factor)
        return Observation(self.add_noise(small, seed), Downsample(self.factor, size, self.kernel), image, size)

    def scores(self, restored: Tensor, observation: Observation) -> dict[str, float]:
        """Adds `psnr_y`, the usual metric of super-resolution, for gray and RGB images."""
        from dip import metrics

        scores = super().scores(restored, observation)
        if observation.reference is not None and restored.shape[1] in (1, 3):
            scores["psnr_y"] = metrics.psnr_y(restored, observation.reference.to(restored), BORDER).item()
        return scores


@dataclasses.dataclass
class Deblur(Linear):
    """The image is blurred by a known kernel, or is blurred by it first."""

    name: str = "deblur"
    resized: ClassVar[bool] = False
    kernel: str = option(
        "gaussian",
        "blur kernel: gaussian (sigma), motion (length, angle), or a picture of the blur of one point, bright on black",
        "gaussian, motion or a path",
        "kernel.png",
    )
    sigma: float = option(2.0, "standard deviation of the gaussian kernel in pixels", number("(0, 100]"), "2")
    length: float = option(15.0, "length of the motion in pixels", number("(0, 1000]"), "15")
    angle: float = option(0.0, "direction of the motion in degrees, counter-clockwise", number("[-360, 360]"), "45")
    task = "deblurring"

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
            if kernel.shape[0] >= image.shape[-2] or kernel.shape[1] >= image.shape[-1]:
                log.warning(
                    "target.kernel: %d x %d pixels, as large as the image; a kernel is the blur of one point, in the pixels "
                    "of the image, mostly a small picture", *kernel.shape,
                )  # fmt: skip
        elif self.kernel == "motion":
            kernel = operators.motion_kernel(self.length, self.angle)
        else:
            kernel = operators.gaussian_kernel(self.sigma)
        blur, size = operators.Blur(kernel), (image.shape[-2], image.shape[-1])
        if not self.simulate:
            return Observation(image, blur, None, size)
        return Observation(self.add_noise(blur(image).clamp(0, 1), seed), blur, image, size)
