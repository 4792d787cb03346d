"""Triton kernels for padding by reflection and for upsampled convolutions: one pass over memory for each way.

See `normalization_kernels`. Each program makes a piece of a line of one image.
"""

from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from dip.nets.normalization_kernels import launch, sums_of


def reflected(x: Tensor, pixels: int, symmetric: bool) -> Tensor:
    """See `dip.nets.reflection.reflect`."""
    made: Tensor = _Reflected.apply(x, pixels, int(symmetric))
    return made


@triton.jit
def _piece(W, C, COLUMNS: tl.constexpr, CHANNELS: tl.constexpr):
    """Of this program's piece of a line: image, line, columns (COLUMNS,), channels, and which of its numbers exist."""
    blocks = tl.cdiv(C, CHANNELS)
    columns = tl.program_id(1) // blocks * COLUMNS + tl.arange(0, COLUMNS)
    channels = tl.program_id(1) % blocks * CHANNELS + tl.arange(0, CHANNELS)
    inside = (columns < W)[:, None] & (channels < C)[None, :]
    return tl.program_id(2), tl.program_id(0), columns, channels, inside


@triton.jit
def _at(image, y, x, c, H, W, C):
    """Offsets of the numbers of line y of an image in the columns x and the channels c."""
    return (image * H + y).to(tl.int64) * W * C + (x[:, None] * C + c[None, :])


@triton.jit
def _mirrored(i, length, SYMMETRIC: tl.constexpr):
    i = tl.where(i < 0, -i - SYMMETRIC, i)
    return tl.where(i >= length, 2 * length - 2 + SYMMETRIC - i, i)


@triton.jit
def _copied(i, length, j: tl.constexpr, PIXELS: tl.constexpr, SYMMETRIC: tl.constexpr):
    """Copy j of line i in the padded lines: itself, before the first, after the last; 1 if it exists, else 0."""
    if j == 0:
        k, exists = i + PIXELS, i >= 0
    elif j == 1:
        k = PIXELS - i - SYMMETRIC
        exists = (k >= 0) & (k < PIXELS)
    else:
        k = PIXELS + 2 * length - 2 + SYMMETRIC - i
        exists = (k >= length + PIXELS) & (k < length + 2 * PIXELS)
    return k, exists.to(tl.int32)


@triton.jit(do_not_specialize=["H", "W"])
def _reflect(
    x, out, H, W, C, PIXELS: tl.constexpr, SYMMETRIC: tl.constexpr, COLUMNS: tl.constexpr, CHANNELS: tl.constexpr
):
    image, i, j, c, inside = _piece(W + 2 * PIXELS, C, COLUMNS, CHANNELS)
    y, k = _mirrored(i - PIXELS, H, SYMMETRIC), _mirrored(j - PIXELS, W, SYMMETRIC)
    values = tl.load(x + _at(image, y, k, c, H, W, C), inside)
    tl.store(out + _at(image, i, j, c, H + 2 * PIXELS, W + 2 * PIXELS, C), values, inside)


@triton.jit(do_not_specialize=["H", "W"])
def _reflect_back(
    dout, dx, H, W, C, PIXELS: tl.constexpr, SYMMETRIC: tl.constexpr,
    ACC: tl.constexpr, COLUMNS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    image, i, j, c, inside = _piece(W, C, COLUMNS, CHANNELS)
    total = tl.zeros((COLUMNS, CHANNELS), ACC)
    for of_i in tl.static_range(3):
        y, row = _copied(i, H, of_i, PIXELS, SYMMETRIC)
        for of_j in tl.static_range(3):
            x, column = _copied(j, W, of_j, PIXELS, SYMMETRIC)
            at = dout + _at(image, y, x, c, H + 2 * PIXELS, W + 2 * PIXELS, C)
            total += tl.load(at, inside & (row * column != 0)[:, None], 0.0).to(ACC)
    tl.store(dx + _at(image, i, j, c, H, W, C), total, inside)


class _Reflected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pixels: int, symmetric: int) -> Tensor:
        (N, C, H, W), x = x.shape, x.contiguous(memory_format=torch.channels_last)
        ctx.rest = (N, C, H, W), {"PIXELS": pixels, "SYMMETRIC": symmetric}
        out = _empty(x, H + 2 * pixels, W + 2 * pixels)
        _launch(_reflect, out, x, out, H, W, C, **ctx.rest[1])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor, None, None]:
        (_, C, H, W), rest = ctx.rest
        dx = _empty(dout, H, W)
        dout = dout.contiguous(memory_format=torch.channels_last)
        _launch(_reflect_back, dx, dout, dx, H, W, C, ACC=sums_of(dx), **rest)
        return dx, None, None


@triton.jit
def _tap(s, n, j: tl.constexpr):
    """Tap j of line s of the result: a line of the convolution by the middle (j < 2) or the outer taps; 4 x its weight.

    `_Interleave` of `dip.nets.upsampled` followed by (1, 2, 1) / 4. The lines next to the image have other outer taps.
    """
    i, odd = s // 2, s % 2
    if j < 2:
        line = i + 1 + odd + j
        weight = tl.where(odd == j, 1, 3)
    elif j < 4:
        line = i + j - 1
        weight = tl.where(odd == j - 2, 3, 1) - (s == 0) * (j == 2) - (s == 2 * n - 1) * (j == 3)
    else:
        line = tl.where(s == 0, 0, n + 2)
        weight = tl.where((s == 0) | (s == 2 * n - 1), 1, 0)
    return line, weight


