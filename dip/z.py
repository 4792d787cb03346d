"""The network's fixed input, as options; `dip.fitting.network_input` makes it."""

import dataclasses
from typing import Any

from dip.errors import OptionError
from dip.options import Options, choice, integer, number, option, text


@dataclasses.dataclass
class Z(Options):
    """The network's fixed input: random, an image that guides it, or both."""

    channels: Any = option(
        None, "channels of the random z; null: 32, or 0 (none) with a guide", integer(0, none=True), "32"
    )
    distribution: str = option(
        "gaussian",
        "distribution of z: gaussian N(0, scale^2), uniform U(0, scale) (the original paper), "
        "or meshgrid (2 channels of coordinates in [0, scale], for large holes)",
        choice(("gaussian", "uniform", "meshgrid")),
        "uniform",
    )
    scale: float = option(0.1, "standard deviation (gaussian) or maximum (uniform, meshgrid)", number("> 0"), "0.1")
    guide: str | None = option(
        None,
        "the network's input, alone or beside the random z: an image or array of the restored image's size, with any number "
        "of channels, such as a sharper picture of the same scene; the perturbation is added to it too; short: z=FILE",
        text("a path, a sample's name or null", none=True),
        "guide.png",
    )

    prefix = "z."

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels is None:
            self.channels = 32 if self.guide is None else 0
        if self.channels == 0 and self.guide is None:
            raise OptionError("z.channels", 0, "an integer >= 1, or 0 with z.guide", "z.channels=32")
        if self.distribution == "meshgrid" and self.channels != 2:
            raise OptionError("z.channels", self.channels, "2 with z.distribution=meshgrid", "z.channels=2")

    def planes(self, slices: int) -> int:
        """Channels of z for a volume of `slices` slices, 1 for an image. In a volume meshgrid has 3 coordinates."""
        channels: int = 3 if self.distribution == "meshgrid" and slices > 1 else self.channels
        return slices * channels
