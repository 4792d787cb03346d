"""The report's four targets, all made from one clean image: itself, with noise, noise alone, its pixels shuffled."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dip.options import check_choice, check_number, log, option, pass_over
from dip.targets.target import NO_PICTURES, Observation, Target, direct, draws

if TYPE_CHECKING:
    from torch import Tensor

LEVELS = {"gaussian": "sigma", "poisson": "peak", "speckle": "sigma", "salt_and_pepper": "amount"}
"""The kinds of noise, and the option that says how much of it there is."""


@dataclasses.dataclass
class Clean(Target):
    """The image itself."""

    name: str = "clean"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = image, scored against the image."""
        return direct(image, image)


@dataclasses.dataclass
class Noisy(Target):
    """The image with noise, clipped to [0, 1]; scored against the image without it."""

    name: str = "noisy"
    kind: str = option(
        "gaussian",
        "gaussian adds N(0, sigma^2), speckle multiplies by 1 + N(0, sigma^2), poisson counts photons (peak), "
        "salt_and_pepper turns some values into 0 or 1 (amount)",
        f"one of {', '.join(LEVELS)}",
        "poisson",
    )
    sigma: float = option(
        0.1,
        "standard deviation of gaussian and speckle noise, where the image spans [0, 1] (25/255 in the paper)",
        "a number >= 0",
        "0.1",
    )
    peak: float = option(
        30.0, "photons that make white, for poisson noise: fewer is noisier", "a number > 0", "30"
    )
    amount: float = option(
        0.1,
        "share of the values (each channel of a pixel for itself) that salt_and_pepper hits",
        "a number in [0, 1]",
        "0.1",
    )

    def __post_init__(self) -> None:
        check_choice(self, "kind", LEVELS, prefix="target.")
        check_number(self, "sigma", low=0, prefix="target.")
        if self.sigma > 1:
            log.warning(
                "target.sigma=%g: that is more than from black to white, which is 1; 25 of 255 are target.sigma=0.098",
                self.sigma,
            )
        check_number(self, "peak", low=0, open_low=True, prefix="target.")
        check_number(self, "amount", low=0, high=1, prefix="target.")
        others = {*LEVELS.values()} - {LEVELS[self.kind]}
        pass_over(self, *others, beside=f"target.kind={self.kind}", prefix="target.")

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = clip(noisy image), scored against the image."""
        return direct(self.disturbed(image, seed).clamp(0, 1), image)

    def disturbed(self, image: Tensor, seed: int) -> Tensor:
        """`image` with the noise, not yet clipped."""
        import torch

        draw = draws(seed)
        if self.kind == "poisson":
            return torch.poisson(image * self.peak, generator=draw) / self.peak
        if self.kind == "salt_and_pepper":
            u = torch.rand(image.shape, generator=draw)  # the lower half of those that are hit is pepper
            return image.masked_fill(u < self.amount, 1.0).masked_fill(u < self.amount / 2, 0.0)
        noise = self.sigma * torch.randn(image.shape, generator=draw)
        return image + noise if self.kind == "gaussian" else image * (1 + noise)

    def baselines(self, observation: Observation) -> dict[str, Tensor]:
        """Non-local means, total variation and wavelets, told the kind of noise and its level; for impulses a median."""
        from dip.targets import baselines

        if self.kind == "salt_and_pepper":
            return baselines.denoise_impulses(observation.y)
        if self.kind == "poisson":
            return baselines.denoise_poisson(observation.y, self.peak)
        denoise = baselines.denoise if self.kind == "gaussian" else baselines.denoise_speckle
        return denoise(observation.y, self.sigma)


@dataclasses.dataclass
class Noise(Target):
    """Uniform noise of the image's shape: nothing natural to fit; scored against itself."""

    name: str = "noise"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = U(0, 1), scored against itself."""
        import torch

        y = torch.rand(image.shape, generator=draws(seed))
        return direct(y, y)


@dataclasses.dataclass
class Shuffled(Target):
    """The image's pixels under one random permutation; a pixel keeps its channels. Scored against itself."""

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
