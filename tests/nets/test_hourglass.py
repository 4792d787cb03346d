"""The fast network against the plain one: equal outputs and gradients, to float64 rounding."""

import copy
import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.nets import Hourglass, fast_hourglass, reflection
from dip.nets.fast_hourglass import FastHourglass
from dip.nets.hourglass import HourglassModule, Level

ALL = [1, 2, 3, 4, 5]
SUBSETS = [list(s) for n in range(6) for s in itertools.combinations(ALL, n)]


@pytest.fixture(params=[0, 2**62], ids=["folded", "not folded"], autouse=True)
def _folded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test with and without folding, as for large and for small images."""
    monkeypatch.setattr(fast_hourglass, "FOLDED_FROM", request.param)


def pair(net: Hourglass, skips: list[int], in_channels: int = 3) -> tuple[FastHourglass, HourglassModule]:
    """The fast and the plain network in float64 with the same weights, scales and shifts other than 1 and 0."""
    torch.manual_seed(len(skips))
    plain = HourglassModule(net, in_channels, 3, skips).double()
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    built = net.build(in_channels, 3, skips)
    assert isinstance(built, FastHourglass), "runs use the fast network"
    built.double().load_state_dict(plain.state_dict())
    return built, plain


def assert_equal(built: nn.Module, plain: nn.Module, z: Tensor) -> None:
    """Outputs and the gradient of every parameter agree."""
    target = torch.rand(z.shape[0], 3, *z.shape[2:], dtype=z.dtype)
    out, expected = built(z), plain(z)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
    F.mse_loss(out, target).backward()
    F.mse_loss(expected, target).backward()
    gradients = {name: parameter.grad for name, parameter in plain.named_parameters()}
    scale = max(float(gradient.abs().max()) for gradient in gradients.values())
    for name, parameter in built.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=0, atol=1e-8 * scale)


@pytest.mark.parametrize("skips", SUBSETS, ids=str)
def test_every_set_of_skips(skips: list[int]) -> None:
    net = Hourglass(channels=4, skip_channels=2)
    assert_equal(*pair(net, skips), torch.rand(1, 3, 64, 96, dtype=torch.float64))


@pytest.mark.parametrize("skips", [[3, 4], ALL], ids=str)
def test_networks_of_the_report_and_the_paper(skips: list[int]) -> None:
    z = torch.rand(1, 32, 64, 64, dtype=torch.float64) / 10
    assert_equal(*pair(Hourglass(), skips, in_channels=32), z)


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
def test_every_option(options: dict[str, Any]) -> None:
    net = Hourglass(**{"depth": 3, "channels": 4, **options})
    assert_equal(*pair(net, [1, 3]), torch.rand(1, 3, *net.padded(17, 30), dtype=torch.float64))


def test_smallest_input_and_depth() -> None:
    net = Hourglass(depth=1, channels=3)
    assert net.padded(1, 1) == (4, 4)
    assert_equal(*pair(net, [1]), torch.rand(1, 3, 4, 4, dtype=torch.float64))


def test_the_same_seed_gives_the_same_weights_in_both_networks() -> None:
    states = []
    for build in (Hourglass().build, Hourglass().build, lambda *args: HourglassModule(Hourglass(), *args)):
        torch.manual_seed(7)
        states.append(build(4, 3, [1]).state_dict())
    for state in states[1:]:
        assert list(state) == list(states[0])
        assert all(torch.equal(state[name], states[0][name]) for name in state)


def test_parameters_are_the_papers_without_biases_that_have_no_effect() -> None:
    """The paper's network has biases before normalisations. Added here, they change the count but not the output."""
    _, plain = pair(Hourglass(), ALL, in_channels=32)
    biased = copy.deepcopy(plain)
    for module in biased.modules():
        if isinstance(module, Level):
            module.norm.bias = nn.Parameter(torch.randn_like(module.norm.weight))
        elif isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(torch.randn_like(module.weight[:, 0, 0, 0]))
    assert sum(p.numel() for p in plain.parameters()) == 2_214_591
    assert sum(p.numel() for p in biased.parameters()) == 2_217_831
    z = torch.rand(1, 32, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(biased(z), plain(z), rtol=0, atol=1e-11)


def test_checkpointed_activations_and_evaluation_mode_change_no_bit() -> None:
    results = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        net = Hourglass(depth=3, channels=8, checkpoint_activations=checkpointed).build(4, 3, [1, 2])
        z = torch.linspace(0, 1, 4 * 32 * 32).view(1, 4, 32, 32)
        out = net(z)
        out.square().mean().backward()
        results.append([out, *(p.grad for p in net.parameters())])
        assert torch.equal(net.eval()(z), out)
        assert not list(net.buffers())
    for once, twice in zip(*results, strict=True):
        assert torch.equal(once, twice)


@pytest.mark.parametrize("sliced_from", [0, 2**62])
def test_in_bfloat16_no_activation_is_saved_in_float32(sliced_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast converts the inputs of some operations to float32, padding among them."""
    monkeypatch.setattr(reflection, "SLICED_FROM", sliced_from)
    net = Hourglass(depth=3, channels=16).build(8, 3, [1, 2, 3])
    saved: list[Tensor] = []
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x)
    with hooks, torch.autocast("cpu", torch.bfloat16):
        out = net(torch.rand(1, 8, 64, 64))
    assert out.dtype == torch.float32
    images = [x for x in saved if x.ndim == 4 and min(x.shape[2:]) > 3]
    assert {x.shape for x in images if x.dtype == torch.float32} <= {out.shape}
    assert sum(x.dtype == torch.bfloat16 for x in images) > 30


def test_channels_last_from_end_to_end() -> None:
    net = Hourglass(depth=3, channels=4).build(3, 3, [2])
    outputs = []
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda m, i, o: outputs.append(o))
    net(torch.rand(1, 3, 32, 32))
    assert outputs
    assert all(o.is_contiguous(memory_format=torch.channels_last) for o in outputs)


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
    options: dict[str, Any], dtype: torch.dtype | None, tolerance: float
) -> None:
    """Not with Adam: its first updates are the signs of gradients, also of those that are rounding errors, so that two
    float32 networks differ by up to a fifth after 20 steps."""
    built, plain = (net.float() for net in pair(Hourglass(depth=3, channels=16, **options), [1, 3], 8))
    y = F.interpolate(torch.rand(1, 3, 4, 4), scale_factor=8, mode="bilinear")
    z = torch.rand(1, 8, 32, 32) / 10
    zs = [z + torch.randn_like(z) / 30 for _ in range(20)]
    assert losses(built, zs, y, dtype) == pytest.approx(losses(plain, zs, y), rel=tolerance)
