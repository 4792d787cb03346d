"""The options of the hourglass networks. Importing this module does not import torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dip.errors import OptionError
from dip.nets.net import Network, Skips
from dip.options import Legal, choice, flag, integer, is_integer, option, reject

FEATURE_MAPS = (
    "feature maps of each level, in encoder and decoder: one number for all, or one per level from the finest"
)
PER_LEVEL = "an integer >= 1 or a list of net.depth such integers"


def _odd(value: Any) -> int:
    kernel: int = integer(1, 15).convert(value)
    if kernel % 2 == 0:
        raise ValueError
    return kernel


_KERNEL = Legal("an odd integer from 1 to 15", _odd)


@dataclass
class HourglassOptions(Network):
    """The options of the hourglass networks, which `dip.nets.hourglass` reads.

    Levels count from 1, the finest (the resolution of the image), to `depth`, the coarsest.
    """

    ignores: ClassVar[tuple[str, ...]] = ()
    depth: int = option(5, "how many times the encoder halves the resolution", integer(1, 10), "5")
    channels: Any = option(128, FEATURE_MAPS, PER_LEVEL, "[16,32,64,128,128]")
    skip_channels: Any = option(
        4,
        "feature maps of each skip connection: one number for all, or one per level from the finest (values of "
        "levels that are not in `skips` have no effect)",
        PER_LEVEL,
        "4",
    )
    kernel_down: int = option(3, "kernel size of the encoder's convolutions, in pixels", _KERNEL, "3")
    kernel_up: int = option(3, "kernel size of the decoder's convolutions, in pixels", _KERNEL, "3")
    kernel_skip: int = option(1, "kernel size of the skip connections, in pixels", _KERNEL, "1")
    upsampling: str = option(
        "bilinear", "how the decoder doubles the resolution", choice(("bilinear", "nearest")), "bilinear"
    )
    padding: str = option("reflection", "padding of the convolutions", choice(("reflection", "zeros")), "reflection")
    activation: str = option(
        "leaky_relu",
        "activation after each normalisation; leaky_relu has slope 0.2 below zero",
        choice(("leaky_relu", "relu", "elu", "swish")),
        "leaky_relu",
    )
    use_1x1: bool = option(True, "follow each convolution of the decoder by a 1 x 1 convolution", flag(), "true")
    checkpoint_activations: bool = option(
        False,
        "keep only the inputs of each half of a level, recompute the rest in the backward pass, and return freed "
        "memory to the system: 2.3 instead of 6.3 kB per pixel (5 x 128 channels, bf16), 1.7 x the time, same result",
        flag(),
        "true",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("channels", "skip_channels"):
            per_level = self.per_level(name)
            if len(per_level) != self.depth or not all(is_integer(n) and n >= 1 for n in per_level):
                raise reject(self, name)

    def sides(self) -> tuple[int, int]:
        """As many pixels at each level as reflection padding and normalisation need."""
        # Reflection by p pixels needs p + 1 pixels. kernel_down works at the coarsest level, kernel_up and kernel_skip
        # one level above it at least. A normalisation needs two pixels.
        down, finer = self.kernel_down // 2 + 1, (max(self.kernel_up, self.kernel_skip) // 2 + 2) // 2
        return 2**self.depth, max(2, down, finer)

    def ordered(self, skips: Skips) -> list[int]:
        listed = isinstance(skips, Sequence) and not isinstance(skips, str)
        legal_levels = listed and all(is_integer(level) and 1 <= level <= self.depth for level in skips)
        if not legal_levels or len(set(skips)) < len(skips):
            legal = f"a list of different levels from 1 (finest) to {self.depth} (net.depth), or []"
            raise OptionError("skips", list(skips) if listed else skips, legal, f"skips=[{max(self.depth - 1, 1)}]")
        return sorted(skips)

    def per_level(self, name: str) -> list[int]:
        """Option `name`, channels or skip_channels, of each level from the finest, also of levels without a skip."""
        value = getattr(self, name)
        return list(value) if isinstance(value, (list, tuple)) else [value] * self.depth
