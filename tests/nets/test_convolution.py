"""The convolution whose weight gradient is computed in the default layout on CPUs with AVX2, against plain torch."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dip.nets import convolution
from dip.nets.convolution import convolve


@pytest.fixture
def capability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "NUMBERS", 0)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")


def tensors(channels: int = 32, kernel: tuple[int, int] = (3, 3)) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(1, channels, 9, 8).to(memory_format=torch.channels_last)
    return x.requires_grad_(), torch.randn(5, channels, *kernel, requires_grad=True)


def layouts(x: Tensor, weight: Tensor, stride: int = 1) -> list[bool]:
    """For each weight gradient whether its input was channels_last."""
    found, real = [], torch.ops.aten.convolution_backward

    class Spy(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is real.default and args[-1][1]:
                found.append(args[1].is_contiguous(memory_format=torch.channels_last))
            return func(*args, **(kwargs or {}))

    with Spy():
        convolve(x, weight, stride).sum().backward()
    return found


@pytest.mark.usefixtures("capability")
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 2), (2, 1)], ids=str)
def test_the_gradients_are_those_of_torch(kernel: tuple[int, int], stride: int):
    x, weight = tensors(kernel=kernel)
    expected = F.conv2d(x, weight, stride=stride)
    made = convolve(x, weight, stride)
    probe = torch.randn_like(expected)
    torch.testing.assert_close(made, expected, rtol=0, atol=0)
    found, wanted = (torch.autograd.grad((y * probe).sum(), (x, weight)) for y in (made, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)
    assert found[0].is_contiguous(memory_format=torch.channels_last)
    assert layouts(x, weight, stride) == [False]


@pytest.mark.usefixtures("capability")
def test_an_input_without_a_gradient():
    x, weight = tensors()
    assert layouts(x.detach(), weight) == [False]
    assert layouts(x, weight.detach()) == []
    assert x.grad is not None


@pytest.mark.usefixtures("capability")
def test_few_channels_single_pixels_double_precision_and_autocast_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    assert layouts(*tensors(channels=16)) == [True]
    assert layouts(*tensors(kernel=(1, 1))) == [True]
    x, weight = tensors()
    assert layouts(x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()) == [True]
    with torch.autocast("cpu", torch.bfloat16):
        assert layouts(x, weight) == [True]
    monkeypatch.setattr(convolution, "NUMBERS", x.numel() + 1)
    assert layouts(x, weight) == [True]


def test_other_processors_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(convolution, "NUMBERS", 0)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert layouts(*tensors()) == [True]


def test_a_compiled_network_has_no_graph_break(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(convolution, "NUMBERS", 0)
    x, weight = tensors()
    compiled = torch.compile(convolve, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, weight), F.conv2d(x, weight), rtol=0, atol=0)
