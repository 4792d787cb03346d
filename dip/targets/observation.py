"""The observation that a target makes of an image. Imports no torch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from dip.targets.jpeg_intervals import Intervals
    from dip.targets.operators import Operator


@dataclasses.dataclass(frozen=True)
class Observation:
    """The data of one run: the fit minimises the loss between operator(network) and `y`."""

    y: Tensor
    """The observation, (1, C, h, w) float32: in [0, 1], or scaled measurements, see `dip.targets.user_operator`."""
    operator: Operator
    """Maps an image (1, C, H, W) to the space of `y`."""
    reference: Tensor | None
    """The image that scores the restored one, (1, C, H, W); None if it is unknown. The fit does not use it."""
    size: tuple[int, int]
    """(H, W) of the image that the network makes."""
    known: Tensor | None = None
    """Where `y` was observed, (1, 1, h, w): 1 = known, 0 = missing. None: everywhere."""
    z: Tensor | None = None
    """An image that is given to the network as input, (1, C_g, H, W) in [0, 1]: the flash photo of the target `flash`,
    or the option `z.guide`. None: the input is only drawn."""
    denoised: Tensor | None = None
    """BM3D of `y`, (1, C, H, W) in [0, 1], which is then also `z`; only for method=guided."""
    noise: tuple[float, float] = (0.0, 0.0)
    """With `denoised`: gain and offset of the noise's variance gain * x + offset in `y`; 0 where it is no such line."""
    share: float = 0.0
    """With `denoised`: the weight of `y` in the restored image, because some of the noise may be texture."""
    intervals: Intervals | None = None
    """The quantization intervals of a JPEG file; the loss then compares the image with `intervals(image)`, not `y`."""
    bounded: bool = True
    """Whether the image's values are limited to [0, 1], by a sigmoid and by clipping. False: any real value."""
    scale: tuple[float, float] = (0.0, 1.0)
    """The values, in the user's units, that are 0 and 1 in the network's image."""
    complex: bool = False
    """Whether the channels of the network's image are all real parts, then all imaginary parts of a complex image."""
    channels: int | None = None
    """C of the network's image; None: that of `y`."""
    measurements: NDArray[Any] | None = None
    """The measurements as they were given, of any shape, real or complex; None where `y` is an image."""

    @property
    def level(self) -> float:
        """Standard deviation of the noise, by `noise`; 0 where that is unknown."""
        gain, offset = self.noise
        return max(0.0, gain * float(self.y.mean()) + offset) ** 0.5 if gain or offset else 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the network's image."""
        return (self.y.shape[1] if self.channels is None else self.channels, *self.size)

    def limited(self, image: Tensor) -> Tensor:
        """`image` clipped to [0, 1] if its values are bounded: some networks are not."""
        return image.clamp(0, 1) if self.bounded else image

    def backprojected(self, device: torch.device) -> Tensor:
        """c A'y on the scale of the network's image, with the c whose observation is closest to y.

        It is (1, C, H, W) on the CPU. The start is 0 in the user's units. Where A is not linear, it is one step of
        steepest descent from there, with the derivative at the middle of the scale.
        The operator is moved to `device`.
        """
        import torch

        from dip.targets.operators import adjoint

        operator, y, (low, high) = self.operator.to(device), self.y.to(device), self.scale
        zero = torch.full((1, *self.shape), low / (low - high), device=device)  # 0 in the user's units
        with torch.no_grad():
            dark = operator(zero)
            step = adjoint(operator, y - dark, torch.full_like(zero, 0.5))
            change = operator(zero + step) - dark
            scale: Tensor = (change * (y - dark)).sum() / change.square().sum().clamp(min=1e-30)
        return torch.addcmul(zero, scale, step).cpu()

    def in_units(self, image: Tensor) -> Tensor:
        """The network's image (1, C, H, W) in the user's units; complex if the image is."""
        low, high = self.scale
        if self.scale != (0.0, 1.0):
            image = image * (high - low) + low
        if not self.complex:
            return image
        import torch

        return torch.complex(*image.chunk(2, 1))

    def shown(self, image: Tensor) -> Tensor:
        """What is shown and scored of the network's image: (1, C, H, W), mostly within [0, 1].

        An image is shown as it is. Where `y` are measurements, 0 and 1 are the bounds of the image, else the minimum
        and the maximum of the reference, else those of `image` itself. A complex image is shown by its magnitude.
        """
        return image if self.measurements is None else self.display(self.in_units(image))

    def display(self, values: Tensor) -> Tensor:
        """As `shown`, for an image (1, C, H, W) in the user's units."""
        values = values.abs() if self.complex else values
        if self.bounded and not self.complex:
            low, high = self.scale
        else:
            ends = values if self.reference is None else self.in_units(self.reference)
            ends = ends.abs() if self.complex else ends
            low, high = float(ends.min()), float(ends.max())
        return ((values - low) / ((high - low) or 1.0)).float()

    def picture_of_y(self) -> Tensor | None:
        """`y` as an image, (1, C, h, w) in [0, 1]; None for measurements that are not an array of rows and columns.

        Measurements are scaled to [0, 1]; of complex ones the logarithm of the magnitude is shown.
        """
        if self.measurements is None:
            return self.y
        if self.measurements.squeeze().ndim != 2:
            return None
        y = self.y
        if y.shape[1] == 2:  # real and imaginary parts
            magnitude = y.square().sum(1, keepdim=True).sqrt()
            y = (magnitude + 1e-3 * magnitude.max()).log()
        return (y - y.min()) / (y.max() - y.min()).clamp(min=1e-12)

    def deviation(self, spread: Tensor) -> Tensor:
        """The standard deviation of the network's image, (1, C, H, W) >= 0, in the user's units.

        Of a complex image, the root of the sum of the variances of its real and imaginary parts.
        """
        low, high = self.scale
        spread = spread * (high - low)
        if self.complex:
            real, imaginary = spread.chunk(2, dim=1)
            spread = real.hypot(imaginary)
        return spread

    def values(self, image: Tensor) -> NDArray[np.generic]:
        """The network's image as an array (H, W, C) in the user's units, float32 or complex64."""
        import torch

        image = self.in_units(image)
        kind = torch.complex64 if image.is_complex() else torch.float32
        return image.detach().to("cpu", kind)[0].permute(1, 2, 0).contiguous().numpy()


def direct(y: Tensor, reference: Tensor | None, z: Tensor | None = None) -> Observation:
    """An observation of the image itself, without an operator."""
    from dip.targets.operators import Identity

    return Observation(y, Identity(), reference, (y.shape[-2], y.shape[-1]), z=z)
