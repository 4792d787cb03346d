"""The estimate of a run's cost: against counted memory, without effect on the run, and refusal before anything is made."""

import math
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from dip.errors import OptionError, RunError
from dip.fitting import cost, probe
from dip.fitting.cost import Cost
from dip.fitting.fit import Fit
from dip.hardware import devices
from tests import conftest
from tests.conftest import composed
from tests.disturbed import SERVER, contents

CPU, GB = torch.device("cpu"), 10**9
FP32 = devices.Arithmetic("fp32")


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch):
    """Also estimate small runs."""
    monkeypatch.setattr(cost, "SMALL_WORK", 0)


def saved_bytes(size: int, channels: int) -> int:
    """Bytes of all tensors that the forward pass saves for the backward pass, without the weights."""
    config = composed("net.depth=3", f"net.channels={channels}", "skips=[2]", "precision=fp32")
    net = config.net.build(32, 3, [2], (size, size))
    weights = {p.untyped_storage().data_ptr() for p in net.parameters()}
    found: dict[int, tuple[int, Any]] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes(), storage  # kept, so that no address is used twice
        return tensor

    z = torch.zeros(1, 32, size, size).to(memory_format=torch.channels_last)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        image = net(z)
    assert image.requires_grad
    return sum(size for place, (size, _) in found.items() if place not in weights)


@pytest.mark.parametrize("channels", [8, 24])
def test_the_counted_memory_is_what_the_forward_pass_saves_and_a_few_tensors_of_the_backward_pass(channels: int):
    config = composed("net.depth=3", f"net.channels={channels}", "skips=[2]", "precision=fp32")
    small, large = (probe.measure(config, (3, size, size), CPU, FP32, 1) for size in (64, 128))
    per_pixel = (large.peak - small.peak) / (128**2 - 64**2)
    saved = (saved_bytes(128, channels) - saved_bytes(64, channels)) / (128**2 - 64**2)
    more = 4 * (2 * config.z.channels + 4 * channels)  # z, its noise, gradients at full resolution
    assert saved < per_pixel < saved + more


def test_memory_grows_in_proportion_to_the_pixels():
    config = composed("net.depth=3", "net.channels=8", "skips=[2]", "precision=fp32")
    peaks = {size: probe.measure(config, (3, size, size), CPU, FP32, 1).peak for size in (64, 128, 256)}
    line = peaks[128] + (peaks[128] - peaks[64]) * (256**2 - 128**2) / (128**2 - 64**2)
    assert line == pytest.approx(peaks[256], rel=0.1)


def estimate_and_fit(out: Path, found: Any) -> None:
    """Put the estimated and the measured bytes of a run in this new process."""
    torch.set_num_threads(1)
    config = composed(
        "size=192", "net.channels=24", "precision=fp32", "steps=3", "device=cpu", "logger=csv", f"out={out}"
    )
    fit = Fit(config, out, "test", with_images=False)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    expected = cost.estimate(config, (3, 192, 192)).bytes
    fit.run(progress=False)
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    found.put((expected, peak - before))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_the_estimate_is_the_growth_of_a_process_that_fits(tmp_path: Path):
    found = SERVER.SimpleQueue()
    process = SERVER.Process(target=estimate_and_fit, args=(tmp_path, found), daemon=True)
    process.start()
    process.join(120)
    assert process.exitcode == 0
    expected, grown = found.get()
    assert expected == pytest.approx(grown, rel=0.25)


def test_the_probe_changes_neither_the_result_nor_the_random_state(fit: conftest.Fit, tmp_path: Path, always: None):
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    given = ("steps=20", "record_every=5", "ensemble=2", "checkpoint_every=0")
    estimated, result = fit(*given)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "afford", lambda *_: None)
        plain, other = fit(*given, f"out={tmp_path / 'plain'}")
    assert contents(estimated) == contents(plain)
    assert other["estimate"] is None
    assert result["estimate"]["memory_bytes"] > 2 * 4 * result["parameters"]
    assert result["estimate"]["step_seconds"] > 0
    (line,) = [line for line in (estimated / "run.log").read_text().splitlines() if " cost: " in line]
    assert "if it runs all 20 steps of " in line


