"""A convolution whose weight gradient is also fast on CPUs with AVX2 and without AVX-512, and weights for autocast."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CHANNELS, NUMBERS = 32, 2**18
"""Channels and numbers of an input from which the copies save time (measured for 4 to 128 channels, one thread)."""


def convolve(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """`conv2d(x, weight)` without bias and padding: (1, C_in, H, W) -> (1, C_out, H', W').

    With AVX2, oneDNN 3.12 computes the weight gradient of a channels_last input at 25 to 35 GFLOP/s a core, and in the
    default layout at 65 to 80, as fast as everything else. So input and gradient are copied for it.
    """
    if torch.compiler.is_compiling():  # first: Dynamo cannot trace `get_cpu_capability`
        return F.conv2d(x, weight, stride=stride)
    slow = (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.shape[1] >= CHANNELS
        and x.numel() >= NUMBERS
        and max(weight.shape[2:]) > 1
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.cpu.get_cpu_capability() == "AVX2"
    )
    if not slow:
        return F.conv2d(x, weight, stride=stride)
    convolved: Tensor = _Convolution.apply(x, weight, stride)  # type: ignore[no-untyped-call]
    return convolved


def number_format(x: Tensor) -> torch.dtype:
    """The number format in which layers compute with `x`: that of autocast if it is on, else that of `x`."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, stride=stride)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        tensors, (of_x, of_weight, _) = (grad, *ctx.saved_tensors), ctx.needs_input_grad
        options = None, [ctx.stride] * 2, [0, 0], [1, 1], False, [0, 0], 1
        backward = torch.ops.aten.convolution_backward
        x_grad = backward(*tensors, *options, [True, False, False])[0] if of_x else None
        default = [tensor.contiguous() for tensor in tensors] if of_weight else []
        weight_grad = backward(*default, *options, [False, True, False])[1] if of_weight else None
        return x_grad, weight_grad, None


class _RoundedTogether(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.dtype = weights[0].dtype
        return _converted(weights, dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return None, *_converted(grads, ctx.dtype)


rounded_together: Callable[..., tuple[Tensor, ...]] = _RoundedTogether.apply
"""`rounded_together(dtype, *weights)` converts float32 weights as autocast does, with one kernel each way on CUDA."""


def _converted(tensors: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    made = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    torch._foreach_copy_(made, list(tensors))
    return tuple(made)
