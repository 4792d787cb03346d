"""Speed-ups do not change results; where one fails, the run continues without it and logs a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dip.hardware.precision import Precision
from dip.model.speedups import SPEEDUPS, speed_up
from dip.nets import NETS, Hourglass
from tests.conftest import Fit, composed
from tests.disturbed import contents

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def compiling_with(monkeypatch: pytest.MonkeyPatch, backend: Any) -> None:
    real = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda net, **options: real(net, **options, backend=backend))


@pytest.mark.parametrize("name", ["compile", "kernels", "graph"])
def test_a_run_continues_where_a_speed_up_fails(
    name: str, fit: Fit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    def broken(*_: Any) -> None:
        raise OSError("no compiler here")

    compiling_with(monkeypatch, broken)
    with caplog.at_level("WARNING", logger="dip"):
        asked, result = fit("steps=3", f"precision.{name}=true", "device=cpu")  # the other two need a CUDA device
    plain, other = fit("steps=3", f"out={tmp_path / 'plain'}", "device=cpu")
    assert result["precision"][name] is False
    assert name not in other["precision"]
    assert any(f"precision.{name} failed, the run continues without it" in line for line in caplog.messages)
    assert contents(asked) == contents(plain)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_kernels_that_were_asked_for_and_do_not_exist_are_a_warning(
    device: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    from dip.fitting.fit import Fit

    def lines(*words: str) -> list[str]:
        caplog.clear()
        run = Fit(composed("target=noise", "size=32", "stop=never", "device=cpu", *words), tmp_path, "")
        monkeypatch.setattr(run, "device", torch.device(device))
        monkeypatch.setattr("dip.fitting.network_input.network_input", lambda *_: torch.zeros(1, 32, 32, 32))
        monkeypatch.setattr("dip.model.data.FixedPair", lambda *_: None)
        asked = run.build()[0].speedups
        assert ("kernels" in asked) == (not any("precision.kernels" in line for line in caplog.messages))
        return [line for line in caplog.messages if "precision.kernels" in line]

    assert lines("net=decoder", "precision.kernels=true") == [
        "precision.kernels: has no effect with net=decoder, which has none of these layers"
    ]
    assert lines("precision.kernels=true") == []
    if device == "cuda":
        assert lines("net=decoder") == [], "it is the default there"


def test_a_compiled_network_computes_the_same(fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    compiling_with(monkeypatch, "eager")  # traced, but not compiled to machine code, which takes a minute
    compiled, result = fit("steps=5", "precision.compile=true")
    plain, _ = fit("steps=5", f"out={tmp_path / 'plain'}")
    assert result["precision"]["compile"] is True
    assert contents(compiled)["losses"] == contents(plain)["losses"]


SMALL: dict[str, dict[str, Any]] = {
    "unet": {"channels": [8, 8, 8]}, "resnet": {"channels": 8, "blocks": 2}, "swin": {"blocks": 2},
}  # fmt: skip


@pytest.mark.parametrize("net", ["unet", "resnet", "decoder", "convdecoder", "mlp", "swin"])
def test_each_network_can_be_compiled(monkeypatch: pytest.MonkeyPatch, net: str):
    compiling_with(monkeypatch, "eager")
    options = NETS[net](**SMALL.get(net, {}))
    size = options.padded(16, 16)
    torch.manual_seed(0)
    module, z = options.build(4, 3, [], size), torch.randn(1, 4, *options.input_size(size))
    plain = module(z)
    assert speed_up(nn.ModuleList([module]), z, ["compile"]) == {"compile": True}
    assert torch.equal(module(z), plain)


def test_a_failed_capture_keeps_the_compiled_network(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    compiling_with(monkeypatch, "eager")
    nets, z = nn.ModuleList([nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)]), torch.ones(1, 1, 4, 4)
    expected = [net(z) for net in nets]

    def capture(nets: nn.ModuleList, z: torch.Tensor) -> None:
        nets[0].forward, nets[0]._compiled_call_impl = lambda x: 0 * x, None  # type: ignore[method-assign]
        raise RuntimeError("CUDA out of memory, or no capture")

    monkeypatch.setitem(SPEEDUPS, "graph", capture)
    with caplog.at_level("WARNING", logger="dip"):
        assert speed_up(nets, z, ["compile", "graph"]) == {"compile": True, "graph": False}
    (warning,) = caplog.messages
    assert "precision.graph failed" in warning
    assert all(net._compiled_call_impl is not None for net in nets)
    torch.testing.assert_close([net(z) for net in nets], expected)


def test_graphs_and_kernels_are_the_default_on_cuda_except_for_a_network_of_the_user():
    assert Precision().speedups("cuda") == ["kernels", "graph"]
    assert Precision(kernels=False).speedups("cuda") == ["graph"]
    assert Precision(kernels=True, graph=False).speedups("cuda") == ["kernels"]
    assert Precision(kernels=True, compile=True).speedups("cuda") == ["compile", "graph"], "compiled code fuses itself"
    assert Precision(compile=True).speedups("cuda") == ["compile", "graph"]
    for device in ("cpu", "mps"):
        assert Precision().speedups(device) == []
    assert Precision().speedups("cuda", own_net=True) == Precision(graph=False).speedups("cuda") == []
    assert Precision(graph=True).speedups("cpu") == Precision(graph=True).speedups("cuda", own_net=True) == ["graph"]


def test_a_graph_is_captured_without_the_cache_of_autocast(monkeypatch: pytest.MonkeyPatch):
    seen: list[Any] = []

    class OnGpu:
        device, requires_grad = torch.device("cuda"), False

        def clone(self) -> OnGpu:
            return OnGpu()

        def detach(self) -> OnGpu:
            return self

        def requires_grad_(self, wanted: bool) -> OnGpu:
            assert not wanted
            return self

    def make(net: nn.Module, inputs: tuple[Any, ...], pool: Any) -> nn.Module:
        seen.append((net, inputs, torch.is_autocast_enabled("cuda"), torch.is_autocast_cache_enabled()))
        return net

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    monkeypatch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    net, z = nn.Conv2d(1, 1, 1), OnGpu()
    with torch.autocast("cuda", torch.float16):
        assert speed_up(nn.ModuleList([net]), z, ["graph"]) == {"graph": True}  # type: ignore[arg-type]
    ((captured, (example,), enabled, kept),) = seen
    assert (captured, enabled, kept) == (net, True, False)
    assert isinstance(example, OnGpu)
    assert example is not z, "a graph copies its inputs into its example"


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize(("ways", "rel"), [(["graph"], 1e-3), (["kernels", "graph"], 0.05)], ids=str)
def test_a_graph_computes_the_same_losses(ways: list[str], rel: float, enabled: bool):
    def losses(ways: list[str]) -> list[float]:
        torch.manual_seed(0)
        net = Hourglass(depth=3, channels=16).build(4, 3, [2], (64, 64)).cuda()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01, fused=True)
        generator = torch.Generator("cuda").manual_seed(0)
        y = torch.rand(1, 3, 64, 64, device="cuda", generator=generator)
        found = []
        for step in range(20):
            z = torch.randn(1, 4, 64, 64, device="cuda", generator=generator)
            with torch.autocast("cuda", torch.bfloat16, enabled=enabled):
                if step == 0:
                    assert all(speed_up(nn.ModuleList([net]), z, ways).values())
                loss = (net(z) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    assert losses(ways) == pytest.approx(losses([]), rel=rel)
    assert losses(ways) == losses(ways), "the same seed twice"


@pytest.mark.gpu
@on_gpu
def test_a_run_on_a_gpu_does_not_synchronise_between_records(fit: Fit, monkeypatch: pytest.MonkeyPatch):
    """torch's debug mode raises an error at the first synchronisation outside a record."""
    from dip.model.module import DeepImagePrior

    real = DeepImagePrior.training_step

    def training_step(module: DeepImagePrior, *args: Any) -> None:
        torch.cuda.set_sync_debug_mode("error" if module.step > 1 else "default")
        try:
            real(module, *args)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(DeepImagePrior, "training_step", training_step)
    for options in (("precision=fp32",), ("precision=bf16",), ("precision=bf16", "precision.graph=false")):
        _, result = fit("steps=40", "record_every=20", "device=cuda", "overwrite=true", *options)
        assert result["steps"] == 40
