"""Reflection padding that is deterministic on every device and keeps the memory format and the number format."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

SLICED_FROM = 2**18
"""Numbers in a tensor from which slices are faster than the framework on a CPU, the backward pass included."""


def reflect(x: Tensor, pixels: int, symmetric: bool = False) -> Tensor:
    """Pad by reflection: (N, C, H, W) -> (N, C, H + 2 pixels, W + 2 pixels).

    Border pixels are not repeated (c b | a b c), or, if `symmetric`, are (b a | a b c), as in `numpy.pad`. Slices
    replace the framework's padding where it has none or is slower, and on CUDA, where it gives up channels_last and
    its backward pass is not deterministic.
    """
    if pixels == 0:
        return x
    assert min(x.shape[2:]) >= pixels + (not symmetric), "too few pixels to reflect"
    if x.device.type == "cpu" and x.numel() < SLICED_FROM and (pixels == 1 or not symmetric):
        with torch.autocast("cpu", enabled=False):  # it would convert 16-bit numbers to float32 and back
            return F.pad(x, [pixels] * 4, mode="replicate" if symmetric else "reflect")
    return reflect_by_slices(x, pixels, symmetric)


def reflect_by_slices(x: Tensor, pixels: int, symmetric: bool = False) -> Tensor:
    """What `reflect` returns, for any device and `pixels` >= 1."""
    padded: Tensor = _Reflect.apply(x, pixels, symmetric)  # type: ignore[no-untyped-call]
    return padded


class _Reflect(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pixels: int, symmetric: bool) -> Tensor:
        # The k-th line outside is a copy of the k-th inside; indices are those of the padded image.
        lines = [(pixels - k, pixels + k - symmetric) for k in range(1, pixels + 1)]
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
    """An uninitialised (N, C, height, width) with the memory format, number format and device of `x`."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    memory_format = torch.channels_last if last else torch.contiguous_format
    shape = (x.shape[0], x.shape[1], height, width)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format)
