"""Convolution before upsampling against convolution after upsampling."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dip.nets.upsampled import BLUR, centred, convolve_upsampled, filter_channels

SIZES = [(2, 2), (3, 2), (5, 7), (8, 4)]
FORMATS = [torch.contiguous_format, torch.channels_last]


def image(height: int, width: int, memory_format: torch.memory_format = torch.contiguous_format) -> Tensor:
    torch.manual_seed(height * width)
    return torch.randn(1, 3, height, width, dtype=torch.float64).contiguous(memory_format=memory_format)


def upsampled(a: Tensor, bilinear: bool) -> Tensor:
    if bilinear:
        return F.interpolate(a, scale_factor=2, mode="bilinear", align_corners=False)
    return F.interpolate(a, scale_factor=2, mode="nearest")


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("bilinear", [True, False])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_convolution(height: int, width: int, bilinear: bool, memory_format: torch.memory_format) -> None:
    a, weight = image(height, width, memory_format), torch.randn(2, 3, 3, 3, dtype=torch.float64)
    expected = F.conv2d(F.pad(upsampled(a, bilinear), [1] * 4, mode="reflect"), weight)
    torch.testing.assert_close(convolve_upsampled(a, weight, bilinear), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("bilinear", [True, False])
def test_gradient_of_the_convolution(bilinear: bool, memory_format: torch.memory_format) -> None:
    a = image(3, 2, memory_format).requires_grad_()
    weight = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, w: convolve_upsampled(a, w, bilinear), (a, weight))


def test_a_filter_saves_nothing_for_its_backward_pass() -> None:
    a = image(5, 7).requires_grad_()
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        filtered = filter_channels(a, BLUR)
    assert not kept
    line = torch.tensor(BLUR, dtype=a.dtype)
    torch.testing.assert_close(filtered, F.conv2d(a, torch.outer(line, line).expand(3, 1, 3, 3), groups=3))
    assert torch.autograd.gradcheck(lambda a: filter_channels(a, BLUR), a)


@pytest.mark.parametrize("bilinear", [True, False])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), *SIZES])
def test_centred(height: int, width: int, bilinear: bool) -> None:
    a = (image(height, width) + 5).requires_grad_()
    c, variance = centred(a, bilinear)
    torch.testing.assert_close(c, a - a.mean((0, 2, 3), keepdim=True), rtol=0, atol=1e-13)
    expected = upsampled(a, bilinear).var((0, 2, 3), unbiased=False)
    torch.testing.assert_close(variance, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("bilinear", [True, False])
def test_gradient_of_centred_where_constants_have_no_effect(bilinear: bool) -> None:
    probe = image(5, 7)
    probe = probe - probe.mean((2, 3), keepdim=True)

    def without_constants(a: Tensor) -> Tensor:
        c, variance = centred(a, bilinear)
        return (c * probe).sum((2, 3)) + variance

    assert torch.autograd.gradcheck(without_constants, image(5, 7).requires_grad_())


def test_variance_of_bfloat16_is_float32_and_survives_a_large_mean() -> None:
    a = (image(32, 32) / 8 + 30.03).bfloat16()
    c, variance = centred(a, bilinear=True)
    assert (c.dtype, variance.dtype) == (torch.bfloat16, torch.float32)
    expected = upsampled(a.double(), bilinear=True).var((0, 2, 3), unbiased=False)
    torch.testing.assert_close(variance.double(), expected, rtol=0.01, atol=0)
