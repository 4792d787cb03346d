"""Convolve an upsampled tensor at its resolution before upsampling: the same result for a quarter of the arithmetic.

Let n be `a` upsampled x 2 by repetition, n[2i] = n[2i + 1] = a[i]. Along one axis n convolved with (w0, w1, w2) is

    S[2i]     = (w0 a[i - 1] + w2 a[i]) + w1 a[i]
    S[2i + 1] = (w0 a[i] + w2 a[i + 1]) + w1 a[i]

The two outer taps together need one convolution of `a`, the middle tap needs another, and additions give S. In two
dimensions there are four convolutions of `a`: by the centre tap, by the two taps beside it, by the two above and below
it, and by the four corners. Their nine products per pixel of `a` give four pixels of S, which would take 36 products.
(Multirate filtering calls this the noble identity.)

Bilinear upsampling is n blurred by (1, 2, 1) / 4 in each dimension, and the blur commutes with the convolution. The
borders agree too: the bilinear result reflected by one pixel is n reflected by two pixels, then blurred. These two
pixels are a[1], a[0], which is the symmetric reflection of `a`.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from dip.nets.reflection import new_empty, reflect

_MIDDLE, _OUTER = slice(1, 2), slice(0, 3, 2)
_PARTS = tuple((..., rows, columns) for rows in (_MIDDLE, _OUTER) for columns in (_MIDDLE, _OUTER))
_ENDS = ((0, 1), (-1, -2))  # the first and last line, each with its inner neighbour
BLUR = (1 / 4, 1 / 2, 1 / 4)
# D^T D / 2 for bilinear upsampling D in one dimension, with symmetric reflection at the borders.
_GRAM = (3 / 16, 5 / 8, 3 / 16)


def convolve_upsampled(a: Tensor, weight: Tensor, bilinear: bool) -> Tensor:
    """`a` upsampled x 2 (bilinear or nearest), reflected by one pixel and convolved with `weight`.

    Args:
        a: (N, C_in, H, W), at least 2 x 2 pixels.
        weight: (C_out, C_in, 3, 3).

    Returns:
        (N, C_out, 2H, 2W).
    """
    margin = 1 if bilinear else 0  # pixels that the blur needs around the result; p = 1 + margin below
    a = reflect(a, 1 + margin, symmetric=True)  # (N, C_in, H + 2p, W + 2p)
    centre, beside, above, corners = _Taps.apply(weight, a.dtype)  # type: ignore[no-untyped-call]
    # Along rows first, (N, C_out, H + 2p or one less, 2W + 2 margin), then along columns.
    middle = _interleave(F.conv2d(a, centre), F.conv2d(a, beside), 3, margin)
    outer = _interleave(F.conv2d(a, above), F.conv2d(a, corners), 3, margin)
    doubled = _interleave(middle, outer, 2, margin)  # (N, C_out, 2H + 2 margin, 2W + 2 margin)
    return filter_channels(doubled, BLUR) if bilinear else doubled


def centred(a: Tensor, bilinear: bool) -> tuple[Tensor, Tensor]:
    """Subtract each channel's mean from `a`, and compute each channel's variance after upsampling x 2.

    Args:
        a: (N, C, H, W).
        bilinear: bilinear or nearest upsampling. Nearest does not change the variance, so it also stands for none.

    Returns:
        (N, C, H, W), and (C,): the biased variance over all pixels, float32 for 16-bit `a`. Gradients treat the mean as
        a constant, which is exact where constants have no effect.

    Upsampling D keeps the mean, so the variance is the mean of c times (D^T D / 4) c for the centred c. D^T D / 4 is a
    3 x 3 filter at the resolution of `a`.
    """
    result: tuple[Tensor, Tensor] = _Centred.apply(a, bilinear)  # type: ignore[no-untyped-call]
    return result


def filter_channels(x: Tensor, taps: tuple[float, float, float]) -> Tensor:
    """Filter every channel by symmetric `taps` in both dimensions, without padding: (N, C, H - 2, W - 2)."""
    filtered: Tensor = _Filter.apply(x, taps)  # type: ignore[no-untyped-call]
    return filtered


def _kernel(taps: tuple[float, float, float], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        line = torch.tensor(taps, dtype=dtype, device=device)
        return torch.outer(line, line)


_kept_kernel = functools.cache(_kernel)  # a copy to a device waits for it, so it is made once


def _interleave(middle: Tensor, outer: Tensor, dim: int, margin: int) -> Tensor:
    doubled: Tensor = _Interleave.apply(middle, outer, dim, margin)  # type: ignore[no-untyped-call]
    return doubled


class _Filter(torch.autograd.Function):
    """A depthwise convolution by symmetric taps, and so is its backward pass. The framework's would save `x` for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: tuple[float, float, float]) -> Tensor:
        ctx.taps = taps
        return _correlate(x, taps, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _correlate(grad, ctx.taps, 2), None


def _correlate(x: Tensor, taps: tuple[float, float, float], padding: int) -> Tensor:
    make = _kernel if torch.compiler.is_compiling() else _kept_kernel
    weight = make(taps, x.dtype, x.device).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, weight, padding=padding, groups=x.shape[1])


