"""A Triton kernel for batch normalisation and activation together: 8 passes over memory in a step instead of 13.

The tensors are channels_last, so an image is a matrix of its pixels and channels. Sums are float32, float64 for
float64. There are no atomic operations, so the same input gives the same bits. Importing this module needs Triton, and
`dip.nets.fused` enables it.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

PARTS = 256
"""Parts of an image whose sums are computed in parallel; a power of two."""
ROWS, COLUMNS = 64, 64  # pixels and channels of a tile


def activated(x: Tensor, weight: Tensor, bias: Tensor, eps: float, kind: str, slope: float) -> Tensor:
    """Batch normalisation with the statistics of `x` (N, C, H, W), then the activation `kind` of `_activation`."""
    made: Tensor = _Activated.apply(x, weight, bias, eps, kind, slope)
    return made


@triton.jit
def _activation(z, SLOPE: tl.constexpr, KIND: tl.constexpr):
    """The activation of z and its derivative: leaky (with `SLOPE` 0: ReLU), elu or silu."""
    if KIND == "leaky":
        one = tl.full(z.shape, 1.0, z.dtype)
        y, d = tl.where(z > 0, z, SLOPE * z), tl.where(z > 0, one, SLOPE * one)
    elif KIND == "elu":
        e = tl.exp(tl.minimum(z, 0.0))
        y, d = tl.where(z > 0, z, e - 1.0), e
    else:
        s = 1.0 / (1.0 + tl.exp(-z))
        y, d = z * s, s * (1.0 + z * (1.0 - s))
    return y, d


@triton.jit
def _tile(first, pixels, C, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The channels of this program; offsets of `ROWS` pixels of them from pixel `first` on; which of them exist."""
    p, c = first + tl.arange(0, ROWS), tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    return c, p[:, None].to(tl.int64) * C + c[None, :], (p < pixels)[:, None] & (c < C)[None, :]


