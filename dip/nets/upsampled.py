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

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from dip.nets.convolution import convolve
from dip.nets.reflection import new_empty, reflect

BLUR = (1 / 4, 1 / 2, 1 / 4)
# D^T D / 2 for bilinear upsampling D in one dimension, with symmetric reflection at the borders.
_GRAM = (3 / 16, 5 / 8, 3 / 16)


def convolve_upsampled(a: Tensor, parts: Sequence[Tensor], bilinear: bool, fused: bool = False) -> Tensor:
    """`a` upsampled x 2 (bilinear or nearest), reflected by one pixel and convolved with a 3 x 3 kernel.

    Args:
        a: (N, C_in, H, W), at least 2 x 2 pixels.
        parts: of the kernel (C_out, C_in, 3, 3), the last four of `scaled_parts`.
        fused: use the kernels of `dip.nets.line_kernels`.

    Returns:
        (N, C_out, 2H, 2W).
    """
    p = 2 if bilinear else 1
    a = reflect(a, p, symmetric=True, fused=fused)  # (N, C_in, H + 2p, W + 2p)
    convolved = [convolve(a, part) for part in parts]  # each (N, C_out, H + 2p or one less, W + 2p or one less)
    if not (fused and bilinear):
        return combined(convolved, bilinear)
    from dip.nets.line_kernels import doubled

    return doubled(*convolved)


def combined(convolved: Sequence[Tensor], bilinear: bool) -> Tensor:
    """The result of `convolve_upsampled` from the convolutions by the four parts."""
    margin = 1 if bilinear else 0  # pixels that the blur needs around the result; p = 1 + margin
    centre, beside, above, corners = convolved
    # Along rows first, (N, C_out, H + 2p or one less, 2W + 2 margin), then along columns.
    middle, outer = _interleave(centre, beside, 3, margin), _interleave(above, corners, 3, margin)
    doubled = _interleave(middle, outer, 2, margin)  # (N, C_out, 2H + 2 margin, 2W + 2 margin)
    return filter_channels(doubled, BLUR) if bilinear else doubled


class _ScaledParts(torch.autograd.Function):
    """One copy for each part and way, which also converts the numbers."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor | None, first: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*((weight,) if scale is None else (weight, scale)))
        ctx.first, parts = first, []
        for cut in _cuts(weight if scale is None else weight * scale.view(1, -1, 1, 1), first):
            part = torch.empty(cut.shape, dtype=dtype, device=cut.device, memory_format=torch.channels_last)
            parts.append(part.copy_(cut))
        return tuple(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        weight, *scale = ctx.saved_tensors
        whole = torch.empty_like(weight)
        for cut, grad in zip(_cuts(whole, ctx.first), grads, strict=True):
            cut.copy_(grad)
        if not scale:
            return whole, None, None, None
        return whole * scale[0].view(1, -1, 1, 1), (whole * weight).sum((0, 2, 3)), None, None


scaled_parts: Callable[[Tensor, Tensor | None, int, torch.dtype], tuple[Tensor, ...]] = _ScaledParts.apply
"""The parts of `weight` (C_out, C_in, 3, 3) times `scale` (C_in,) or None for 1, channels_last and in a number format.

Returns the weights of the first `first` input channels unless that is 0, and of the other ones the centre tap, the two
taps beside it, the two above and below it, and the four corners.
"""


def _cuts(weight: Tensor, first: int) -> list[Tensor]:
    """The parts as views. Autograd's backward pass of each would fill a kernel with zeros."""
    others = weight[:, first:]
    middle, outer = others[:, :, 1:2], others[:, :, ::2]
    parts = [middle[..., 1:2], middle[..., ::2], outer[..., 1:2], outer[..., ::2]]
    return [weight[:, :first], *parts] if first else parts


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


filter_channels: Callable[[Tensor, tuple[float, float, float]], Tensor] = _Filter.apply
"""Filter every channel by symmetric taps in both dimensions, without padding: (N, C, H, W) -> (N, C, H - 2, W - 2)."""


def _correlate(x: Tensor, taps: tuple[float, float, float], padding: int) -> Tensor:
    make = _kernel.__wrapped__ if torch.compiler.is_compiling() else _kernel
    weight = make(taps, x.dtype, x.device).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, weight, padding=padding, groups=x.shape[1])


