"""Observation operators: `y = A x`, what lens, shrinking or scratch leaves of the image one would like.

All are linear, differentiable and deterministic, and compute in the precision of their own buffers (float32)
even inside an autocast region: the operator stands between the network and the loss, where rounding is not
noise to be averaged away but a bias of the answer. Buffers are rebuilt from the options, so no checkpoint
holds them.
"""

from __future__ import annotations

import abc
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dip.errors import ImageError

KERNELS = {"lanczos2": 2, "lanczos3": 3}
"""Antialiasing kernels of `Downsample` and their lobes: low-resolution pixels to each side."""


class Operator(torch.nn.Module, abc.ABC):
    """A linear map from images (1, C, H, W) to observations (1, C, h, w), for any number of channels C."""

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """`A x`: the observation (1, C, h, w) of image `x` (1, C, H, W)."""

    @abc.abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """`A' y` (1, C, H, W) of `y` (1, C, h, w), defined by <A x, y> = <x, A' y> for every image x."""


class Identity(Operator):
    """`A x = x`: what is observed is the image itself, noise aside."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        return y


class Mask(Operator):
    """`A x = m x`: pixels where the mask `m` is 0 were not observed, and are 0 in the observation.

    Args:
        mask: (1, 1, H, W), 1 = observed, 0 = missing (see `dip.targets.masks`).
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        assert mask.shape == (1, 1, *mask.shape[-2:]), f"a mask is (1, 1, H, W), not {tuple(mask.shape)}"
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mask

    def adjoint(self, y: Tensor) -> Tensor:
        return y * self.mask


