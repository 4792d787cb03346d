"""The networks: each is a dataclass of its options that builds the module.

Importing this package does not import torch, so that options can be listed and checked at once; `build` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dip.errors import OptionError
from dip.options import check_choice, check_flag, check_integer, check_number, option, reject

if TYPE_CHECKING:
    from torch import nn

UPSAMPLINGS = ("bilinear", "nearest")
PADDINGS = ("reflection", "zeros")
ACTIVATIONS = ("leaky_relu", "relu", "elu", "swish")


@dataclass
class Net:
    """What makes an image of the input z: the prior, with the total variation that the loss can add to it."""

    name: str = "net"
    tv: float = option(
        0.0,
        "weight in the loss of the image's total variation, summed over pixels and channels: favours flat areas",
        "a number >= 0",
        "1e-7",
    )

    ignores: ClassVar[tuple[str, ...]] = ()
    """Options of `dip.configuration.schema.Config` that have no effect with this network."""

    def __post_init__(self) -> None:
        check_number(self, "tv", low=0, prefix="net.")

    def build(
        self,
        in_channels: int,
        out_channels: int,
        skips: Sequence[int],
        size: tuple[int, int] | None = None,
    ) -> nn.Module:
        """The freshly initialised module, (1, in_channels, H, W) -> (1, out_channels, H, W).

        Weights come from torch's global generator; (H, W) must be a size that `padded` returns. What has no other than
        one size takes it from `size`.

        Raises:
            OptionError: `skips` names a level that the network does not have, or names one twice.
        """
        raise NotImplementedError

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The smallest size, in pixels, not below (height, width) that z can have."""
        raise NotImplementedError

    def ordered(self, skips: Sequence[int]) -> list[int]:
        """`skips` from the finest level to the coarsest. Raises OptionError unless they are a set of its levels."""
        return sorted(skips)


