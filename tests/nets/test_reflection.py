"""Reflection padding, by slices and by the framework, against numpy; its gradient against finite differences."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dip.nets import reflection
from dip.nets.reflection import reflect


@pytest.fixture(params=[0, 2**62], ids=["slices", "framework"], autouse=True)
def _sliced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflection, "SLICED_FROM", request.param)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("height", "width", "pixels", "symmetric"),
    [(2, 2, 1, False), (5, 3, 2, False), (4, 7, 3, False), (1, 2, 1, True), (2, 2, 1, True), (2, 3, 2, True)],
)
def test_values_memory_format_and_gradient(
    height: int, width: int, pixels: int, symmetric: bool, memory_format: torch.memory_format
) -> None:
    x = torch.arange(2.0 * 3 * height * width, dtype=torch.float64).sin().view(2, 3, height, width)
    x = x.contiguous(memory_format=memory_format).requires_grad_()

    def pad(x: Tensor) -> Tensor:
        return reflect(x, pixels, symmetric)

    frame = [(0, 0), (0, 0), (pixels, pixels), (pixels, pixels)]
    expected = np.pad(x.detach().numpy(), frame, mode="symmetric" if symmetric else "reflect")
    assert np.array_equal(pad(x).detach().numpy(), expected)
    assert pad(x).is_contiguous(memory_format=memory_format)
    assert torch.autograd.gradcheck(pad, x)


def test_no_pixels_to_reflect_and_too_few_pixels() -> None:
    x = torch.ones(1, 1, 1, 1)
    assert reflect(x, 0) is x
    assert torch.equal(reflect(x, 1, symmetric=True), torch.ones(1, 1, 3, 3))
    with pytest.raises(AssertionError, match="too few pixels to reflect"):
        reflect(x, 1)
