"""Targets without an operator: the report's four, made from one clean image; a degraded photo; a flash photo pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from dip.options import choice, log, option
from dip.targets.noise_models import NOISE_MODELS, NoiseModel
from dip.targets.noise_options import AMOUNT, LEVEL, PEAK, NoiseOptions
from dip.targets.observation import Observation, direct
from dip.targets.target import NO_PICTURES, Simulated, Target, draws

if TYPE_CHECKING:
    from torch import Tensor

WARM = (0.9, 0.6, 0.35)  # RGB of the dim, warm light of the simulated photo without flash


@dataclasses.dataclass
class Clean(Target):
    """The image itself."""

    name: str = "clean"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, scored against the image."""
        return direct(image, image)


@dataclasses.dataclass
class Degraded(Target):
    """The image is the observation; no noise is added. It is scored only if the option `reference` is given.

    `noise` is that of the image, for baselines and for methods that need its level. By default the level is estimated.
    """

    name: str = "degraded"
    noise: NoiseOptions = dataclasses.field(default_factory=NoiseOptions)

    task = "denoising"

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(value is not None for value in vars(self.noise).values()):
            self.noise = self.noise.filled("gaussian", self, ())

    def known_noise(self) -> NoiseModel | None:
        return None if self.noise.kind is None else self.noise.model()

    @property
    def auto_stop(self) -> str:
        return "adaptive"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, without a reference."""
        return direct(image, None)


@dataclasses.dataclass
class Noisy(Simulated):
    """The image with noise, clipped to [0, 1]; scored against the image without it.

    After `__post_init__`, `noise` holds all options that have an effect, and the shorthands are None.
    """

    name: str = "noisy"
    kind: str | None = option(None, "short for target.noise.kind", choice(NOISE_MODELS, none=True), "poisson")
    sigma: float | None = option(None, "short for target.noise.sigma", LEVEL, "0.098")
    peak: float | None = option(None, "short for target.noise.peak", PEAK, "30")
    amount: float | None = option(None, "short for target.noise.amount", AMOUNT, "0.1")

    task = "denoising"
    default_noise = "gaussian"
    shorthands = ("kind", "sigma", "peak", "amount")

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = clip(noisy image), scored against the image."""
        return direct(self.add_noise(image, seed), image)


@dataclasses.dataclass
class Noise(Target):
    """Uniform noise of the image's shape, without natural structure; scored against itself."""

    name: str = "noise"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = U(0, 1), scored against itself."""
        import torch

        y = torch.rand(image.shape, generator=draws(seed))
        return direct(y, y)


@dataclasses.dataclass
class Shuffled(Target):
    """The image's pixels in random order, each with all its channels; scored against itself."""

    name: str = "shuffled"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image with its pixels permuted by `permutation`, scored against itself."""
        flat = image.flatten(2)  # (1, C, H W)
        y = flat[..., permutation(flat.shape[-1], seed)].view(image.shape)
        return direct(y, y)


def permutation(pixels: int, seed: int) -> Tensor:
    """The permutation of `pixels` pixels that target `shuffled` applies: pixel i of y is pixel p[i] of the image."""
    import torch

    return torch.randperm(pixels, generator=draws(seed))


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
    sigma: float | None = option(None, "short for target.noise.sigma: noise of the simulated dim photo", LEVEL, "0.098")
    default_noise = "gaussian"
    shorthands = ("sigma",)
    paths = ("flash",)

    def real_damage(self) -> str | None:
        return None if self.flash is None else f"target.flash={self.flash}"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = the dim image and z = the flash photo."""
        import torch

        if self.flash is None:
            log.info(
                "target=flash: no target.flash is given, so the image is the flash photo and a dim one is simulated"
            )
            tint = torch.tensor(WARM if image.shape[1] == 3 else WARM[1:2]).view(1, -1, 1, 1)
            dim = tint * image  # (1, C, H, W)
            return direct(self.add_noise(dim, seed), dim, z=image)
        return direct(image, None, z=pictures["flash"])
