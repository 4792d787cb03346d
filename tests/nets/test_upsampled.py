"""Convolution before upsampling against convolution after upsampling."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dip.nets.upsampled import BLUR, centred, convolve_upsampled, filter_channels, scaled_parts

SIZES = [(2, 2), (3, 2), (5, 7), (8, 4)]
either = pytest.mark.parametrize("bilinear", [True, False], ids=["bilinear", "nearest"])


def image(height: int, width: int) -> Tensor:
    torch.manual_seed(height * width)
    return torch.randn(1, 3, height, width, dtype=torch.float64)


def upsampled(a: Tensor, bilinear: bool) -> Tensor:
    return F.interpolate(a, scale_factor=2, mode="bilinear" if bilinear else "nearest")


@either
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_convolution_and_its_gradient(
    size: tuple[int, int], bilinear: bool, memory_format: torch.memory_format
) -> None:
    a = image(*size).contiguous(memory_format=memory_format).requires_grad_()
    weight = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    scale = torch.rand(3, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(F.pad(upsampled(a, bilinear), [1] * 4, mode="reflect"), weight * scale.view(1, -1, 1, 1))
    convolved = convolve_upsampled(a, scaled_parts(weight, scale, 0, a.dtype), bilinear)
    torch.testing.assert_close(convolved, expected, rtol=0, atol=1e-13)
    probe = torch.randn_like(expected)
    gradients = [torch.autograd.grad((out * probe).sum(), (a, weight, scale)) for out in (convolved, expected)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_a_filter_saves_nothing_for_its_backward_pass() -> None:
    a = image(5, 7).requires_grad_()
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        filtered = filter_channels(a, BLUR)
    assert not kept
    line = torch.tensor(BLUR, dtype=a.dtype)
    torch.testing.assert_close(filtered, F.conv2d(a, torch.outer(line, line).expand(3, 1, 3, 3), groups=3))
    assert torch.autograd.gradcheck(lambda a: filter_channels(a, BLUR), a)


@either
@pytest.mark.parametrize("size", [(1, 1), (1, 4), *SIZES], ids=str)
def test_centred_and_its_gradient_where_constants_have_no_effect(size: tuple[int, int], bilinear: bool) -> None:
    a, probe = (image(*size) + 5).requires_grad_(), torch.randn(1, 3, *size, dtype=torch.float64)
    probe = probe - probe.mean((2, 3), keepdim=True)

    def plain(a: Tensor, bilinear: bool) -> tuple[Tensor, Tensor]:
        return a - a.mean((0, 2, 3), keepdim=True), upsampled(a, bilinear).var((0, 2, 3), unbiased=False)

    results, gradients = [], []
    for compute in (centred, plain):
        c, variance = compute(a, bilinear)
        results.append((c, variance))
        gradients += torch.autograd.grad((c * probe).sum() + (variance * probe[0, :, 0, 0] + variance).sum(), a)
    torch.testing.assert_close(*results, rtol=0, atol=1e-13)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_variance_of_bfloat16_is_float32_and_survives_a_large_mean() -> None:
    a = (image(32, 32) / 8 + 30.03).bfloat16()
    c, variance = centred(a, True)
    assert (c.dtype, variance.dtype) == (torch.bfloat16, torch.float32)
    expected = upsampled(a.double(), bilinear=True).var((0, 2, 3), unbiased=False)
    torch.testing.assert_close(variance.double(), expected, rtol=0.01, atol=0)
