"""Base of the targets of laboratories, whose observation is a measurement and not an image. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dip.errors import ImageError, OptionError
from dip.options import flag, option
from dip.targets.observation import Observation
from dip.targets.superres_deblur import Linear
from dip.targets.target import IMAGE_SHAPE, draws

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from dip.targets.operators import Operator
    from dip.targets.sparse_operator import SparseOperator


@dataclasses.dataclass
class Laboratory(Linear):
    """The image is measured by a simulated instrument, and is the reference; or the file holds a measurement."""

    simulate: bool = option(
        True, "measure the image, and score against it; false: the file holds the measurement", flag(), "false"
    )
    shape: Any = option(
        None,
        "channels, height and width of the image with simulate=false; null: as the measurement suggests",
        IMAGE_SHAPE,
        "[1,256,256]",
    )
    default_noise = "gaussian"
    cut = False
    levels: ClassVar[dict[str, dict[str, float]]] = {"gaussian": {"sigma": 0.01}}
    """The kinds of noise that the measurement can have besides none, and the defaults of their options."""

    def __post_init__(self) -> None:
        kind = self.noise.kind or self.default_noise
        if kind not in ("none", *self.levels):
            legal = f"{', '.join(self.levels)} or none with target={self.name}"
            raise OptionError("target.noise.kind", kind, legal, f"target.noise.kind={next(iter(self.levels))}")
        if self.simulate is True:
            left: dict[str, Any] = {
                name: value for name, value in self.levels.get(kind, {}).items() if getattr(self.noise, name) is None
            }
            self.noise = dataclasses.replace(self.noise, **left)
        super().__post_init__()

    def with_noise(self, y: Tensor, seed: int) -> Tensor:
        """The measurement `y` with noise, not clipped: the noise keeps its mean."""
        return self.noise_model(0).sample(y, draws(seed))

    def measure(self, image: Tensor, operator: SparseOperator, seed: int) -> Observation:
        """y = the measurements of `image` divided by their largest magnitude, with noise; `operator` is divided too.

        Raises:
            ImageError: all measurements are 0.
        """
        largest = operator(image).abs().max()
        if not largest > 0:
            raise ImageError(
                f"image: all its measurements by target={self.name} are 0; give an image that is not black"
            )
        operator.divide(largest)
        y, (channels, height, width) = self.with_noise(operator(image), seed), image.shape[1:]
        return Observation(y, operator, image, (height, width), channels=channels)

    def unused(self) -> dict[str, str]:
        return super().unused() | ({"shape": "target.simulate=true"} if self.simulate else {})

    @property
    def raw(self) -> bool:
        return not self.simulate

    def instrument(self, values: NDArray[Any], shape: Sequence[int] | None) -> tuple[Operator, Sequence[int]]:
        """The operator whose result, reshaped, are the measurements `values`, and the shape (C, H, W) of the image.

        Raises:
            ImageError: the measurements do not have the axes that this target needs.
        """
        raise NotImplementedError

    def measured_by(self, values: NDArray[Any], given: Mapping[str, Any]) -> tuple[Any, Sequence[int], bool, str]:
        from torch import nn

        operator, shape = self.instrument(values, self.shape)
        call = nn.Sequential(operator, nn.Flatten(0), nn.Unflatten(0, values.shape or (1,)))
        return call, shape, values.dtype.kind == "c", f"target={self.name}"
