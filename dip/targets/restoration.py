"""The tasks of the original paper: the image was damaged, or is damaged here to see how well it can be mended.

The image is taken as what was observed, and is scored only if option `reference` gives the answer. Where an option
says to simulate (`simulate`, a JPEG `quality`, a drawn mask, a flash pair without a flash file), the image is the
answer: it is damaged first, and the restored image is scored against it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from dip.errors import ImageError
from dip.options import check_choice, check_flag, check_integer, check_number, option, pass_over, reject
from dip.targets.target import NO_PICTURES, Observation, Target, direct, draws

if TYPE_CHECKING:
    from torch import Tensor

BORDER = 4  # pixels that the paper's tables leave out at each side, at every factor
WARM = (0.9, 0.6, 0.35)  # the colour of a dim bulb, which lights the simulated photo without flash


@dataclasses.dataclass
class Degraded(Target):
    """The image is the observation as it is, with no noise added; scored only if `reference` gives the answer."""

    name: str = "degraded"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, with no reference."""
        return direct(image, None)

    def baselines(self, observation: Observation) -> dict[str, Tensor]:
        """Non-local means, total variation and wavelets, told the noise level that the image seems to have."""
        from dip.stopping import noise_level
        from dip.targets import baselines

        return baselines.denoise(observation.y, noise_level.noise_level(observation.y))


