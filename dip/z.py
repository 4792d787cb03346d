"""The network's fixed random input, as options; `dip.model.data.draw` makes it."""

from __future__ import annotations

import dataclasses

from dip.errors import OptionError
from dip.options import Options, choice, integer, number, option


@dataclasses.dataclass
class Z(Options):
    """The network's fixed random input."""

    channels: int = option(32, "feature maps of z", integer(1), "32")
    distribution: str = option(
        "gaussian",
        "distribution of z: gaussian N(0, scale^2), uniform U(0, scale) (the original paper), "
        "or meshgrid (2 channels of coordinates in [0, scale], for large holes)",
        choice(("gaussian", "uniform", "meshgrid")),
        "uniform",
    )
    scale: float = option(0.1, "standard deviation (gaussian) or maximum (uniform, meshgrid)", number("> 0"), "0.1")

    prefix = "z."

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.distribution == "meshgrid" and self.channels != 2:
            raise OptionError("z.channels", self.channels, "2 with z.distribution=meshgrid", "z.channels=2")

    def planes(self, slices: int) -> int:
        """Channels of z for a volume of `slices` slices, or for an image (1). In a volume meshgrid has 3 coordinates."""
        return slices * (3 if self.distribution == "meshgrid" and slices > 1 else self.channels)