@functools.cache
def _kernel(taps: tuple[float, float, float], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        # Filled on the device: compiled code makes it at each step, and a copy from the host would wait.
        line = F.pad(torch.full((1,), taps[1], dtype=dtype, device=device), (1, 1), value=taps[0])
        return torch.outer(line, line)


class _Interleave(torch.autograd.Function):
    """S of the module's docstring in one dimension, from the convolutions by the middle tap and by the outer taps.

    For n pixels of `a` reflected by p = 1 + margin: middle (n + 2p), outer (n + 2p - 1) -> 2n + 2 margin values. With a
    margin, the first and the last value belong to the pixels just outside, whose neighbours are a[1], a[0] | a[0].
    """

    @staticmethod
    def forward(ctx: Any, middle: Tensor, outer: Tensor, dim: int, margin: int) -> Tensor:
        n = middle.shape[dim] - 2 - 2 * margin
        assert n >= 1
        ctx.dim, ctx.n, ctx.margin, ctx.sizes = dim, n, margin, (middle.shape[2:], outer.shape[2:])
        out = new_empty(middle, *(2 * (n + margin) if d == dim else middle.shape[d] for d in (2, 3)))
        # In pairs of pixels (..., n, 2, ...), so that one kernel makes both.
        inside = middle.narrow(dim, 1 + margin, n).unsqueeze(dim + 1)
        beside = outer.narrow(dim, margin, n + 1).unfold(dim, 2, 1).movedim(-1, dim + 1)
        pairs = out.narrow(dim, margin, 2 * n).unflatten(dim, (n, 2))  # type: ignore[no-untyped-call]
        _add_into(pairs, inside, beside)
        if margin:
            _add_into(_ends(out, dim, 0), _ends(middle, dim, 1), _ends(outer, dim, 0))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        dim, n, margin = ctx.dim, ctx.n, ctx.margin
        middle, outer = (new_empty(grad, *size) for size in ctx.sizes)
        even, odd = grad.narrow(dim, margin, 2 * n).unflatten(dim, (n, 2)).unbind(dim + 1)  # type: ignore[no-untyped-call]
        _add_into(middle.narrow(dim, 1 + margin, n), even, odd)
        _add_into(outer.narrow(dim, 1 + margin, n - 1), even.narrow(dim, 1, n - 1), odd.narrow(dim, 0, n - 1))
        _borders(outer, dim, 1 + margin).copy_(_borders(grad, dim, 1 + margin))
        _ends(middle, dim, 0).zero_()
        if margin:
            _ends(middle, dim, 1).copy_(_ends(grad, dim, 0))
        return middle, outer, None, None


_interleave: Callable[[Tensor, Tensor, int, int], Tensor] = _Interleave.apply


def _add_into(out: Tensor, a: Tensor, b: Tensor) -> None:
    """out = a + b in one pass. torch.compile fuses the two passes itself, and does not accept a strided `out`."""
    if torch.compiler.is_compiling():
        out.copy_(a + b)
    else:
        torch.add(a, b, out=out)


def _borders(x: Tensor, dim: int, lines: int) -> Tensor:
    """The first and the last `lines` along `dim`, as one view."""
    return x.unfold(dim, lines, x.shape[dim] - lines)


def _ends(x: Tensor, dim: int, k: int) -> Tensor:
    """The k-th line along `dim` from the start and the k-th from the end, as one view."""
    last = x.shape[dim] - 1 - k
    return x[(*(slice(None),) * dim, slice(k, last + 1, last - k))]


class _Centred(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, bilinear: bool, fused: bool) -> tuple[Tensor, Tensor]:
        precise = torch.promote_types(a.dtype, torch.float32)
        mean = a.mean((0, 2, 3), keepdim=True, dtype=precise)  # (1, C, 1, 1)
        # Rounding the mean to the number format of `a` leaves a small mean in c; its square is subtracted below.
        rounded = mean.to(a.dtype)
        c = a - rounded
        gram = filter_channels(reflect(c, 1, symmetric=True, fused=fused), _GRAM) if bilinear else c
        ctx.save_for_backward(gram)
        rest = (mean - rounded).flatten()
        variance = (c * gram).mean((0, 2, 3), dtype=precise).addcmul_(rest, rest, value=-1)  # (C,)
        return c, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, variance_grad: Tensor) -> tuple[Tensor, None, None]:
        (gram,) = ctx.saved_tensors
        slope = (2 / (gram.numel() // gram.shape[1]) * variance_grad).to(gram.dtype)
        return torch.addcmul(grad, gram, slope.view(1, -1, 1, 1)), None, None


def centred(a: Tensor, bilinear: bool, fused: bool = False) -> tuple[Tensor, Tensor]:
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
    made: tuple[Tensor, Tensor] = _Centred.apply(a, bilinear, fused)  # type: ignore[no-untyped-call]
    return made