@triton.jit(do_not_specialize=["pixels", "rows"])
def _statistics(x, means, squares, pixels, C, rows, ACC: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Of each part of `rows` pixels: mean and sum of squared deviations, both (parts, C). Chan, Golub, LeVeque 1979."""
    begin = tl.program_id(0) * rows
    mean, square = tl.zeros((COLUMNS,), ACC), tl.zeros((COLUMNS,), ACC)
    for first in range(begin, tl.minimum(begin + rows, pixels), ROWS):
        c, at, inside = _tile(first, pixels, C, ROWS, COLUMNS)
        values = tl.load(x + at, inside, 0.0).to(ACC)
        count, before = tl.minimum(ROWS, pixels - first), first - begin
        mean_here = tl.sum(values, 0) / count
        away = tl.where(inside, values - mean_here[None, :], 0.0)
        delta, share = mean_here - mean, count / (before + count)
        mean += delta * share
        square += tl.sum(away * away, 0) + delta * delta * (before * share)
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    at = tl.program_id(0) * C + c
    tl.store(means + at, mean, c < C)
    tl.store(squares + at, square, c < C)


@triton.jit(do_not_specialize=["pixels", "rows", "parts"])
def _joined(means, squares, mean, rstd, pixels, C, rows, parts, eps, PARTS: tl.constexpr, COLUMNS: tl.constexpr):
    """The mean and 1 / sqrt(variance + eps) of all pixels, both (C,), from those of the parts."""
    part, c = tl.arange(0, PARTS), tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    at, inside = part[:, None] * C + c[None, :], (part < parts)[:, None] & (c < C)[None, :]
    count = tl.minimum(rows, tl.maximum(pixels - part * rows, 0))[:, None]
    of_parts = tl.load(means + at, inside, 0.0)
    whole = tl.sum(of_parts * count, 0) / pixels
    away = of_parts - whole[None, :]
    variance = tl.sum(tl.load(squares + at, inside, 0.0) + tl.where(inside, away * away * count, 0.0), 0) / pixels
    tl.store(mean + c, whole, c < C)
    tl.store(rstd + c, 1.0 / tl.sqrt(variance + eps), c < C)


@triton.jit(do_not_specialize=["pixels"])
def _normalise(
    x, y, weight, bias, mean, rstd, pixels, C,
    SLOPE: tl.constexpr, KIND: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    c, at, inside = _tile(tl.program_id(0) * ROWS, pixels, C, ROWS, COLUMNS)
    scale = tl.load(weight + c, c < C) * tl.load(rstd + c, c < C)
    centred = tl.load(x + at, inside, 0.0) - tl.load(mean + c, c < C)[None, :]
    z = centred * scale[None, :] + tl.load(bias + c, c < C)[None, :]
    tl.store(y + at, _activation(z, SLOPE, KIND)[0], inside)


@triton.jit
def _gradient(x, dy, at, c, inside, C, weight, bias, mean, rstd, SLOPE: tl.constexpr, KIND: tl.constexpr):
    """The normalised x, and the gradient of the input of the activation."""
    there = c < C
    n = (tl.load(x + at, inside, 0.0) - tl.load(mean + c, there, 0.0)[None, :]) * tl.load(rstd + c, there, 0.0)[None, :]
    z = n * tl.load(weight + c, there, 0.0)[None, :] + tl.load(bias + c, there, 0.0)[None, :]
    return n, tl.load(dy + at, inside, 0.0) * _activation(z, SLOPE, KIND)[1]


@triton.jit(do_not_specialize=["pixels", "rows"])
def _sums(
    x, dy, dweights, dbiases, weight, bias, mean, rstd, pixels, C, rows,
    SLOPE: tl.constexpr, KIND: tl.constexpr, ACC: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The gradients of weight and bias from each part, both (parts, C)."""
    begin = tl.program_id(0) * rows
    dweight, dbias = tl.zeros((COLUMNS,), ACC), tl.zeros((COLUMNS,), ACC)
    for first in range(begin, tl.minimum(begin + rows, pixels), ROWS):
        c, at, inside = _tile(first, pixels, C, ROWS, COLUMNS)
        n, g = _gradient(x, dy, at, c, inside, C, weight, bias, mean, rstd, SLOPE, KIND)
        dweight += tl.sum(n * g, 0)  # g is 0 outside
        dbias += tl.sum(g, 0)
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    at = tl.program_id(0) * C + c
    tl.store(dweights + at, dweight, c < C)
    tl.store(dbiases + at, dbias, c < C)


@triton.jit(do_not_specialize=["parts"])
def _added(dweights, dbiases, dweight, dbias, C, parts, PARTS: tl.constexpr, COLUMNS: tl.constexpr):
    """The sums over the parts."""
    part, c = tl.arange(0, PARTS), tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    at, inside = part[:, None] * C + c[None, :], (part < parts)[:, None] & (c < C)[None, :]
    tl.store(dweight + c, tl.sum(tl.load(dweights + at, inside, 0.0), 0), c < C)
    tl.store(dbias + c, tl.sum(tl.load(dbiases + at, inside, 0.0), 0), c < C)


@triton.jit(do_not_specialize=["pixels"])
def _backward(
    x, dy, dx, dweight, dbias, weight, bias, mean, rstd, pixels, C,
    SLOPE: tl.constexpr, KIND: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    c, at, inside = _tile(tl.program_id(0) * ROWS, pixels, C, ROWS, COLUMNS)
    n, g = _gradient(x, dy, at, c, inside, C, weight, bias, mean, rstd, SLOPE, KIND)
    scale = tl.load(weight + c, c < C, 0.0) * tl.load(rstd + c, c < C, 0.0)
    along, constant = tl.load(dweight + c, c < C, 0.0) / pixels, tl.load(dbias + c, c < C, 0.0) / pixels
    tl.store(dx + at, scale[None, :] * (g - constant[None, :] - n * along[None, :]), inside)


class _Activated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, kind: str, slope: float) -> Tensor:
        x, C = x.contiguous(memory_format=torch.channels_last), x.shape[1]
        pixels = x.numel() // C
        rows = ROWS * triton.cdiv(triton.cdiv(pixels, ROWS), PARTS)
        parts, columns, y = triton.cdiv(pixels, rows), min(COLUMNS, triton.next_power_of_2(C)), torch.empty_like(x)
        means, squares = (weight.new_empty(parts, C) for _ in range(2))
        mean, rstd = (weight.new_empty(C) for _ in range(2))
        tile = {"ROWS": ROWS, "COLUMNS": columns}
        blocks = triton.cdiv(C, columns)
        launch(_statistics, (parts, blocks), x, means, squares, pixels, C, rows, ACC=sums_of(x), **tile)
        joined = {"PARTS": PARTS, "COLUMNS": 16}
        launch(_joined, (triton.cdiv(C, 16),), means, squares, mean, rstd, pixels, C, rows, parts, eps, **joined)
        grid = (triton.cdiv(pixels, ROWS), blocks)
        launch(_normalise, grid, x, y, weight, bias, mean, rstd, pixels, C, SLOPE=slope, KIND=kind, **tile)
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        ctx.rest = pixels, C, rows, parts, blocks, kind, slope, tile, joined
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (x, *scales), (pixels, C, rows, parts, blocks, kind, slope, tile, joined) = ctx.saved_tensors, ctx.rest
        dy, dx = dy.contiguous(memory_format=torch.channels_last), torch.empty_like(x)
        dweights, dbiases = (scales[0].new_empty(parts, C) for _ in range(2))
        dweight, dbias = (scales[0].new_empty(C) for _ in range(2))
        rest = {"SLOPE": slope, "KIND": kind, **tile}
        launch(_sums, (parts, blocks), x, dy, dweights, dbiases, *scales, pixels, C, rows, ACC=sums_of(x), **rest)
        launch(_added, (triton.cdiv(C, 16),), dweights, dbiases, dweight, dbias, C, parts, **joined)
        launch(_backward, (triton.cdiv(pixels, ROWS), blocks), x, dy, dx, dweight, dbias, *scales, pixels, C, **rest)
        return dx, dweight, dbias, None, None, None


def sums_of(x: Tensor) -> Any:
    """Triton's type of sums over `x`."""
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def launch(kernel: Any, grid: tuple[int, ...], x: Tensor, *args: Any, **constants: Any) -> None:
    """Launch on the device of `x`, as Triton takes the current one."""
    with torch.cuda.device_of(x):
        kernel[grid](x, *args, **constants)
