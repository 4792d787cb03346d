"""The Triton kernels against the plain layers. `test_fused.py` runs these tests in a process of their own, since Triton decides
at its import whether it interprets its kernels with numpy, as without a GPU, or compiles them."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets import Hourglass, fast_hourglass, fused, normalization_kernels
from dip.nets.hourglass import HourglassModule, activation
from dip.nets.line_kernels import doubled, reflected
from dip.nets.reflection import reflect
from dip.nets.upsampled import combined

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ROUNDING = {torch.float64: 1e-13, torch.float32: 2e-6, torch.bfloat16: 1e-2, torch.float16: 2e-3}
GPU = DEVICE.type == "cuda"
# Numpy needs half a second for each piece of a line of `doubled`. It gets bf16 from `fused.check` in the last test only,
# and of pieces of several blocks of channels, which `_piece` makes for all kernels, those of the reflections.
formats = pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16] if GPU else [torch.float64], ids=str)


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)
    return tensor.to(DEVICE, dtype).contiguous(
        memory_format=torch.channels_last if len(shape) == 4 else torch.contiguous_format
    )


def compare(
    kernel: Callable[..., Tensor], plain: Callable[..., Tensor], inputs: list[Tensor], dtype: torch.dtype
) -> None:
    """Results and gradients of both; those of `plain` in float64."""
    ours, theirs = ([x.to(kind or x.dtype).requires_grad_() for x in inputs] for kind in (None, torch.float64))
    out, expected = kernel(*ours), plain(*theirs)
    assert (out.dtype, out.shape) == (dtype, expected.shape)
    assert out.is_contiguous(memory_format=torch.channels_last)
    probe = drawn(*out.shape, dtype=dtype)
    found = [out, *torch.autograd.grad((out * probe).sum(), ours)]
    wanted = [expected, *torch.autograd.grad((expected * probe).sum(), theirs)]
    for a, b in zip(found, wanted, strict=True):
        atol = ROUNDING[dtype] * b.abs().max().item()
        torch.testing.assert_close(a.double(), b, rtol=0, atol=atol)


@pytest.mark.parametrize("size", [(1, 8, 9, 13), (2, 130, 2, 3)], ids=str)
@pytest.mark.parametrize(
    ("name", "dtype"),
    [*(("leaky_relu", dtype) for dtype in ROUNDING), *((name, torch.float64) for name in ("relu", "elu", "swish"))],
)
def test_normalisation_and_activation(name: str, size: tuple[int, ...], dtype: torch.dtype):
    layer = activation(name)
    norm = nn.BatchNorm2d(
        size[1], track_running_stats=False, dtype=torch.promote_types(dtype, torch.float32), device=DEVICE
    )
    scales = [drawn(size[1], dtype=norm.weight.dtype) + shift for shift in (0, 1)]

    def kernel(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return normalization_kernels.activated(x, weight, bias, norm.eps, *fused.activation_of(layer))

    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return layer(F.batch_norm(x, None, None, weight, bias, training=True, eps=norm.eps))

    compare(kernel, plain, [3 * drawn(*size, dtype=dtype) + 5, *scales], dtype)


def test_statistics_of_several_parts_survive_a_large_mean(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(normalization_kernels, "PARTS", 4)
    x = (drawn(1, 2, 20, 21) + 300).float().contiguous(memory_format=torch.channels_last)  # 7 tiles in 4 parts
    one, zero = torch.ones(2, device=DEVICE), torch.zeros(2, device=DEVICE)
    made = normalization_kernels.activated(x, one, zero, 1e-5, "leaky", 1.0)
    expected = F.batch_norm(x.double(), None, None, training=True)
    torch.testing.assert_close(made.double(), expected, rtol=0, atol=1e-4)  # numbers near 300 are 3e-5 apart


@formats
@pytest.mark.parametrize("size", [(1, 8, 3, 5), (2, 130, 2, 3)], ids=str)
@pytest.mark.parametrize(("pixels", "symmetric"), [(1, False), (1, True), (2, True)])
def test_reflection(pixels: int, symmetric: bool, size: tuple[int, ...], dtype: torch.dtype):
    x = drawn(*size, dtype=dtype)
    compare(lambda x: reflected(x, pixels, symmetric), lambda x: reflect(x, pixels, symmetric), [x], dtype)
    assert torch.equal(reflected(x, pixels, symmetric), reflect(x, pixels, symmetric)), "copies"


@formats
@pytest.mark.parametrize("size", [(1, 8, 3, 2), (2, 6, 1, 1), *([(2, 130, 1, 3)] if GPU else [])], ids=str)
def test_upsampling(size: tuple[int, ...], dtype: torch.dtype):
    count, channels, height, width = size
    parts = [drawn(count, channels, height + y, width + x, dtype=dtype) for y in (4, 3) for x in (4, 3)]
    compare(doubled, lambda *parts: combined(parts, bilinear=True), parts, dtype)


def test_the_same_input_gives_the_same_bits():
    x, scale = (
        drawn(1, 8, 9, 10, dtype=torch.float32).requires_grad_(),
        torch.ones(8, device=DEVICE, requires_grad=True),
    )

    def gradients() -> tuple[Tensor, ...]:
        made = normalization_kernels.activated(x, scale, scale, 1e-5, "leaky", 0.2)
        return torch.autograd.grad(reflected(made, 1, False).square().sum(), (x, scale))

    for a, b in zip(gradients(), gradients(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("checkpointed", [True, *([False] if GPU else [])])  # the former does all that the latter does
def test_a_network_with_the_kernels_computes_the_same(checkpointed: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fast_hourglass, "FOLDED_FROM", 0)
    options = Hourglass(depth=1, channels=4, skip_channels=2, checkpoint_activations=checkpointed)
    torch.manual_seed(0)
    ours = options.build(3, 3, [1]).to(DEVICE, torch.float64)
    plain = HourglassModule(options, 3, 3, [1]).to(DEVICE, torch.float64)
    plain.load_state_dict(ours.state_dict())
    for layer in ours.modules():
        if hasattr(layer, "fused"):
            layer.fused = True
    z = drawn(1, 3, 4, 6)
    results = []
    for net in (ours, plain):
        image = net(z)
        image.square().mean().backward()
        results.append([image.detach(), *(weight.grad for weight in net.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_kernels_are_checked_before_they_are_used(monkeypatch: pytest.MonkeyPatch):
    def doubled_of_four(*parts: Tensor) -> Tensor:  # numpy needs ten seconds for those of sixteen channels
        return doubled(*parts) if GPU or parts[0].shape[1] == 4 else combined(parts, bilinear=True)

    monkeypatch.setattr("dip.nets.line_kernels.doubled", doubled_of_four)
    net, other = (Hourglass(depth=1, channels=4).build(3, 3, [1]) for _ in range(2))
    assert fused.fuse(nn.ModuleList([net]), DEVICE, torch.bfloat16)
    assert net.levels[0].up.fused
    monkeypatch.setattr("dip.nets.line_kernels.reflected", lambda x, **by: 1.1 * reflect(x, **by))
    with pytest.raises(RuntimeError, match="the kernel of reflection differs from the plain layers by 0.1"):
        fused.fuse(nn.ModuleList([other]), DEVICE, torch.bfloat16)
    assert not other.levels[0].up.fused
