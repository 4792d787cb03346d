"""Reflection padding that is deterministic on every device and keeps the memory format and the number format."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

SLICED_FROM = 2**18
"""Numbers in a tensor from which slices are faster than the framework on a CPU, the backward pass included."""


def reflect(x: Tensor, pixels: int, symmetric: bool = False, fused: bool = False) -> Tensor:
    """Pad by reflection: (N, C, H, W) -> (N, C, H + 2 pixels, W + 2 pixels).

    Border pixels are not repeated (c b | a b c), or, if `symmetric`, are (b a | a b c), as in `numpy.pad`. Slices
    replace the framework's padding where it has none or is slower, and on CUDA, where it gives up channels_last and
    its backward pass is not deterministic. `fused` does it in one kernel each way, see `dip.nets.line_kernels`.
    """
    if pixels == 0:
        return x
    assert min(x.shape[2:]) >= pixels + (not symmetric), "too few pixels to reflect"
    if fused:
        from dip.nets.line_kernels import reflected

        return reflected(x, pixels, symmetric)
    if x.device.type == "cpu" and x.numel() < SLICED_FROM and (pixels == 1 or not symmetric):
        with torch.autocast("cpu", enabled=False):  # it would convert 16-bit numbers to float32 and back
            return F.pad(x, [pixels] * 4, mode="replicate" if symmetric else "reflect")
    padded: Tensor = _Reflect.apply(x, pixels, symmetric)  # type: ignore[no-untyped-call]
    return padded


class _Reflect(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pixels: int, symmetric: bool) -> Tensor:
        ctx.inner = inner = slice(pixels, -pixels)
        out = new_empty(x, x.shape[2] + 2 * pixels, x.shape[3] + 2 * pixels)
        rows = out[:, :, inner]  # (N, C, H, W + 2 pixels)
        rows[..., inner] = x
        ctx.columns, ctx.rows = (list(_lines(length, pixels, symmetric)) for length in (x.shape[3], x.shape[2]))
        for outside, inside in ctx.columns:
            rows[..., outside] = x[..., inside]
        for outside, inside in ctx.rows:
            out[:, :, outside] = rows[:, :, inside]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        out = grad[..., ctx.inner].clone()  # (N, C, H + 2 pixels, W)
        rows = out[:, :, ctx.inner]  # (N, C, H, W)
        for outside, inside in ctx.columns:
            out[..., inside].add_(grad[..., outside])  # += would also copy the result to itself
        for outside, inside in ctx.rows:
            rows[:, :, inside].add_(out[:, :, outside])
        return rows, None, None


def _lines(length: int, pixels: int, symmetric: bool) -> Iterator[tuple[slice, slice]]:
    """Lines outside, as indices of the padded tensor, with the lines inside that they copy: at both ends, k outwards.

    A slice of two lines takes one kernel instead of two; where both ends copy the same line, each is a slice.
    """
    padded = length + 2 * pixels
    for k in range(1, pixels + 1):
        first, last = k - symmetric, length - 1 - k + symmetric
        outside = pixels - k, padded - 1 - pixels + k
        if first < last:
            yield slice(outside[0], outside[1] + 1, outside[1] - outside[0]), slice(first, last + 1, last - first)
        else:
            yield from ((slice(o, o + 1), slice(i, i + 1)) for o, i in zip(outside, (first, last), strict=True))


def new_empty(x: Tensor, height: int, width: int) -> Tensor:
    """An uninitialised (N, C, height, width) with the memory format, number format and device of `x`."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    memory_format = torch.channels_last if last else torch.contiguous_format
    return torch.empty((*x.shape[:2], height, width), dtype=x.dtype, device=x.device, memory_format=memory_format)
