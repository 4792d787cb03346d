"""The network against a second, plain construction: equal outputs and gradients, to float64 rounding."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets import Hourglass, join, layers
from tests.nets.plain import PlainHourglass, copy_weights, pairs

ALL = [1, 2, 3, 4, 5]
SUBSETS = [list(s) for n in range(6) for s in itertools.combinations(ALL, n)]


@pytest.fixture(params=[0, 2**62], ids=["folded", "plain"], autouse=True)
def _joins(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test with either way to join, as large and as small images have it."""
    monkeypatch.setattr(join, "FOLDED_FROM", request.param)


def both(net: Hourglass, skips: list[int], in_channels: int = 3) -> tuple[nn.Module, PlainHourglass]:
    torch.manual_seed(len(skips))
    plain = PlainHourglass(net, in_channels, 3, skips).double().disturb()
    ours = net.build(in_channels, 3, skips).double()
    copy_weights(ours, plain)
    return ours, plain


def assert_equal(ours: nn.Module, plain: PlainHourglass, z: Tensor) -> None:
    """Outputs and the gradient of every parameter agree."""
    target = torch.rand(z.shape[0], 3, *z.shape[2:], dtype=z.dtype)
    out, expected = ours(z), plain(z)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
    F.mse_loss(out, target).backward()
    F.mse_loss(expected, target).backward()
    scale = max(float(theirs.grad.abs().max()) for theirs in plain.parameters())
    for got, want in pairs(ours, plain):
        torch.testing.assert_close(got.grad, want.grad, rtol=0, atol=1e-8 * scale)


@pytest.mark.parametrize("skips", SUBSETS, ids=str)
def test_every_set_of_skips(skips: list[int]) -> None:
    ours, plain = both(Hourglass(channels=4, skip_channels=2), skips)
    assert_equal(ours, plain, torch.rand(1, 3, 64, 96, dtype=torch.float64))


@pytest.mark.parametrize("skips", [[3, 4], ALL], ids=str)
def test_networks_of_the_report_and_the_paper(skips: list[int]) -> None:
    ours, plain = both(Hourglass(), skips, in_channels=32)
    assert_equal(ours, plain, torch.rand(1, 32, 64, 64, dtype=torch.float64) / 10)


@pytest.mark.parametrize(
    "options",
    [
        {"upsampling": "nearest"},
        {"padding": "zeros"},
        {"padding": "zeros", "upsampling": "nearest"},
        {"kernel_down": 5, "kernel_up": 5, "kernel_skip": 3},
        {"kernel_up": 1},
        {"use_1x1": False},
        {"activation": "relu"},
        {"activation": "elu"},
        {"activation": "swish"},
        {"channels": [3, 5, 4], "skip_channels": [1, 2, 3]},
        {"checkpoint_activations": True},
        {"checkpoint_activations": True, "use_1x1": False},
    ],
    ids=str,
)
def test_every_option(options: dict[str, object]) -> None:
    net = Hourglass(**{"depth": 3, "channels": 4, **options})
    ours, plain = both(net, [1, 3])
    assert_equal(ours, plain, torch.rand(1, 3, *net.padded(17, 30), dtype=torch.float64))


def test_smallest_input_and_depth() -> None:
    net = Hourglass(depth=1, channels=3)
    assert net.padded(1, 1) == (4, 4)
    assert_equal(*both(net, [1]), torch.rand(1, 3, 4, 4, dtype=torch.float64))


def test_parameters_are_the_papers_without_idle_biases() -> None:
    plain = PlainHourglass(Hourglass(), 32, 3, ALL)
    ours = Hourglass().build(32, 3, ALL)
    idle = sum(m.bias.numel() for m in plain.modules() if isinstance(m, nn.Conv2d) and m is not plain.head)
    idle += sum(up[0].bias.numel() for up in plain.up)
    assert sum(p.numel() for p in plain.parameters()) == 2_217_831
    assert sum(p.numel() for p in ours.parameters()) == 2_217_831 - idle == 2_214_591


def test_biases_before_a_normalisation_have_no_effect() -> None:
    _, plain = both(Hourglass(depth=2, channels=4), [1, 2])
    z = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    before = plain(z)
    with torch.no_grad():
        for up in plain.up:
            up[0].bias += 1
            up[1].bias += 1
    torch.testing.assert_close(plain(z), before, rtol=0, atol=1e-12)