def test_a_small_run_is_not_estimated(fit: conftest.Fit, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cost, "estimate", lambda *_: pytest.fail("a probe"))
    folder, result = fit("steps=2")
    assert result["estimate"] is None
    assert " cost: " not in (folder / "run.log").read_text()


def test_a_run_that_memory_cannot_hold_is_refused_and_leaves_nothing(
    fit: conftest.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always: None
):
    monkeypatch.setattr(cost, "available", lambda device: 20_000_000)
    with pytest.raises(RunError) as error:
        fit("size=[64,96]", "net.channels=32", "steps=2")
    text = str(error.value)
    assert text.startswith("64 x 96 pixels need about 0.0")
    assert "0.02 GB are free: use size=[32,64]" in text
    assert "\n" not in text
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("shape", "options", "advice"),
    [
        ((3, 4000, 3000), (), "use tile=512, size=[1728,1312], net.channels=16"),
        ((3, 2048, 2048), ("net.channels=[32,64,128,128,128]",), "use tile=512, size=896"),
        ((3, 512, 512), ("net.channels=128",), "use size=224, net.channels=16"),
    ],
)
def test_the_advice_fits(shape: probe.Shape, options: tuple[str, ...], advice: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cost, "estimate", lambda *_: Cost(96 * GB, 1.0, 23 * GB))
    with pytest.raises(RunError, match="need about 96 GB of memory, 23 GB are free") as error:
        cost.afford(composed("device=cpu", *options), shape)
    assert str(error.value).endswith(advice)


def test_weights_that_memory_cannot_hold_are_not_even_probed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cost, "measure", lambda *_: pytest.fail("a probe"))
    wide = composed("net.channels=200000", "net.depth=2", "skips=[]", "device=cpu")  # more than a terabyte
    found = cost.estimate(wide, (3, 32, 32))
    assert not found.fits
    assert found.bytes > 10 * 4 * 9 * 200_000**2
    assert found.plain()["step_seconds"] is None


def test_a_failing_probe_does_not_fail_the_run(fit: conftest.Fit, monkeypatch: pytest.MonkeyPatch, always: None):
    def fail(*_: Any) -> None:
        raise RuntimeError("a loss for one size only")

    monkeypatch.setattr(cost, "measure", fail)
    assert fit("steps=2")[1]["status"] == "finished"


@pytest.mark.parametrize(
    ("found", "parts"),
    [
        (Cost(3_100_000_000, 0.35, 23 * GB), ["3.1 GB of memory", "12 min", "2,000 steps of 0.35 s", "23 GB free"]),
        (Cost(40_000_000, 0.01, None), ["0.04 GB of memory", "20 s", "2,000 steps of 0.01 s"]),
        (Cost(3 * GB, math.nan, 4 * GB), ["3 GB of memory", "4 GB free"]),
        (Cost(12 * GB, 3.2, 100 * GB), ["12 GB of memory", "1.8 h", "steps of 3.2 s", "100 GB free", "for less time"]),
    ],
)
def test_the_cost_in_one_line(found: Cost, parts: list[str]):
    line = cost.describe(found, 2000, CPU)
    assert line.startswith("cost: about ")
    assert all(part in line for part in parts), line
    words = ("steps of", "free", "for less time", "nan")
    assert [word for word in words if word in line] == [word for word in words if word in str(parts)]


@pytest.mark.parametrize(
    ("target", "size", "cut"),
    [("degraded", 2000, True), ("superres", 2000, True), ("degraded", 900, False), ("tomography", 2000, False)],
)
def test_tiles_are_a_remedy_where_the_target_can_be_cut(target: str, size: int, cut: bool):
    tiles = cost.can_be_cut(composed(f"target={target}"), (size, 600))
    assert tiles is cut
    if size > 2 * cost.TILE and not cut:
        with pytest.raises(OptionError, match=f"tile=512: must be 0 for measurements .target={target}."):
            composed(f"target={target}", "tile=512")
    assert ("; for less memory, use tile=512" in cost.describe(Cost(12 * GB, 3.2, None), 2000, CPU, tiles)) is cut