class _Taps(torch.autograd.Function):
    """A 3 x 3 kernel as its centre, the two taps beside it, the two above and below it, and the four corners.

    Slicing gives the same, but its backward pass fills a whole kernel with zeros for each part.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        ctx.shape, ctx.dtype = weight.shape, weight.dtype
        weight = weight.to(dtype, memory_format=torch.channels_last)
        return tuple(weight[part].contiguous(memory_format=torch.channels_last) for part in _PARTS)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        grad = grads[0].new_empty(ctx.shape, dtype=ctx.dtype).contiguous(memory_format=torch.channels_last)
        for part, part_grad in zip(_PARTS, grads, strict=True):
            grad[part] = part_grad
        return grad, None


class _Interleave(torch.autograd.Function):
    """S of the module's docstring in one dimension, from the convolutions by the middle tap and by the outer taps.

    For n pixels of `a` reflected by p = 1 + margin: middle (n + 2p), outer (n + 2p - 1) -> 2n + 2 margin values. With a
    margin, the first and the last value belong to the pixels just outside, whose neighbours are a[1], a[0] | a[0].
    """

    @staticmethod
    def forward(ctx: Any, middle: Tensor, outer: Tensor, dim: int, margin: int) -> Tensor:
        n = middle.shape[dim] - 2 - 2 * margin
        assert n >= 1
        ctx.dim, ctx.n, ctx.margin = dim, n, margin
        height, width = (2 * (n + margin) if d == dim else middle.shape[d] for d in (2, 3))
        out = new_empty(middle, height, width)
        inside = middle.narrow(dim, 1 + margin, n)
        even, odd = _even_and_odd(out, dim, margin)
        _add_into(even, inside, outer.narrow(dim, margin, n))
        _add_into(odd, inside, outer.narrow(dim, margin + 1, n))
        for end, inner in _ENDS if margin else ():
            _add_into(out.select(dim, end), middle.select(dim, inner), outer.select(dim, end))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        dim, n, margin = ctx.dim, ctx.n, ctx.margin
        even, odd = _even_and_odd(grad, dim, margin)
        sizes = [[n + 2 * (1 + margin) - k if d == dim else grad.shape[d] for d in (2, 3)] for k in (0, 1)]
        middle, outer = (new_empty(grad, *size) for size in sizes)
        _add_into(middle.narrow(dim, 1 + margin, n), even, odd)
        _add_into(outer.narrow(dim, 1 + margin, n - 1), even.narrow(dim, 1, n - 1), odd.narrow(dim, 0, n - 1))
        outer.select(dim, margin).copy_(even.select(dim, 0))
        outer.select(dim, n + margin).copy_(odd.select(dim, n - 1))
        for end, inner in _ENDS:
            middle.select(dim, end).zero_()
            if margin:
                middle.select(dim, inner).copy_(grad.select(dim, end))
                outer.select(dim, end).copy_(grad.select(dim, end))
        return middle, outer, None, None


def _add_into(out: Tensor, a: Tensor, b: Tensor) -> None:
    """out = a + b in one pass. torch.compile fuses the two passes itself, and does not accept a strided `out`."""
    if torch.compiler.is_compiling():
        out.copy_(a + b)
    else:
        torch.add(a, b, out=out)


def _even_and_odd(x: Tensor, dim: int, margin: int) -> tuple[Tensor, Tensor]:
    """Every other pixel of `x` along `dim`, without the margin: the even ones and the odd ones."""
    inside = x.narrow(dim, margin, x.shape[dim] - 2 * margin)
    before = (slice(None),) * dim
    return inside[(*before, slice(0, None, 2))], inside[(*before, slice(1, None, 2))]


class _Centred(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, bilinear: bool) -> tuple[Tensor, Tensor]:
        precise = torch.promote_types(a.dtype, torch.float32)
        mean = a.mean((0, 2, 3), keepdim=True, dtype=precise)  # (1, C, 1, 1)
        # Rounding the mean to the number format of `a` leaves a small mean in c; its square is subtracted below.
        rounded = mean.to(a.dtype)
        c = a - rounded
        gram = filter_channels(reflect(c, 1, symmetric=True), _GRAM) if bilinear else c
        ctx.save_for_backward(gram)
        variance = (c * gram).mean((0, 2, 3), dtype=precise) - (mean - rounded).flatten().square()  # (C,)
        return c, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, variance_grad: Tensor) -> tuple[Tensor, None]:
        (gram,) = ctx.saved_tensors
        slope = (2 / (gram.numel() // gram.shape[1]) * variance_grad).to(gram.dtype)
        return torch.addcmul(grad, gram, slope.view(1, -1, 1, 1)), None
