"""Observation operators: `y = A x`, the blur, downsampling or mask between the image x and the observation y.

All are linear, differentiable and deterministic. They compute in the precision of their own buffers (float32) even
inside an autocast region: rounding errors of the operator do not average out but bias the restored image. The buffers
are made from the options, so no checkpoint holds them.
"""

import abc
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dip.errors import ImageError

KERNELS = {"lanczos2": 2, "lanczos3": 3}
"""Antialiasing kernels of `Downsample` and their lobes: low-resolution pixels to each side."""


COLOURED = 0.02
"""Mean difference between the channels of a picture of a kernel, divided by its mean, from which it has colours."""


class Operator(torch.nn.Module, abc.ABC):
    """A linear map from images (1, C, H, W) to observations (1, C, h, w), for any number of channels C."""

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """`A x`: the observation (1, C, h, w) of image `x` (1, C, H, W)."""


def adjoint(operator: Operator, y: Tensor, at: Tensor) -> Tensor:
    """A'y, (1, C, H, W), for `y` (1, C, h, w); A' is the transposed derivative at `at` if A is not linear."""
    with torch.enable_grad():
        image = at.detach().requires_grad_()
        (found,) = torch.autograd.grad((operator(image) * y).sum(), image)
    return found


class Identity(Operator):
    """`A x = x`: the observation is the image itself, apart from noise."""

    def forward(self, x: Tensor) -> Tensor:
        return x


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


class Downsample(Operator):
    """Antialiased Lanczos downsampling, the observation model of super-resolution.

    It is Pillow's `resize((W // factor, H // factor), LANCZOS)` for float images: the kernel is stretched by the scale,
    centred on the low-resolution pixel, and renormalised where it leaves the image. If a side is no multiple of the
    factor, no pixel is lost: the scale is then H / (H // factor), a little more than the factor.

    Each axis is a product with a small dense matrix. This takes below 1 % of a network's step up to 1024 x 1024, is
    exact at any size, and its gradient is deterministic.

    Source: Ulyanov et al., "Deep Image Prior", super-resolution. The authors' code fits with `lanczos2` and makes the
    low-resolution images with `lanczos3`.

    Args:
        factor: ratio of the sides of image and observation, >= 1.
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
        with no_autocast(x):
            return self.rows @ x.to(self.rows.dtype) @ self.columns.T  # (1, C, h, w)


class Bins(Operator):
    """The mean of each block of `factor` x `factor` pixels; of fewer where the last block exceeds the image."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        with no_autocast(x):
            x = x.to(torch.promote_types(x.dtype, torch.float32))
            return F.avg_pool2d(x, self.factor, ceil_mode=True, count_include_pad=False)  # (1, C, h, w)


class Blur(Operator):
    """Convolution with a known kernel; beyond its border the image continues with its edge pixels.

    Computed by FFT: the cost does not depend on the kernel's size, and the gradient is deterministic. It is a
    convolution, not a correlation: a single bright pixel becomes the kernel.

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
        from scipy.fft import next_fast_len  # only where it is needed: its import takes a tenth of a second

        ry, rx = self.kernel.shape[0] // 2, self.kernel.shape[1] // 2
        height, width = x.shape[-2:]
        with no_autocast(x):
            wide = _extend(_extend(x.to(self.kernel.dtype), ry, -2), rx, -1)  # (1, C, H + 2 ry, W + 2 rx)
            grid = [next_fast_len(side, real=True) for side in wide.shape[-2:]]
            product = torch.fft.rfft2(wide, s=grid) * torch.fft.rfft2(self.kernel, s=grid)
            # The first 2 r rows and columns of the circular convolution are wrong: they wrap around.
            seen: Tensor = torch.fft.irfft2(product, s=grid)[..., 2 * ry :, 2 * rx :]
            return seen[..., :height, :width]  # (1, C, H, W)


def gaussian_kernel(sigma: float) -> Tensor:
    """A Gaussian of standard deviation `sigma` > 0 pixels, cut at 4 sigma: (k, k), sum 1."""
    radius = int(4 * sigma + 0.5)
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    line = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = line[:, None] * line
    return (kernel / kernel.sum()).float()


def motion_kernel(length: float, angle: float = 0.0) -> Tensor:
    """The kernel of uniform motion along a straight line: (k, k), sum 1.

    A pixel's weight is the fraction of the line that lies in it.

    Args:
        length: of the line in pixels, > 0.
        angle: of the line in degrees, counter-clockwise from horizontal.
    """
    samples = 1000 * math.ceil(length)  # 1000 for each pixel that is crossed straight
    along = ((torch.arange(samples, dtype=torch.float64) + 0.5) / samples - 0.5) * length
    radians = math.radians(angle)
    # Rounded first: cos(90 degrees) is not exactly 0, which would decide between two pixels at their border.
    column = (along * round(math.cos(radians), 12)).round().long()
    row = (-along * round(math.sin(radians), 12)).round().long()  # rows count downwards
    radius = int(torch.maximum(column.abs(), row.abs()).max())
    side = 2 * radius + 1
    kernel = torch.bincount((row + radius) * side + column + radius, minlength=side * side)
    return kernel.reshape(side, side).float() / samples


def kernel_from_image(image: Tensor) -> Tensor:
    """The blur kernel in a picture: its gray values, scaled to sum 1, (kh, kw) with odd sides.

    An even side gets a row or column of zeros at its end.

    Args:
        image: (1, C, kh, kw), values >= 0; bright = large weight.

    Raises:
        ImageError: the image is black or has colours.
    """
    kernel = image[0].double().mean(0)  # (kh, kw)
    if (image[0] - kernel).abs().mean() > COLOURED * kernel.mean() > 0:
        raise ImageError(
            "target.kernel: the picture has colours; a kernel is the blur of one bright point on black, in gray, "
            "e.g. target.kernel=kernel.png"
        )
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


def no_autocast(x: Tensor) -> torch.autocast:
    return torch.autocast(x.device.type, enabled=False)


def _extend(x: Tensor, radius: int, dim: int) -> Tensor:
    """`x` with its edge repeated `radius` times at both ends of `dim`.

    Not `F.pad`, whose gradient is not deterministic on CUDA.
    """
    first, last = x.narrow(dim, 0, 1), x.narrow(dim, x.shape[dim] - 1, 1)
    return torch.cat([first] * radius + [x] + [last] * radius, dim)
