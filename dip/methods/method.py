"""The base classes of the methods. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dip.options import Options

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dip.methods.extras import Extras


@dataclass
class Method(Options):
    """Base of the `method` group."""

    name: str = "method"

    prefix = "method."
    ignores: ClassVar[tuple[str, ...]] = ()
    """Options of `dip.configuration.schema.Config` that have no effect with this method."""
    trains_z: ClassVar[bool] = False
    """Whether the network must depend on its input, because the input is trained."""
    input_is_image: ClassVar[bool] = False
    """Whether the network's input has the channels and the size of the image: `Variant.first_input` makes it."""


@dataclass
class Variant(Method):
    """Deep Image Prior (Ulyanov et al. 2018, arXiv 1711.10925): fits a network with a fixed, perturbed input."""

    name: str = "dip"

    def first_input(self, start: Tensor, seed: int) -> Tensor:
        """The first input of a network with `seed`, (1, C, H, W), where `input_is_image`.

        Args:
            start: c A'y, with the scale c for which its observation is closest to y; (1, C, H, W).
            seed: of the network.
        """
        return start

    def extras(self, net: nn.Module, z: Tensor, y: Tensor, seed: int) -> Extras:
        """What this variant adds to the fit of one network.

        Args:
            net: the network, which may be changed.
            z: its first input, (1, C_z, H', W').
            y: the observation, (1, C, h, w).
            seed: of the network.
        """
        from dip.methods.extras import Extras

        return Extras()


@dataclass
class Rival(Method):
    """Base of the methods that restore the observation without Deep Image Prior."""

    name: str = "rival"

    ignores = (
        "net",
        "skips",
        "steps",
        "loss",
        "optimizer",
        "lr",
        "perturbation",
        "z",
        "ema",
        "ensemble",
        "stop",
        "init",
    )
    tasks: ClassVar[tuple[str, ...]] = ("denoising",)
    """The values of `dip.targets.target.Target.task` that it can restore."""
