"""Computed tomography with parallel beams. Imports no torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dip.errors import ImageError
from dip.options import Legal, integer, is_integer, number, option
from dip.targets.laboratory import Laboratory
from dip.targets.noise_models import NoiseModel, Poisson
from dip.targets.observation import Observation
from dip.targets.target import NO_PICTURES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Generator, Tensor

    from dip.targets.operators import Operator
    from dip.targets.sparse_operator import SparseOperator

DENSEST = 4.0
"""Line integral of the densest ray with Poisson noise: exp(-4) = 2 % of the photons pass, as in clinical CT."""


def _angles(value: Any) -> int | list[float]:
    if is_integer(value) and value >= 1:
        return int(value)
    listed = value if isinstance(value, (list, tuple)) else []
    numbers = {float(angle) for angle in listed if isinstance(angle, (int, float)) and math.isfinite(angle)}
    if not listed or len(numbers) != len(listed):
        raise ValueError
    return [float(angle) for angle in listed]


@dataclasses.dataclass
class Tomography(Laboratory):
    """The Radon transform of the image: its line integrals along parallel rays at several angles (a sinogram)."""

    name: str = "tomography"
    angles: Any = option(
        60,
        "number of projections, at equal distances over the arc from 0 degrees on, or their angles in degrees; counter-"
        "clockwise as in scikit-image",
        Legal("an integer >= 1 or a list of different numbers", _angles),
        "60",
    )
    arc: float = option(
        180.0, "degrees over which the projections are distributed; below 180 is limited-angle tomography",
        number("(0, 360]"), "120",
    )  # fmt: skip
    detectors: int | None = option(
        None,
        "number of detectors, one pixel apart; null: as many as see the whole image at every angle",
        integer(1, none=True),
        "128",
    )
    task = "tomography"
    levels: ClassVar[dict[str, dict[str, float]]] = Laboratory.levels | {"poisson": {"peak": 1e4}}

    def unused(self) -> dict[str, str]:
        listed = {"arc": f"target.angles={self.angles}"} if isinstance(self.angles, list) else {}
        return super().unused() | listed

    def degrees(self) -> list[float]:
        """The angles of the projections in degrees."""
        if isinstance(self.angles, list):
            return self.angles
        return [number * self.arc / self.angles for number in range(self.angles)]

    def known_noise(self) -> NoiseModel | None:
        """With kind=poisson that of a transmission measurement. Levels are relative to the largest line integral."""
        model = super().known_noise()
        return Transmission(model.peak) if isinstance(model, Poisson) else model

    def projections(self, size: tuple[int, int], detectors: int) -> SparseOperator:
        """The operator from images (1, C, H, W) to sinograms (1, C, detectors, angles), in pixels."""
        from dip.targets.projections import radon_matrix
        from dip.targets.sparse_operator import SparseOperator

        degrees = self.degrees()
        return SparseOperator(radon_matrix(size, degrees, detectors), (detectors, len(degrees)), degrees=degrees)

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = the sinogram (1, C, detectors, angles), see `measure`."""
        from dip.targets.projections import diagonal

        size = (image.shape[-2], image.shape[-1])
        return self.measure(image, self.projections(size, self.detectors or diagonal(size)), seed)

    def instrument(self, values: NDArray[Any], shape: Sequence[int] | None) -> tuple[Operator, Sequence[int]]:
        """For a sinogram (detectors, angles); the image is as wide as the detectors unless `shape` is given."""
        angles = len(self.degrees())
        if values.ndim != 2 or values.shape[1] != angles or values.dtype.kind == "c":
            raise ImageError(
                f"image: target=tomography needs a sinogram of real numbers (detectors, {angles} angles), not "
                f"{' x '.join(map(str, values.shape))}; set target.angles, for example target.angles=60"
            )
        shape = shape or (1, values.shape[0], values.shape[0])
        return self.projections((shape[1], shape[2]), values.shape[0]), shape


@dataclasses.dataclass
class Transmission(Poisson):
    """Photon counts N ~ Poisson(peak exp(-DENSEST y)) behind an object, as line integrals -log(N / peak) / DENSEST.

    `peak` is the number of photons for each ray without object. A count of 0 is read as 1.
    """

    def sample(self, image: Tensor, generator: Generator) -> Tensor:
        import torch

        counts = torch.poisson(self.peak * (-DENSEST * image).exp(), generator=generator)
        return (self.peak / counts.clamp(min=1)).log() / DENSEST

    def variance(self, image: Tensor) -> Tensor:
        """The first-order variance, exp(DENSEST y) / (peak DENSEST^2)."""
        return (DENSEST * image).exp() / (self.peak * DENSEST**2)
