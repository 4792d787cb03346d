"""The operator of magnetic resonance imaging, a masked Fourier transform, and the patterns of sampled frequencies."""

import torch
from torch import Generator, Tensor

from dip.targets.operators import Operator, no_autocast

AXES = (-2, -1)
"""The axes that are transformed: rows and columns."""


class MaskedFourier(Operator):
    """`A x = m F x`: the frequencies of an image where the mask `m` is 1 or true, and 0 elsewhere.

    F is the orthonormal discrete Fourier transform with frequency 0 at (H // 2, W // 2), in both spaces, which is the
    usual layout of k-space data. It keeps the norm: noise has the same standard deviation per value in both spaces.

    Args:
        mask: (1, 1, H, W) or (H, W).
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The frequencies of `x` (1, C, H, W): complex if `x` is; else real parts, then imaginary parts as channels."""
        if x.is_complex():
            return self.mask * transform(x)
        with no_autocast(x):
            spectrum = self.mask * transform(x.to(self.mask.dtype))
            return torch.cat([spectrum.real, spectrum.imag], 1)


def transform(x: Tensor) -> Tensor:
    """The centred orthonormal Fourier transform over the last two axes."""
    shifted: Tensor = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(x, AXES), norm="ortho"), AXES)
    return shifted


def inverse(y: Tensor) -> Tensor:
    """The inverse of `transform`."""
    shifted: Tensor = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(y, AXES), norm="ortho"), AXES)
    return shifted


def sampling(size: tuple[int, int], pattern: str, acceleration: float, centre: float, generator: Generator) -> Tensor:
    """A mask of sampled frequencies, (1, 1, H, W), 1 = sampled, with a fraction of 1 / acceleration of them.

    Args:
        size: (H, W).
        pattern: random or equispaced columns, or points whose density falls with the distance to frequency 0.
        acceleration: at least 1.
        centre: fraction of each axis around frequency 0 that is sampled completely; it counts towards the rest.
        generator: of the random choice.
    """
    height, width = size if pattern == "points" else (1, size[1])
    rows, columns = (torch.arange(side) - side // 2 for side in (height, width))
    across = (columns.abs() * 2 / width).expand(height, -1)
    down = (rows.abs() * 2 / height)[:, None].expand(-1, width) if height > 1 else torch.zeros_like(across)
    middle = (torch.maximum(across, down) <= centre).flatten()
    count = max(round(height * width / acceleration), 1)
    mask = middle.float()
    others = (~middle).nonzero().flatten()
    more = min(max(count - int(middle.sum()), 0), len(others))
    if pattern == "equispaced":
        chosen = others[((torch.arange(more) + 0.5) * len(others) / max(more, 1)).long()]
    else:
        # The largest keys log w + Gumbel noise are a draw without replacement with probabilities w.
        distance = (across.square() + down.square()).sqrt().flatten()[others]
        weight = (1 - distance / 2**0.5) ** 6 if pattern == "points" else torch.ones_like(distance)
        uniform = torch.rand(len(others), generator=generator, dtype=torch.float64)
        keys = weight.double().clamp(min=1e-12).log() - (-uniform.clamp(min=1e-300).log()).log()
        chosen = others[keys.topk(more).indices]
    mask[chosen] = 1
    return mask.view(1, 1, height, width).expand(1, 1, *size).contiguous()