class Downsample(Operator):
    """Antialiased Lanczos downsampling, the observation model of super-resolution.

    It is Pillow's `resize((W // factor, H // factor), LANCZOS)` for float images: the kernel is stretched by
    the scale, centred on the low-resolution pixel, and renormalised where it leaves the image. Sizes that are
    no multiple of the factor keep every pixel: the scale is then H / (H // factor), a little more than the
    factor.

    Each axis is one small dense matrix. That costs H / taps times the arithmetic of a banded product, yet
    stays below 1 % of a network's step up to 1024 x 1024, is exact at any size, and its gradient is a matrix
    product too: no scatter, so the same bits on every run.

    Source: Ulyanov et al., "Deep Image Prior", super-resolution; `lanczos2` is what the authors' code fits
    with, `lanczos3` what made their low-resolution images.

    Args:
        factor: how many times smaller the observation is, >= 1.
        size: (H, W) of the high-resolution image.
        kernel: one of `KERNELS`.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, factor: int, size: tuple[int, int], kernel: str = "lanczos3") -> None:
        super().__init__()
        (height, width), lobes = size, KERNELS[kernel]
        self.register_buffer("rows", _shrink_matrix(height, factor, lobes), persistent=False)  # (h, H)
        self.register_buffer("columns", _shrink_matrix(width, factor, lobes), persistent=False)  # (w, W)

    def forward(self, x: Tensor) -> Tensor:
        with _no_autocast(x):
            return self.rows @ x.to(self.rows.dtype) @ self.columns.T  # (1, C, h, w)

    def adjoint(self, y: Tensor) -> Tensor:
        with _no_autocast(y):
            return self.rows.T @ y.to(self.rows.dtype) @ self.columns  # (1, C, H, W)


class Blur(Operator):
    """Convolution with a known kernel; beyond the border the image is taken to continue with its edge pixels.

    Computed by FFT: the cost does not grow with the kernel, and the gradient is deterministic. The kernel is
    convolved (not correlated): a single bright pixel becomes the kernel as it looks.

    Args:
        kernel: (kh, kw), odd sides, as made by `gaussian_kernel`, `motion_kernel` or `kernel_from_image`.
    """

    kernel: Tensor

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        height, width = kernel.shape
        assert height * width % 2, f"a kernel's centre is a pixel: odd sides, not {height} x {width}"
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        (ry, rx), (height, width) = self._radii(), x.shape[-2:]
        with _no_autocast(x):
            wide = _extend(_extend(x.to(self.kernel.dtype), ry, -2), rx, -1)  # (1, C, H + 2 ry, W + 2 rx)
            # The first 2 r rows and columns of the circular product hold what wrapped around.
            return self._filter(wide, conjugate=False)[..., 2 * ry : 2 * ry + height, 2 * rx : 2 * rx + width]

    def adjoint(self, y: Tensor) -> Tensor:
        ry, rx = self._radii()
        with _no_autocast(y):
            wide = F.pad(y.to(self.kernel.dtype), (2 * rx, 0, 2 * ry, 0))  # (1, C, H + 2 ry, W + 2 rx)
            wide = self._filter(wide, conjugate=True)[..., : wide.shape[-2], : wide.shape[-1]]
            return _fold(_fold(wide, ry, -2), rx, -1)  # (1, C, H, W)

    def _radii(self) -> tuple[int, int]:
        return self.kernel.shape[0] // 2, self.kernel.shape[1] // 2

    def _filter(self, x: Tensor, conjugate: bool) -> Tensor:
        """The circular convolution of `x` with the kernel or its mirror image, on a grid no smaller."""
        grid = [_fast_length(side) for side in x.shape[-2:]]
        spectrum = torch.fft.rfft2(self.kernel, s=grid)
        spectrum = spectrum.conj() if conjugate else spectrum
        product: Tensor = torch.fft.irfft2(torch.fft.rfft2(x, s=grid) * spectrum, s=grid)
        return product


def gaussian_kernel(sigma: float) -> Tensor:
    """A Gaussian of standard deviation `sigma` > 0 pixels, cut at four of them: (k, k), sum 1."""
    radius = int(4 * sigma + 0.5)
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    line = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = line[:, None] * line
    return (kernel / kernel.sum()).float()


def motion_kernel(length: float, angle: float = 0.0) -> Tensor:
    """The trace of a point that moves evenly along a straight line: (k, k), sum 1.

    A pixel weighs as much as the part of the line that lies in it.

    Args:
        length: of the line in pixels, > 0.
        angle: of the line in degrees, counter-clockwise from horizontal.
    """
    samples = 1000 * math.ceil(length)  # a pixel that is crossed straight is met 1000 times
    along = ((torch.arange(samples, dtype=torch.float64) + 0.5) / samples - 0.5) * length
    radians = math.radians(angle)
    # Rounded first: cos(90 degrees) is not quite 0, and a point on the seam of two pixels must not tell.
    column = (along * round(math.cos(radians), 12)).round().long()
    row = (-along * round(math.sin(radians), 12)).round().long()  # rows count downwards
    radius = int(torch.maximum(column.abs(), row.abs()).max())
    side = 2 * radius + 1
    kernel = torch.bincount((row + radius) * side + column + radius, minlength=side * side)
    return kernel.reshape(side, side).float() / samples


def kernel_from_image(image: Tensor) -> Tensor:
    """A blur kernel drawn by the user: the image's gray values, scaled to sum 1, (kh, kw) with odd sides.

    An even side gets a row or column of zeros at its end.

    Args:
        image: (1, C, kh, kw), values >= 0; bright = more light arrives there.

    Raises:
        ImageError: the image is black.
    """
    kernel = image[0].double().mean(0)  # (kh, kw)
    if not kernel.sum() > 0:
        raise ImageError(
            "target.kernel: the image is black; draw the blur of one bright point on black, "
            "e.g. target.kernel=kernel.png"
        )
    height, width = kernel.shape
    return F.pad(kernel / kernel.sum(), (0, 1 - width % 2, 0, 1 - height % 2)).float()


def _shrink_matrix(length: int, factor: int, lobes: int) -> Tensor:
    """The (length // factor, length) matrix that resamples one axis; every row sums to 1."""
    shrunk = max(length // factor, 1)
    scale = length / shrunk
    centres = (torch.arange(shrunk, dtype=torch.float64) + 0.5) * scale
    pixels = torch.arange(length, dtype=torch.float64) + 0.5
    t = (pixels - centres[:, None]) / scale  # (h, H), in low-resolution pixels
    weights = torch.where(t.abs() < lobes, torch.sinc(t) * torch.sinc(t / lobes), 0.0)
    return (weights / weights.sum(1, keepdim=True)).float()


def _no_autocast(x: Tensor) -> torch.autocast:
    return torch.autocast(x.device.type, enabled=False)


def _extend(x: Tensor, radius: int, dim: int) -> Tensor:
    """`x` with its edge repeated `radius` times at both ends of `dim`.

    Not `F.pad`: the gradient of that is not deterministic on CUDA.
    """
    first, last = x.narrow(dim, 0, 1), x.narrow(dim, x.shape[dim] - 1, 1)
    return torch.cat([first] * radius + [x] + [last] * radius, dim)


def _fold(x: Tensor, radius: int, dim: int) -> Tensor:
    """The adjoint of `_extend`: the margins are added to the edges that they were copied from."""
    length = x.shape[dim] - 2 * radius
    if length == 1:
        return x.sum(dim, keepdim=True)
    first = x.narrow(dim, 0, radius + 1).sum(dim, keepdim=True)
    last = x.narrow(dim, radius + length - 1, radius + 1).sum(dim, keepdim=True)
    return torch.cat([first, x.narrow(dim, radius + 1, length - 2), last], dim)


def _fast_length(length: int) -> int:
    """The smallest number >= `length` without a prime factor above 5: others transform much slower."""
    rest = length
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    return length if rest == 1 else _fast_length(length + 1)
