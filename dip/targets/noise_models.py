"""Noise models: how simulated noise is drawn and what its variance is. A damage is an operator, then a noise model.

To add a kind of noise, write a dataclass that extends `NoiseModel`, with its options as fields, and list it in
`NOISE_MODELS`. An option that no kind has yet becomes a field of `NoiseOptions` (`noise_options`) too. Imports no
torch.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Generator, Tensor

SPECKLE_OFFSET = 1 / 16
"""Added before a logarithm, since 0 has none. Values below it have less noise afterwards than the model assumes."""

Stabilised = tuple["Tensor", float, Callable[["Tensor"], "Tensor"]]
"""An image whose noise has one level everywhere, this level, and the map from a denoised such image back."""

Levels = float | Sequence[float]
"""A noise level of `dip.bm3d`, which assumes white noise: one for all channels, or one for each."""


@dataclasses.dataclass
class NoiseModel(abc.ABC):
    """A kind of noise; its fields are its options."""

    impulses: ClassVar[bool] = False
    """Whether single values are replaced, which methods for Gaussian noise cannot remove."""

    @abc.abstractmethod
    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        """`image` (1, C, H, W) in [0, 1] with noise drawn from `generator`, not clipped."""

    @abc.abstractmethod
    def variance(self, image: Tensor) -> Tensor:
        """Variance of the unclipped noise at the brightness of each value of the clean `image`, of its shape."""

    def level(self, image: Tensor) -> float:
        """Standard deviation of the unclipped noise over the whole `image`."""
        return math.sqrt(float(self.variance(image).mean()))

    def dependence(self) -> tuple[float, float] | None:
        """Gain and offset, if the variance at brightness x is gain * x + offset; see `dip.noise.dependence`."""
        return None

    def stabilise(self, image: Tensor) -> Stabilised:
        """The noisy `image` after a transform that gives the noise one level: `anscombe`, or none, and the mean level."""
        gain, offset = self.dependence() or (0.0, 0.0)
        return anscombe(image, gain, offset) if gain else (image, self.level(image), lambda denoised: denoised)

    def bm3d_levels(self, sigma: float) -> Levels:
        """The level that `dip.bm3d` assumes where the noise has the level `sigma`: the same for white noise."""
        return sigma


class NoNoise(NoiseModel):
    """The image stays as it is."""

    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        return image

    def variance(self, image: Tensor) -> Tensor:
        return image.new_zeros(image.shape)

    def dependence(self) -> tuple[float, float]:
        return 0.0, 0.0


@dataclasses.dataclass
class Gaussian(NoiseModel):
    """Adds N(0, sigma^2)."""

    sigma: float = 0.1

    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        return image + self.sigma * image.new_empty(image.shape).normal_(generator=generator)

    def variance(self, image: Tensor) -> Tensor:
        return image.new_full(image.shape, self.sigma**2)

    def dependence(self) -> tuple[float, float] | None:
        return 0.0, self.sigma**2


BRIGHTEST = 16
"""Number of values at 1 from which an image counts as clipped there. One that was scaled to its maximum has one."""


def anscombe(image: Tensor, gain: float, offset: float) -> Stabilised:
    """The generalised Anscombe transform of noise of variance gain * x + offset (Starck, Murtagh, Bijaoui 1998).

    For photon counts it is Anscombe's 2 sqrt(x + 3/8), whose variance is about 1 (Biometrika 1948). The inverse is exact
    (Makitalo and Foi, IEEE TIP 2011 and 2013): it maps the mean of the transformed observations of x to x, also where they
    were clipped to [0, 1].
    """
    shift = 3 / 8 * gain**2 + offset
    white = math.sqrt(gain + shift)

    def root(values: Any) -> Any:
        return (gain * values + shift).clip(min=0) ** 0.5 / white

    def inverse(denoised: Tensor) -> Tensor:
        import numpy as np

        from dip.noise.clipping import observations

        clipped = int((image >= 1).sum()) >= BRIGHTEST and float(image.max()) <= 1
        x, seen = observations(gain, offset)
        mean = root(seen.clip(0, 1 if clipped else None)).mean(0)
        return denoised.new_tensor(np.interp(denoised.double().numpy(force=True), mean, x))

    return root(image), gain / 2 / white, inverse


@dataclasses.dataclass
class Estimated(Gaussian):
    """Noise whose level was estimated.

    BM3D assumes the level `for_bm3d`; None: the same. `line`: gain and offset of the variance where it depends on the
    brightness, see `dip.noise.dependence`.
    """

    for_bm3d: Levels | None = None
    line: tuple[float, float] | None = None

    def variance(self, image: Tensor) -> Tensor:
        if self.line is None:
            return super().variance(image)
        return (self.line[0] * image + self.line[1]).clamp(min=0)

    def dependence(self) -> tuple[float, float] | None:
        return super().dependence() if self.line is None else self.line

    def bm3d_levels(self, sigma: float) -> Levels:
        return sigma if self.for_bm3d is None or self.line is not None else self.for_bm3d


@dataclasses.dataclass
class Poisson(NoiseModel):
    """Photon counts with the mean `peak` times the image, divided by `peak`."""

    peak: float = 30.0

    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        import torch

        return torch.poisson(image * self.peak, generator=generator) / self.peak

    def variance(self, image: Tensor) -> Tensor:
        return image / self.peak

    def dependence(self) -> tuple[float, float] | None:
        return 1 / self.peak, 0.0


@dataclasses.dataclass
class Speckle(NoiseModel):
    """Multiplies by 1 + N(0, sigma^2)."""

    sigma: float = 0.1

    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        return image * (1 + self.sigma * image.new_empty(image.shape).normal_(generator=generator))

    def variance(self, image: Tensor) -> Tensor:
        return (self.sigma * image) ** 2

    def stabilise(self, image: Tensor) -> Stabilised:
        """A logarithm, which turns multiplicative noise into additive noise."""
        span = math.log1p(1 / SPECKLE_OFFSET)
        logarithm = (image / SPECKLE_OFFSET).log1p() / span
        return logarithm, self.sigma / span, lambda denoised: (denoised * span).expm1() * SPECKLE_OFFSET


@dataclasses.dataclass
class SaltAndPepper(NoiseModel):
    """Sets a fraction `amount` of the values (each channel by itself) to 0 or 1, half of them to each."""

    amount: float = 0.1
    impulses: ClassVar[bool] = True

    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        u = image.new_empty(image.shape).uniform_(generator=generator)
        return image.masked_fill(u < self.amount, 1.0).masked_fill(u < self.amount / 2, 0.0)

    def variance(self, image: Tensor) -> Tensor:
        mean = (1 - self.amount) * image + self.amount / 2
        return (1 - self.amount) * image**2 + self.amount / 2 - mean**2


@dataclasses.dataclass
class Camera(NoiseModel):
    """The noise of a camera: correlated between neighbours, dependent on brightness, and stored as an 8-bit JPEG."""

    iso: float = 3200.0
    quality: float = 90.0

    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        from dip.targets.camera import photograph

        return photograph(image, generator, self.iso, round(self.quality))

    def variance(self, image: Tensor) -> Tensor:
        """Measured on uniform images of each brightness."""
        import numpy as np
        import torch

        from dip.targets.camera import variances

        channels = 3 if image.shape[1] == 3 else 1
        brightness, measured = variances(channels, self.iso, round(self.quality))
        planes = [
            np.interp(plane.detach().cpu().numpy(), brightness.numpy(), measured[:, number % channels].numpy())
            for number, plane in enumerate(image.unbind(1))
        ]
        return torch.from_numpy(np.stack(planes, 1)).to(image)

    def bm3d_levels(self, sigma: float) -> Levels:
        from dip.bm3d import CORRELATED

        return CORRELATED * sigma


NOISE_MODELS: dict[str, type[NoiseModel]] = {
    "none": NoNoise,
    "gaussian": Gaussian,
    "poisson": Poisson,
    "speckle": Speckle,
    "salt_and_pepper": SaltAndPepper,
    "camera": Camera,
}