@dataclass
class Hourglass(Net):
    """The encoder-decoder with skip connections of Ulyanov et al., Deep Image Prior (arXiv 1711.10925).

    Levels count from 1, the finest (the resolution of the image), to `depth`, the coarsest.
    """

    name: str = "hourglass"
    depth: int = option(
        5, "how many times the resolution is halved on the way down", "an integer from 1 to 10", "5"
    )
    channels: Any = option(
        128,
        "feature maps of each level, down and up: one number for all, or one per level from the finest",
        "an integer >= 1 or a list of net.depth such integers",
        "[16,32,64,128,128]",
    )
    skip_channels: Any = option(
        4,
        "feature maps of each skip connection: one number for all, or one per level from the finest (those "
        "of levels that are not in `skips` have no effect)",
        "an integer >= 1 or a list of net.depth such integers",
        "4",
    )
    kernel_down: int = option(
        3, "side of the convolutions on the way down, in pixels", "an odd integer from 1 to 15", "3"
    )
    kernel_up: int = option(
        3, "side of the convolutions on the way up, in pixels", "an odd integer from 1 to 15", "3"
    )
    kernel_skip: int = option(
        1, "side of the convolutions in the skip connections, in pixels", "an odd integer from 1 to 15", "1"
    )
    upsampling: str = option(
        "bilinear", "how the resolution is doubled on the way up", " or ".join(UPSAMPLINGS), "bilinear"
    )
    padding: str = option(
        "reflection", "what convolutions see beyond the border", " or ".join(PADDINGS), "reflection"
    )
    activation: str = option(
        "leaky_relu",
        "what follows each normalisation; leaky_relu has slope 0.2 below zero",
        f"one of {', '.join(ACTIVATIONS)}",
        "leaky_relu",
    )
    use_1x1: bool = option(
        True, "follow each convolution on the way up by one of a single pixel", "true or false", "true"
    )
    checkpoint_activations: bool = option(
        False,
        "keep only what enters each half of a level, compute the rest again on the way back, and on a CPU give freed "
        "memory back: 2.3 instead of 6.3 kB per pixel at 5 x 128 channels in bf16, about 1.7 times the time, the same result",
        "true or false",
        "true",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self, "depth", low=1, high=10, prefix="net.")
        for name in ("channels", "skip_channels"):
            per_level = _per_level(getattr(self, name), self.depth)
            if len(per_level) != self.depth or not all(_is_integer(n) and n >= 1 for n in per_level):
                raise reject(self, name, "net.")
        for name in ("kernel_down", "kernel_up", "kernel_skip"):
            check_integer(self, name, low=1, high=15, prefix="net.")
            if getattr(self, name) % 2 == 0:
                raise reject(self, name, "net.")
        check_choice(self, "upsampling", UPSAMPLINGS, prefix="net.")
        check_choice(self, "padding", PADDINGS, prefix="net.")
        check_choice(self, "activation", ACTIVATIONS, prefix="net.")
        check_flag(self, "use_1x1", prefix="net.")
        check_flag(self, "checkpoint_activations", prefix="net.")

    def build(
        self,
        in_channels: int,
        out_channels: int,
        skips: Sequence[int],
        size: tuple[int, int] | None = None,
    ) -> nn.Module:
        """See `Net.build`; the image's values lie in [0, 1], and any size will do.

        With its default options, 32 input channels and all five skips it has 2,214,591 parameters. The
        paper's network has 2,217,831: constants that the next normalisation takes away again count there,
        2,580 biases of convolutions and 660 of the normalisations of concatenations.
        """
        from dip.nets.hourglass import HourglassModule

        return HourglassModule(self, in_channels, out_channels, self.ordered(skips))

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Multiples of 2**depth, and enough pixels at each level for its convolutions to reflect them."""
        step = 2**self.depth
        # A reflection by p pixels needs p + 1 of them. Kernels up and in skips work one level finer than the
        # coarsest at least, kernels down at the coarsest itself. Two pixels are the least a normalisation can
        # use.
        down, finer = self.kernel_down // 2 + 1, (max(self.kernel_up, self.kernel_skip) // 2 + 2) // 2
        coarsest = max(2, down, finer)
        return step * max(coarsest, -(-height // step)), step * max(coarsest, -(-width // step))

    def ordered(self, skips: Sequence[int]) -> list[int]:
        """See `Net.ordered`."""
        listed = isinstance(skips, Sequence) and not isinstance(skips, str)
        if (
            not listed
            or not all(_is_integer(level) and 1 <= level <= self.depth for level in skips)
            or len(set(skips)) < len(skips)
        ):
            legal = f"a list of different levels from 1 (finest) to {self.depth} (net.depth), or []"
            raise OptionError(
                "skips", list(skips) if listed else skips, legal, f"skips=[{max(self.depth - 1, 1)}]"
            )
        return sorted(skips)

    def channels_per_level(self) -> list[int]:
        """Feature maps of each level, from the finest."""
        return _per_level(self.channels, self.depth)

    def skip_channels_per_level(self) -> list[int]:
        """Feature maps of each level's skip connection, from the finest, whether it has one or not."""
        return _per_level(self.skip_channels, self.depth)


@dataclass
class Pixels(Net):
    """No network: the image's own pixels are fitted, to see what a network's prior is worth."""

    name: str = "pixels"

    ignores: ClassVar[tuple[str, ...]] = ("skips", "z", "perturbation")

    def build(
        self,
        in_channels: int,
        out_channels: int,
        skips: Sequence[int],
        size: tuple[int, int] | None = None,
    ) -> nn.Module:
        """See `Net.build`; the image's values are not bounded."""
        from dip.nets.pixels import PixelsModule

        assert size is not None, "pixels have one size"
        return PixelsModule(out_channels, size)

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Any size, as it is."""
        return height, width


NETS: dict[str, type[Net]] = {"hourglass": Hourglass, "pixels": Pixels}


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _per_level(value: Any, depth: int) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * depth