@dataclasses.dataclass
class SuperRes(Target):
    """The image is small, and becomes `factor` times larger."""

    name: str = "superres"
    factor: int = option(4, "how many times more pixels per side", "an integer from 2 to 16", "4")
    simulate: bool = option(
        False,
        "shrink the image first: it is what the restored image is scored against",
        "true or false",
        "true",
    )
    kernel: str = option(
        "lanczos3",
        "how the fit shrinks what it compares with the small image: lanczos3 is how most programs do, "
        "lanczos2 what the original paper fits with",
        "lanczos2 or lanczos3",
        "lanczos2",
    )

    def __post_init__(self) -> None:
        check_integer(self, "factor", low=2, high=16, prefix="target.")
        check_flag(self, "simulate", prefix="target.")
        check_choice(self, "kernel", ("lanczos2", "lanczos3"), prefix="target.")

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = the image, or with `simulate` the image shrunk by lanczos3 (as the paper's small images were made)."""
        from dip.targets.operators import Downsample

        height, width = image.shape[-2:]
        if not self.simulate:
            size = (self.factor * height, self.factor * width)
            return Observation(image, Downsample(self.factor, size, self.kernel), None, size)
        size = (height, width)
        y = Downsample(self.factor, size, "lanczos3")(image).clamp(0, 1)  # (1, C, H / factor, W / factor)
        return Observation(y, Downsample(self.factor, size, self.kernel), image, size)

    def scores(self, restored: Tensor, observation: Observation) -> dict[str, float]:
        """Adds `psnr_y`, the measure of the field's tables, for gray and RGB."""
        from dip import metrics

        scores = super().scores(restored, observation)
        if observation.reference is not None and restored.shape[1] in (1, 3):
            scores["psnr_y"] = metrics.psnr_y(restored, observation.reference.to(restored), BORDER).item()
        return scores

    def baselines(self, observation: Observation) -> dict[str, Tensor]:
        """Bicubic and Lanczos interpolation."""
        from dip.targets import baselines

        return baselines.upscale(observation.y, observation.size)


@dataclasses.dataclass
class Jpeg(Target):
    """The image was stored as JPEG with visible blocks, or is now, at a chosen quality."""

    name: str = "jpeg"
    quality: int | None = option(
        None,
        "of the JPEG that is made of the image, which then scores; null: the image has its artefacts already",
        "an integer from 1 to 100 or null",
        "10",
    )

    def __post_init__(self) -> None:
        check_integer(self, "quality", low=1, high=100, none=True, prefix="target.")

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, or with `quality` what a JPEG leaves of it (chroma at half resolution, as Pillow writes it)."""
        if self.quality is None:
            return direct(image, None)
        from dip.targets.damage import jpeg

        return direct(jpeg(image, self.quality), image)


@dataclasses.dataclass
class Deblur(Target):
    """The image is blurred by a known kernel, or is now."""

    name: str = "deblur"
    resized: ClassVar[bool] = False
    kernel: str = option(
        "gaussian",
        "the blur of one bright point: gaussian (sigma), motion (length, angle), or a picture of it, bright on black",
        "gaussian, motion or a path",
        "kernel.png",
    )
    sigma: float = option(
        2.0, "standard deviation of the gaussian kernel in pixels", "a number in (0, 100]", "2"
    )
    length: float = option(15.0, "length of the motion in pixels", "a number in (0, 1000]", "15")
    angle: float = option(
        0.0, "direction of the motion in degrees, counter-clockwise", "a number from -360 to 360", "45"
    )
    simulate: bool = option(
        False,
        "blur the image first: it is what the restored image is scored against",
        "true or false",
        "true",
    )

    def __post_init__(self) -> None:
        if not self.kernel:
            raise reject(self, "kernel", "target.")
        check_number(self, "sigma", low=0, high=100, open_low=True, prefix="target.")
        check_number(self, "length", low=0, high=1000, open_low=True, prefix="target.")
        check_number(self, "angle", low=-360, high=360, prefix="target.")
        check_flag(self, "simulate", prefix="target.")
        own = {"gaussian": {"sigma"}, "motion": {"length", "angle"}}.get(self.kernel, set())
        others = {"sigma", "length", "angle"} - own
        pass_over(self, *others, beside=f"target.kernel={self.kernel}", prefix="target.")

    def files(self) -> dict[str, str]:
        """The kernel, where it is a file."""
        return {} if self.kernel in ("gaussian", "motion") else {"kernel": self.kernel}

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, or with `simulate` the image convolved with the kernel."""
        from dip.targets import operators

        if "kernel" in pictures:
            kernel = operators.kernel_from_image(pictures["kernel"])
        elif self.kernel == "motion":
            kernel = operators.motion_kernel(self.length, self.angle)
        else:
            kernel = operators.gaussian_kernel(self.sigma)
        blur = operators.Blur(kernel)
        y = blur(image).clamp(0, 1) if self.simulate else image
        return Observation(y, blur, image if self.simulate else None, (image.shape[-2], image.shape[-1]))

    def baselines(self, observation: Observation) -> dict[str, Tensor]:
        """Richardson-Lucy deconvolution with the same kernel."""
        from dip.stopping import noise_level
        from dip.targets import baselines

        return baselines.deblur(observation.y, observation.operator, noise_level.noise_level(observation.y))


@dataclasses.dataclass
class Flash(Target):
    """A photo in dim light, and one with flash of the same scene: the flash photo takes the place of z."""

    name: str = "flash"
    ignores: ClassVar[tuple[str, ...]] = ("z",)
    flash: str | None = option(
        None,
        "the photo with flash, of the image's size; null: the image is the flash photo, and a dim one is simulated",
        "a path or null",
        "flash.jpg",
    )
    sigma: float = option(
        0.1, "standard deviation of the noise of the simulated dim photo", "a number >= 0", "0.1"
    )

    def __post_init__(self) -> None:
        check_number(self, "sigma", low=0, prefix="target.")
        if self.flash is not None and not self.flash:
            raise reject(self, "flash", "target.")
        if self.flash is not None:
            pass_over(self, "sigma", beside=f"target.flash={self.flash}", prefix="target.")

    def files(self) -> dict[str, str]:
        """The flash photo."""
        return {} if self.flash is None else {"flash": self.flash}

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = the dim image and z = the flash photo."""
        import torch

        if self.flash is None:
            tint = torch.tensor(WARM if image.shape[1] == 3 else WARM[1:2]).view(1, -1, 1, 1)
            dim = tint * image  # (1, C, H, W)
            noise = self.sigma * torch.randn(image.shape, generator=draws(seed))
            return direct((dim + noise).clamp(0, 1), dim, z=image)
        flash = pictures["flash"]
        if flash.shape[-2:] != image.shape[-2:]:
            got, want = (f"{p.shape[-1]} x {p.shape[-2]}" for p in (flash, image))
            raise ImageError(
                f"target.flash={self.flash}: is {got} pixels (width x height), the image {want}; give two photos of one "
                "scene and size, or let size resize both, for example size=512"
            )
        return direct(image, None, z=flash)
