"""What all targets share: the observation that they make, and how a restored image is judged by it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from dip.targets.operators import Operator

NO_PICTURES: Mapping[str, Tensor] = types.MappingProxyType({})


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
    known: Tensor | None = None
    """Where `y` was observed at all, (1, 1, h, w): 1 = known, 0 = missing. None: everywhere."""
    z: Tensor | None = None
    """The network's input where the target brings its own, (1, C_z, H, W); None: drawn as the options `z` say."""


@dataclasses.dataclass
class Target:
    """Base of the `target` group."""

    name: str = "target"

    ignores: ClassVar[tuple[str, ...]] = ()
    """Options of `dip.configuration.schema.Config` that have no effect with this target."""

    resized: ClassVar[bool] = True
    """Whether the option `size` acts on the pictures of `files` as it does on the image."""

    @property
    def masked(self) -> bool:
        """Whether the pictures that are given say which pixels are known; `known` then takes it from them."""
        return False

    def known(self, image: Tensor, pictures: Mapping[str, Tensor]) -> Tensor:
        """Which pixels of `image` (1, C, H, W) the pictures of `files` say are known, (1, 1, H, W): 1, else 0."""
        raise NotImplementedError

    def files(self) -> dict[str, str]:
        """The pictures that options of this target name, beside the image: option -> path."""
        return {}

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """What this target observes of an image.

        Args:
            image: (1, C, H, W) float32 in [0, 1].
            seed: of every random draw.
            pictures: those that `files` names, by option, (1, C', H', W') float32 in [0, 1].

        Raises:
            ImageError: a picture does not fit the image.
        """
        raise NotImplementedError

    def finish(self, restored: Tensor, observation: Observation) -> Tensor:
        """The image to give back, (1, C, H, W), from the one that the fit ended with."""
        return restored

    def scores(self, restored: Tensor, observation: Observation) -> dict[str, float]:
        """How near `restored` (1, C, H, W) is to the reference, by protocols of `dip.metrics.PROTOCOLS`.

        {} where there is no reference. A target adds what its task is measured by.
        """
        if observation.reference is None:
            return {}
        from dip import metrics

        reference = observation.reference.to(restored)
        return {
            "psnr": metrics.psnr(restored, reference).item(),
            "ssim": metrics.ssim(restored, reference).item(),
        }

    def baselines(self, observation: Observation) -> dict[str, Tensor]:
        """Classical answers to the same observation, by name, (1, C, H, W) float32 on the CPU; {} without any."""
        return {}


def direct(y: Tensor, reference: Tensor | None, z: Tensor | None = None) -> Observation:
    """The observation of an image as it is, pixel by pixel."""
    from dip.targets.operators import Identity

    return Observation(y, Identity(), reference, (y.shape[-2], y.shape[-1]), z=z)


def draws(seed: int) -> Generator:
    """A target's random draws, apart from those of the network's weights, z and the perturbation."""
    from dip.seeds import generator

    return generator(seed, "target")
