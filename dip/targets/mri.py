"""Magnetic resonance imaging with one coil and too few frequencies. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dip.errors import ImageError
from dip.options import choice, number, option
from dip.targets.laboratory import Laboratory
from dip.targets.observation import Observation
from dip.targets.target import NO_PICTURES, draws

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from dip.targets.operators import Operator


@dataclasses.dataclass
class MRI(Laboratory):
    """A part of the image's frequencies (k-space). Noise is relative to the image's range, [0, 1].

    The transform is orthonormal: noise of `target.noise.sigma` in the real and in the imaginary part of all frequencies
    has this standard deviation in the pixels.
    """

    name: str = "mri"
    acceleration: float = option(4.0, "one of how many frequencies is sampled; 1: all", number(">= 1"), "4")
    centre: float = option(
        0.08, "fraction of each axis around frequency 0 that is sampled completely", number("[0, 1]"), "0.08"
    )
    pattern: str = option(
        "random",
        "which frequencies are sampled: random columns, equispaced columns, or random points, denser at low frequencies",
        choice(("random", "equispaced", "points")),
        "points",
    )
    task = "mri"

    def unused(self) -> dict[str, str]:
        real = self.real_damage()
        return super().unused() | (dict.fromkeys(("acceleration", "centre", "pattern"), real) if real else {})

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = the sampled frequencies with noise, 0 elsewhere: real parts, then imaginary parts, (1, 2 C, H, W)."""
        from dip.targets.fourier import MaskedFourier, sampling

        size = (image.shape[-2], image.shape[-1])
        mask = sampling(size, self.pattern, self.acceleration, self.centre, draws(seed, "pattern"))
        operator = MaskedFourier(mask)
        y = mask * self.with_noise(operator(image), seed)
        return Observation(y, operator, image, size, known=mask, channels=image.shape[1])

    def observe_raw(self, values: NDArray[Any], given: Mapping[str, Any], **how: Any) -> Observation:
        """See `Target.observe_raw`. Frequencies that are 0 were not sampled, and are not `known`."""
        import torch

        seen = super().observe_raw(values, given, **how)
        sampled = torch.from_numpy(values != 0)[None, None].float()
        return dataclasses.replace(seen, known=sampled if seen.known is None else sampled * seen.known)

    def instrument(self, values: NDArray[Any], shape: Sequence[int] | None) -> tuple[Operator, Sequence[int]]:
        """For complex k-space (H, W) with frequency 0 at (H // 2, W // 2), 0 where it was not sampled."""
        import torch

        from dip.targets.fourier import MaskedFourier

        if values.ndim != 2 or values.dtype.kind != "c" or (shape is not None and tuple(shape) != (1, *values.shape)):
            raise ImageError(
                f"image: target=mri needs complex k-space of one coil (H, W) and an image of that size, not "
                f"{' x '.join(map(str, values.shape))} of {values.dtype}; give one coil, for example image=kspace.npy"
            )
        return MaskedFourier(torch.from_numpy(values != 0)), (1, *values.shape)
