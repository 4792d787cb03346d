"""An image becomes a target: what is observed, how, and what the restored image is scored against.

A target is a dataclass of its options with one method, `observe`: the node of the configuration and the object that
acts on it are the same thing. To add one, write the class, list it in `TARGETS`, and put a file in `conf/target/`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dip.options import check_number, option

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from dip.operators import Operator


@dataclasses.dataclass(frozen=True)
class Observation:
    """What one run is given: the fit minimises `|| operator(network) - y ||^2`."""

    y: Tensor
    """What is observed, (1, C, h, w) float32 in [0, 1]."""
    operator: Operator
    """How: maps an image (1, C, H, W) to the space of `y`."""
    reference: Tensor | None
    """What the restored image is scored against, (1, C, H, W); None where nobody knows it. Never part of the fit."""
    size: tuple[int, int]
    """(H, W) of the image that the network makes."""


@dataclasses.dataclass
class Target:
    """Base of the `target` group."""

    name: str = "target"

    def observe(self, image: Tensor, seed: int) -> Observation:
        """What this target observes of `image`, (1, C, H, W) float32 in [0, 1]; every random draw follows `seed`."""
        raise NotImplementedError


@dataclasses.dataclass
class Clean(Target):
    """The image itself."""

    name: str = "clean"

    def observe(self, image: Tensor, seed: int) -> Observation:
        """y = image, scored against the image."""
        return _direct(image, image)


@dataclasses.dataclass
class Noisy(Target):
    """The image with Gaussian noise, clipped to [0, 1]; scored against the image without it."""

    name: str = "noisy"
    sigma: float = option(
        0.1, "standard deviation of the noise, where the image spans [0, 1] (25/255 in the paper)", "a number >= 0", "0.1"
    )

    def __post_init__(self) -> None:
        check_number(self, "sigma", low=0, prefix="target.")

    def observe(self, image: Tensor, seed: int) -> Observation:
        """y = clip(image + N(0, sigma^2)), scored against the image."""
        import torch

        noise = torch.randn(image.shape, generator=_generator(seed))
        return _direct((image + self.sigma * noise).clamp(0, 1), image)


@dataclasses.dataclass
class Noise(Target):
    """Uniform noise of the image's shape: nothing natural to fit; scored against itself."""

    name: str = "noise"

    def observe(self, image: Tensor, seed: int) -> Observation:
        """y = U(0, 1), scored against itself."""
        import torch

        y = torch.rand(image.shape, generator=_generator(seed))
        return _direct(y, y)


@dataclasses.dataclass
class Shuffled(Target):
    """The image's pixels under one random permutation; a pixel keeps its channels. Scored against itself."""

    name: str = "shuffled"

    def observe(self, image: Tensor, seed: int) -> Observation:
        """y = image with its pixels permuted by `permutation`, scored against itself."""
        y = image.flatten(2)[:, :, permutation(image.shape[-2] * image.shape[-1], seed)]  # (1, C, H W)
        return _direct(y.view(image.shape), y.view(image.shape))


@dataclasses.dataclass
class Degraded(Target):
    """The image is the observation as it is, with no noise added; scored only if `reference` gives the answer."""

    name: str = "degraded"

    def observe(self, image: Tensor, seed: int) -> Observation:
        """y = image, with no reference."""
        return _direct(image, None)


TARGETS: dict[str, type[Target]] = {
    "clean": Clean,
    "noisy": Noisy,
    "noise": Noise,
    "shuffled": Shuffled,
    "degraded": Degraded,
}


def permutation(pixels: int, seed: int) -> Tensor:
    """The permutation of `pixels` pixels that target `shuffled` applies: pixel i of y is pixel p[i] of the image."""
    import torch

    return torch.randperm(pixels, generator=_generator(seed))


def _direct(y: Tensor, reference: Tensor | None) -> Observation:
    from dip.operators import Identity

    return Observation(y, Identity(), reference, (y.shape[-2], y.shape[-1]))


def _generator(seed: int) -> Generator:
    """Draws of their own, apart from those of the network's weights, z and the perturbation."""
    from dip.seeds import generator

    return generator(seed, "target")