def test_checkpointing_changes_nothing() -> None:
    results = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        net = Hourglass(depth=3, channels=8, checkpoint_activations=checkpointed).build(4, 3, [1, 2])
        out = net(torch.linspace(0, 1, 4 * 32 * 32).view(1, 4, 32, 32))
        out.square().mean().backward()
        results.append([out, *(p.grad for p in net.parameters())])
    for once, twice in zip(*results, strict=True):
        assert torch.equal(once, twice)


def test_no_mode_but_one() -> None:
    net = Hourglass(depth=2, channels=4).build(3, 3, [1])
    z = torch.rand(1, 3, 16, 16)
    assert torch.equal(net.train()(z), net.eval()(z))
    assert not list(net.buffers())


def test_same_seed_same_network() -> None:
    nets = []
    for _ in range(2):
        torch.manual_seed(7)
        nets.append(Hourglass(depth=2, channels=4).build(3, 3, [1]))
    for a, b in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(a, b)


def test_bfloat16_is_close_and_its_output_is_float32() -> None:
    torch.manual_seed(0)
    net = Hourglass(depth=3, channels=16).build(8, 3, [2, 3])
    z = torch.rand(1, 8, 64, 64)
    exact = net(z).detach()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = net(z)
    assert rounded.dtype == exact.dtype == torch.float32
    assert float((rounded.detach() - exact).square().mean().sqrt()) < 0.01
    F.mse_loss(rounded, torch.rand_like(rounded)).backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("sliced_from", [0, 2**62])
def test_in_bfloat16_no_activation_is_kept_in_float32(
    sliced_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Autocast makes float32 of what some operations take, padding among them; either way to mirror is tried."""
    monkeypatch.setattr(layers, "SLICED_FROM", sliced_from)
    net = Hourglass(depth=3, channels=16).build(8, 3, [1, 2, 3])
    kept: list[Tensor] = []
    keep = torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x)
    with keep, torch.autocast("cpu", torch.bfloat16):
        out = net(torch.rand(1, 8, 64, 64))
    images = [x for x in kept if x.ndim == 4 and min(x.shape[2:]) > 3]
    assert {x.shape for x in images if x.dtype == torch.float32} <= {out.shape}
    assert sum(x.dtype == torch.bfloat16 for x in images) > 30


def test_channels_last_from_end_to_end() -> None:
    net = Hourglass(depth=3, channels=4).build(3, 3, [2])
    formats = []
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda m, i, o: formats.append(o))
    net(torch.rand(1, 3, 32, 32))
    assert formats
    assert all(o.is_contiguous(memory_format=torch.channels_last) for o in formats)


def losses(net: nn.Module, zs: list[Tensor], y: Tensor, dtype: torch.dtype | None = None) -> list[float]:
    optimizer, found = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), []
    for z in zs:
        with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            out = net(z)
        loss = F.mse_loss(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize(
    ("options", "dtype", "tolerance"),
    [({}, None, 2e-3), ({}, torch.bfloat16, 0.02), ({"checkpoint_activations": True}, torch.bfloat16, 0.02)],
)
def test_the_first_twenty_losses_are_those_of_the_plain_float32_network(
    options: dict[str, object], dtype: torch.dtype | None, tolerance: float
) -> None:
    """Each within `tolerance` of the plain one. Not under Adam: its first updates are the signs of gradients, those of
    mere rounding too, and 20 steps later two float32 networks differ by up to a fifth."""
    net = Hourglass(**{"depth": 3, "channels": 16, **options})
    torch.manual_seed(3)
    plain = PlainHourglass(net, 8, 3, [1, 3])
    ours = net.build(8, 3, [1, 3])
    copy_weights(ours, plain)
    y = F.interpolate(torch.rand(1, 3, 8, 8), scale_factor=8, mode="bilinear")
    z = torch.rand(1, 8, 64, 64) / 10
    zs = [z + torch.randn_like(z) / 30 for _ in range(20)]
    assert losses(ours, zs, y, dtype) == pytest.approx(losses(plain, zs, y), rel=tolerance)
