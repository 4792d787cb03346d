"""The layers that networks share: each one idea, written out where the framework's own is slow.

All work in any memory format and floating point type and keep both. On a GPU they copy and add slices only, and on a CPU use
nothing that adds in an order of its own: they are deterministic on every device.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LEAKY_SLOPE = 0.2
EPS = 1e-5  # added to a variance before its root is taken
SLICED_FROM = 2**18
"""Numbers from which slices mirror sooner than the framework on a CPU, the way back included."""


class Convolution(nn.Conv2d):
    """A convolution that keeps the size (halves it with stride 2), padded by reflection or by zeros.

    It has no bias: a normalisation follows, which takes any constant away again.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, padding: str, stride: int = 1
    ) -> None:
        reflected = kernel // 2 if padding == "reflection" else 0
        super().__init__(in_channels, out_channels, kernel, stride, kernel // 2 - reflected, bias=False)
        self.reflected = reflected

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(mirror(x, self.reflected))


class Normalization(nn.BatchNorm2d):
    """Batch normalisation by the statistics of its input, always: there is one image and no other mode.

    Statistics, scale and shift are float32 also where the input is not.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPS, track_running_stats=False)


class NormalizedActivation(Normalization):
    """Normalisation and what follows it, one of `dip.nets.ACTIVATIONS`."""

    def __init__(self, channels: int, activation: str) -> None:
        super().__init__(channels)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        # In place where the way back needs only the result: that of a normalisation needs its input.
        if self.activation == "leaky_relu":
            return F.leaky_relu(x, LEAKY_SLOPE, inplace=True)
        if self.activation == "relu":
            return F.relu(x, inplace=True)
        return F.elu(x, inplace=True) if self.activation == "elu" else F.silu(x)


def mirror(x: Tensor, pixels: int, about_edge: bool = False) -> Tensor:
    """`x` and its mirror image around it, (N, C, H, W) -> (N, C, H + 2 pixels, W + 2 pixels).

    The mirror goes through the centres of the border pixels, which is reflection padding (c b | a b c), or,
    with `about_edge`, along their outer edges, so that border pixels repeat (b a | a b c). By slices where the framework
    has no such padding, where its own takes longer, and on CUDA, where it leaves channels_last and has a way back that is
    not deterministic.
    """
    if pixels == 0:
        return x
    assert min(x.shape[2:]) >= pixels + (not about_edge), "too few pixels to mirror"
    if x.device.type == "cpu" and x.numel() < SLICED_FROM and (pixels == 1 or not about_edge):
        with torch.autocast("cpu", enabled=False):  # it would make float32 of 16-bit numbers, there and back
            return F.pad(x, [pixels] * 4, mode="replicate" if about_edge else "reflect")
    return mirror_by_slices(x, pixels, about_edge)


def mirror_by_slices(x: Tensor, pixels: int, about_edge: bool = False) -> Tensor:
    """What `mirror` returns, for any device and `pixels` >= 1."""
    padded: Tensor = _Mirror.apply(x, pixels, about_edge)  # type: ignore[no-untyped-call]
    return padded


class _Mirror(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pixels: int, about_edge: bool) -> Tensor:
        # The k-th line outside repeats the k-th inside; indices are those of the padded image.
        lines = [(pixels - k, pixels + k - about_edge) for k in range(1, pixels + 1)]
        lines += [(-1 - outside, -1 - inside) for outside, inside in lines]
        ctx.lines, ctx.pixels = lines, pixels
        inner = slice(pixels, -pixels)
        out = new_empty(x, x.shape[2] + 2 * pixels, x.shape[3] + 2 * pixels)
        out[:, :, inner, inner] = x
        for outside, inside in lines:
            out[:, :, inner, outside] = out[:, :, inner, inside]
        for outside, inside in lines:
            out[:, :, outside] = out[:, :, inside]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        inner = slice(ctx.pixels, -ctx.pixels)
        out = grad[..., inner].clone()  # (N, C, H + 2 pixels, W)
        for outside, inside in ctx.lines:
            out[..., inside - ctx.pixels if inside >= 0 else inside + ctx.pixels] += grad[..., outside]
        for outside, inside in ctx.lines:
            out[:, :, inside] += out[:, :, outside]
        return out[:, :, inner], None, None


def new_empty(x: Tensor, height: int, width: int) -> Tensor:
    """Memory of the format, type and device of `x` for (N, C, height, width)."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    memory_format = torch.channels_last if last else torch.contiguous_format
    shape = (x.shape[0], x.shape[1], height, width)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format)