@triton.jit
def _tap_back(k, n, t):
    """The transpose: line t of the result's gradient for line k of the convolutions', and 4 x its weight in each."""
    s = 2 * k - 5 + t
    exists = (s >= 0) & (s < 2 * n)
    middle = tl.where(exists, (t < 4) * (1 + 2 * ((t == 1) | (t == 2))), 0)
    outer = (t == 1) + 3 * (t == 2) + 3 * (t == 3) + (t == 4) + (t == 0) * (k == n + 2) + (t == 5) * (k == 0)
    outer = tl.where(exists, outer - (t == 2) * (k == n + 1) - (t == 3) * (k == 1), 0)
    return s, middle, outer


@triton.jit(do_not_specialize=["H", "W"])
def _double(
    centre, beside, above, corners, out, H, W, C, ACC: tl.constexpr, COLUMNS: tl.constexpr, CHANNELS: tl.constexpr
):
    image, i, j, c, inside = _piece(2 * W, C, COLUMNS, CHANNELS)
    total = tl.zeros((COLUMNS, CHANNELS), ACC)
    for of_i in tl.static_range(5):
        y, down = _tap(i, H, of_i)
        for of_j in tl.static_range(5):
            x, across = _tap(j, W, of_j)
            if of_i < 2 and of_j < 2:
                at = centre + _at(image, y, x, c, H + 4, W + 4, C)
            elif of_i < 2:
                at = beside + _at(image, y, x, c, H + 4, W + 3, C)
            elif of_j < 2:
                at = above + _at(image, y, x, c, H + 3, W + 4, C)
            else:
                at = corners + _at(image, y, x, c, H + 3, W + 3, C)
            weight = down * across
            total += weight[:, None] * tl.load(at, inside & (weight != 0)[:, None], 0.0).to(ACC)
    tl.store(out + _at(image, i, j, c, 2 * H, 2 * W, C), total / 16, inside)


@triton.jit(do_not_specialize=["H", "W"])
def _double_back(
    dout, centre, beside, above, corners, H, W, C, ACC: tl.constexpr, COLUMNS: tl.constexpr, CHANNELS: tl.constexpr
):
    image, i, j, c, inside = _piece(W + 4, C, COLUMNS, CHANNELS)
    mm, mo = tl.zeros((COLUMNS, CHANNELS), ACC), tl.zeros((COLUMNS, CHANNELS), ACC)
    om, oo = tl.zeros((COLUMNS, CHANNELS), ACC), tl.zeros((COLUMNS, CHANNELS), ACC)
    for of_i in range(6):  # not unrolled, which takes a third of the time to compile
        y, down, down_outer = _tap_back(i, H, of_i)
        for of_j in tl.static_range(6):
            x, across, across_outer = _tap_back(j, W, of_j)
            used = (down | down_outer) * (across | across_outer) != 0
            g = tl.load(dout + _at(image, y, x, c, 2 * H, 2 * W, C), inside & used[:, None], 0.0).to(ACC)
            mm += (down * across)[:, None] * g
            mo += (down * across_outer)[:, None] * g
            om += (down_outer * across)[:, None] * g
            oo += (down_outer * across_outer)[:, None] * g
    row, column = (i + 0 * j < H + 3)[:, None], (j < W + 3)[:, None]
    tl.store(centre + _at(image, i, j, c, H + 4, W + 4, C), mm / 16, inside)
    tl.store(beside + _at(image, i, j, c, H + 4, W + 3, C), mo / 16, inside & column)
    tl.store(above + _at(image, i, j, c, H + 3, W + 4, C), om / 16, inside & row)
    tl.store(corners + _at(image, i, j, c, H + 3, W + 3, C), oo / 16, inside & row & column)


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        parts = tuple(part.contiguous(memory_format=torch.channels_last) for part in parts)
        ctx.size = H, W = parts[3].shape[2] - 3, parts[3].shape[3] - 3
        out = _empty(parts[0], 2 * H, 2 * W)
        _launch(_double, out, *parts, out, H, W, out.shape[1], ACC=sums_of(out))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor, ...]:
        H, W = ctx.size
        parts = tuple(_empty(dout, H + rows, W + columns) for rows in (4, 3) for columns in (4, 3))
        dout = dout.contiguous(memory_format=torch.channels_last)
        _launch(_double_back, parts[0], dout, *parts, H, W, dout.shape[1], ACC=sums_of(dout))
        return parts


doubled: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = _Doubled.apply
"""The sum of the four convolutions of `dip.nets.upsampled.convolve_upsampled` for bilinear upsampling of n x m pixels.

Args: by the centre tap (N, C, n + 4, m + 4), the taps beside it (..., n + 4, m + 3), the taps above and below it
(..., n + 3, m + 4), the corners (..., n + 3, m + 3). Returns (N, C, 2n, 2m).
"""


def _empty(x: Tensor, height: int, width: int) -> Tensor:
    size = (*x.shape[:2], height, width)
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def _launch(kernel: Any, out: Tensor, *args: Any, **constants: Any) -> None:
    """A program for each piece of each line of `out`, of at most 128 channels and 1024 numbers."""
    N, C, H, W = out.shape
    channels = min(128, triton.next_power_of_2(C))
    columns = 1024 // channels
    grid = H, triton.cdiv(W, columns) * triton.cdiv(C, channels), N
    launch(kernel, grid, *args, **constants, COLUMNS=columns, CHANNELS=channels)
