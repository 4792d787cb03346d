"""The base classes of the methods. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dip.options import Options, integer, option

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from dip.methods.extras import Extras
    from dip.methods.training import Training


@dataclass
class Method(Options):
    """Base of the `method` group."""

    name: str = "method"

    prefix = "method."
    ignores: ClassVar[tuple[str, ...]] = ()
    """Options of `dip.configuration.schema.Config` that have no effect with this method."""
    tasks: ClassVar[tuple[str, ...] | None] = None
    """The values of `dip.targets.target.Target.task` that it can restore; None: all."""
    impulses: ClassVar[bool] = True
    """Whether it can restore images with noise that replaces single values, such as salt and pepper."""
    resumes: ClassVar[bool] = True
    """Whether an interrupted run resumes from a checkpoint. False: it starts again."""
    trains_z: ClassVar[bool] = False
    """Whether the network must depend on its input, because the input is trained."""
    input_is_image: ClassVar[bool] = False
    """Whether the network's input has the channels and the size of the image: `Variant.first_input` makes it."""

    def total(self, steps: int) -> int:
        """The number of steps of a run with the option `steps`."""
        return steps

    def warnings_for(self, steps: int) -> list[str]:
        """Lines on options of this method that are legal but unlikely to work in a run of `steps` steps."""
        return []


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
class Denoiser(Method):
    """Base of the methods that restore the observation without Deep Image Prior."""

    name: str = "denoiser"

    ignores: ClassVar[tuple[str, ...]] = (
        "net", "skips", "steps", "loss", "optimizer", "lr", "perturbation", "z", "ema", "ensemble", "stop", "init",
        "checkpoint_every", "keep_checkpoint",
    )  # fmt: skip
    tasks: ClassVar[tuple[str, ...] | None] = ("denoising",)
    resumes = False
    smallest: ClassVar[int] = 1
    """The smallest side of an image in pixels."""
    memory: ClassVar[tuple[float, float]] = (0.0, 0.0)
    """Bytes per value of the image and a constant, measured at 256 x 256 to 1024 x 1024 pixels; without `training`."""

    def total(self, steps: int) -> int:
        return 1


@dataclass
class Learned(Denoiser):
    """Base of the denoisers that train a small network on the observation alone."""

    steps: int = option(2000, "optimisation steps; the default is the published number", integer(1), "500")

    smallest = 2

    def total(self, steps: int) -> int:
        return self.steps

    def training(self, y: Tensor, sigma: float, seed: int, half: torch.dtype | None) -> Training:
        """The network for the observation, and how it is trained.

        Args:
            y: the observation, (1, C, H, W) in [0, 1], float32 or float64. The network has its type and device.
            sigma: the standard deviation of the noise, known or estimated, in the units of `y`.
            seed: of the weights and of all random draws.
            half: the type of the network's arithmetic, such as bfloat16; None: that of `y`.
        """
        raise NotImplementedError
