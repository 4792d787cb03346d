"""The base classes of the methods. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dip.options import Options


@dataclass
class Method(Options):
    """Base of the `method` group."""

    name: str = "method"

    prefix = "method."
    ignores: ClassVar[tuple[str, ...]] = ()
    """Options of `dip.configuration.schema.Config` that have no effect with this method."""


@dataclass
class Variant(Method):
    """Deep Image Prior (Ulyanov et al. 2018, arXiv 1711.10925): fits a network with a fixed, perturbed input."""

    name: str = "dip"


@dataclass
class Rival(Method):
    """Base of the methods that restore the observation without Deep Image Prior."""

    name: str = "rival"

    ignores = ("net", "skips", "steps", "loss", "optimizer", "lr", "perturbation", "z", "ema", "ensemble", "stop", "init")
    tasks: ClassVar[tuple[str, ...]] = ("denoising",)
    """The values of `dip.targets.target.Target.task` that it can restore."""
