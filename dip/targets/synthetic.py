"""The report's four targets, made from one clean image: the image, a noisy image, noise alone, and shuffled pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dip.options import option
from dip.targets.noise_models import NOISE_MODELS
from dip.targets.observation import Observation, direct
from dip.targets.target import NO_PICTURES, Simulated, Target, draws

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass
class Clean(Target):
    """The image itself."""

    name: str = "clean"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, scored against the image."""
        return direct(image, image)


@dataclasses.dataclass
class Noisy(Simulated):
    """The image with noise, clipped to [0, 1]; scored against the image without it.

    After `__post_init__`, `noise` holds all options that have an effect, and the shorthands are None.
    """

    name: str = "noisy"
    kind: str | None = option(
        None, "short for target.noise.kind", f"null or one of {', '.join(NOISE_MODELS)}", "poisson"
    )
    sigma: float | None = option(None, "short for target.noise.sigma", "a number >= 0", "0.1")
    peak: float | None = option(None, "short for target.noise.peak", "a number > 0", "30")
    amount: float | None = option(None, "short for target.noise.amount", "a number in [0, 1]", "0.1")

    task = "denoising"
    default_noise = "gaussian"
    shorthands = ("kind", "sigma", "peak", "amount")

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = clip(noisy image), scored against the image."""
        return direct(self.add_noise(image, draws(seed)), image)


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
        order = permutation(image.shape[-2] * image.shape[-1], seed)
        y = image.flatten(2)[:, :, order].view(image.shape)  # (1, C, H W) -> (1, C, H, W)
        return direct(y, y)


def permutation(pixels: int, seed: int) -> Tensor:
    """The permutation of `pixels` pixels that target `shuffled` applies: pixel i of y is pixel p[i] of the image."""
    import torch

    return torch.randperm(pixels, generator=draws(seed))
