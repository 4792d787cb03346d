"""Noise models: how simulated noise is drawn and what its variance is. A damage is an operator, then a noise model.

To add a kind of noise, write a dataclass that extends `NoiseModel`, with its options as fields, and list it in
`NOISE_MODELS`. An option that no kind has yet becomes a field of `NoiseOptions` too. Imports no torch.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, ClassVar

from dip.errors import DipError, OptionError
from dip.options import Options, choice, number, option

if TYPE_CHECKING:
    from torch import Generator, Tensor

SPECKLE_OFFSET = 1 / 16
"""Added before a logarithm, since 0 has none. Values below it have less noise afterwards than the model assumes."""

Stabilised = tuple["Tensor", float, Callable[["Tensor"], "Tensor"]]
"""An image whose noise has one level everywhere, this level, and the map from a denoised such image back."""


Told = float | Sequence[float] | None
"""What BM3D, which assumes white noise, is told: one level, or those of its channels; None: that of the noise."""


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

    def stabilise(self, image: Tensor) -> Stabilised:
        """The noisy `image` after a transform that gives the noise one level: here none, and the mean level."""
        return image, self.level(image), lambda denoised: denoised

    def told(self, sigma: float) -> float | Sequence[float]:
        """What `dip.bm3d` is told, which assumes white noise, where the noise has the level `sigma`."""
        return sigma


class NoNoise(NoiseModel):
    """The image stays as it is."""

    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        return image

    def variance(self, image: Tensor) -> Tensor:
        return image.new_zeros(image.shape)


@dataclasses.dataclass
class Gaussian(NoiseModel):
    """Adds N(0, sigma^2)."""

    sigma: float = 0.1

    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        return image + self.sigma * image.new_empty(image.shape).normal_(generator=generator)

    def variance(self, image: Tensor) -> Tensor:
        return image.new_full(image.shape, self.sigma**2)


@dataclasses.dataclass
class Estimated(Gaussian):
    """Noise whose level was estimated, and what BM3D is told of it, if that is not the level."""

    for_bm3d: Told = None

    def told(self, sigma: float) -> float | Sequence[float]:
        return sigma if self.for_bm3d is None else self.for_bm3d


@dataclasses.dataclass
class Poisson(NoiseModel):
    """Photon counts with the mean `peak` times the image, divided by `peak`."""

    peak: float = 30.0

    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        import torch

        return torch.poisson(image * self.peak, generator=generator) / self.peak

    def variance(self, image: Tensor) -> Tensor:
        return image / self.peak

    def stabilise(self, image: Tensor) -> Stabilised:
        """Anscombe's transform 2 sqrt(x + 3/8) of counts x, whose variance is about 1 (Biometrika 1948)."""
        white = math.sqrt(self.peak + 3 / 8)
        # The algebraic inverse would subtract 3/8 and be too dark: the mean of a root is below the root of the mean.
        root = (self.peak * image + 3 / 8).sqrt() / white
        return root, 0.5 / white, lambda denoised: ((white * denoised) ** 2 - 1 / 8) / self.peak


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

    def told(self, sigma: float) -> float | Sequence[float]:
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


LEVEL, PEAK, AMOUNT = number(">= 0", none=True), number("> 0", none=True), number("[0, 1]", none=True)


@dataclasses.dataclass
class NoiseOptions(Options):
    """The options `target.noise`. None stands for the default of the target (`kind`) or of the kind of noise."""

    kind: str | None = option(
        None,
        "gaussian adds N(0, sigma^2), speckle multiplies by 1 + N(0, sigma^2), poisson counts photons (peak), "
        "salt_and_pepper sets values to 0 or 1 (amount), camera simulates a sensor and its processing to a JPEG (iso, "
        "quality); null: gaussian with target=noisy and target=flash, estimated with target=degraded, else none",
        choice(NOISE_MODELS, none=True),
        "poisson",
    )
    sigma: float | None = option(
        None,
        "standard deviation of gaussian and speckle noise, for images in [0, 1]; null: 0.1 (25/255 in the paper)",
        LEVEL,
        "0.1",
    )
    peak: float | None = option(None, "photons of white for poisson noise, fewer are noisier; null: 30", PEAK, "30")
    amount: float | None = option(None, "fraction of the values that salt_and_pepper sets; null: 0.1", AMOUNT, "0.1")
    iso: float | None = option(
        None, "ISO value of camera noise, more is noisier; null: 3200", number("[1, 1000000]", none=True), "6400"
    )
    quality: float | None = option(
        None, "JPEG quality of the photo with camera noise; null: 90", number("[1, 100]", none=True), "75"
    )

    prefix = "target.noise."

    def unused(self) -> dict[str, str]:
        """Options without effect here: field name -> the setting that makes it so."""
        used = {"kind", *options_of(self.kind)} if self.kind else vars(self)
        return {name: f"target.noise.kind={self.kind}" for name in vars(self) if name not in used}

    def model(self) -> NoiseModel:
        """The noise model that these options, filled by `filled`, describe."""
        assert self.kind is not None
        return NOISE_MODELS[self.kind](**{name: getattr(self, name) for name in options_of(self.kind)})

    def filled(self, kind: str, target: object, shorthands: Collection[str]) -> NoiseOptions:
        """A copy in which every option that has an effect has a value, so that two spellings give one run folder.

        Args:
            kind: the kind of noise if none is given.
            target: holds the options in `shorthands` under the same names. Those with an effect are moved from it.

        Raises:
            OptionError: an option is given twice, with different values.
        """
        given = dict(vars(self))
        chosen = {name: getattr(target, name) for name in shorthands if getattr(target, name) is not None}
        kind = chosen.get("kind") or self.kind or kind
        values = {"kind": kind, **vars(NOISE_MODELS[kind]())}  # the defaults
        for name in values:
            if name not in given:
                raise DipError(
                    f"target.noise.kind={kind}: {name} is a field of {NOISE_MODELS[kind].__name__} and must also be one of "
                    f"NoiseOptions in dip/targets/noise_models.py, for example {name}: float | None = option(None, ...)"
                )
            if name in chosen:
                if given[name] not in (None, chosen[name]) and not isinstance(self, _Filled):
                    legal = f"{chosen[name]} or left out beside target.{name}={chosen[name]}"
                    raise OptionError(f"target.noise.{name}", given[name], legal, f"target.{name}={chosen[name]}")
                given[name] = chosen[name]
                setattr(target, name, None)
            if given[name] is not None:
                values[name] = given[name]
        return _Filled(**(values if isinstance(self, _Filled) else given | values))


class _Filled(NoiseOptions):
    """Options that a target has filled. A shorthand given later, beside an experiment, may replace a value."""


def options_of(kind: str) -> list[str]:
    """The options that a kind of noise has."""
    return [field.name for field in dataclasses.fields(NOISE_MODELS[kind])]
