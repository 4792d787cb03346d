"""Reflection padding against index arithmetic, and its gradient against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dip.nets.reflection import reflect, reflect_by_slices

Pad = Callable[..., Tensor]
BOTH = [reflect, reflect_by_slices]
FORMATS = [torch.contiguous_format, torch.channels_last]


def image(height: int, width: int, memory_format: torch.memory_format) -> Tensor:
    x = torch.arange(2.0 * 3 * height * width, dtype=torch.float64).sin().view(2, 3, height, width)
    return x.contiguous(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("pad", BOTH)
@pytest.mark.parametrize(("height", "width", "pixels"), [(2, 2, 1), (5, 3, 2), (4, 7, 3)])
def test_reflection_does_not_repeat_the_border(
    height: int, width: int, pixels: int, pad: Pad, memory_format: torch.memory_format
) -> None:
    x = image(height, width, memory_format)
    out = pad(x, pixels)
    assert torch.equal(out, x[:, :, reflected(height, pixels)][..., reflected(width, pixels)])
    assert out.is_contiguous(memory_format=memory_format)


def reflected(length: int, pixels: int) -> list[int]:
    """Indices of a line, reflected at both ends."""
    return [length - 1 - abs(length - 1 - abs(i)) for i in range(-pixels, length + pixels)]


def test_no_pixels_to_reflect() -> None:
    x = image(3, 6, torch.channels_last)
    assert reflect(x, 0) is x


@pytest.mark.parametrize("pad", BOTH)
def test_symmetric_reflection_repeats_the_border(pad: Pad) -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2)
    expected = torch.tensor([[4.0, 3, 3, 4], [2, 1, 1, 2], [2, 1, 1, 2], [4, 3, 3, 4]])
    lines = [1, 0, 0, 1, 1, 0]
    assert torch.equal(pad(x, 2, symmetric=True)[0, 0], x[0, 0][lines][:, lines])
    assert torch.equal(pad(x, 1, symmetric=True), F.pad(x, [1] * 4, mode="replicate"))
    assert torch.equal(pad(x, 2, symmetric=True)[0, 0, :4, :4], expected)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("pad", BOTH)
@pytest.mark.parametrize(("pixels", "symmetric"), [(1, False), (2, False), (1, True), (2, True)])
def test_gradient(pixels: int, symmetric: bool, pad: Pad, memory_format: torch.memory_format) -> None:
    x = image(3, 4, memory_format).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pad(x, pixels, symmetric), x)


def test_a_single_pixel_allows_symmetric_reflection_only() -> None:
    x = torch.ones(1, 1, 1, 1, dtype=torch.float64, requires_grad=True)
    assert torch.equal(reflect(x, 1, symmetric=True), torch.ones(1, 1, 3, 3, dtype=torch.float64))
    with pytest.raises(AssertionError, match="too few pixels to reflect"):
        reflect(x, 1)
