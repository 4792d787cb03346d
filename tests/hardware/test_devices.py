"""Device, precision and flags: what is asked for is what runs, or an error says what can be had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dip.errors import OptionError
from dip.hardware import devices
from dip.hardware.devices import Arithmetic, pick_device, pick_precision
from tests.conftest import ROOT

CPU = torch.device("cpu")


def test_auto_takes_what_is_there():
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_precision("auto", CPU).name in ("bf16", "fp32")


def test_the_first_processor_is_the_processor():
    assert pick_device("cpu:0") == CPU  # Lightning would take the 0 for their number


@pytest.mark.fault(19)
@pytest.mark.parametrize("wanted", ["cuda:99", "toaster", "mps:3", "meta"])
def test_a_device_that_is_not_here_is_an_error_not_a_cpu(wanted: str):
    with pytest.raises(OptionError, match=f"device={wanted}: must be .* for example device=cpu"):
        pick_device(wanted)


@pytest.mark.parametrize(("wanted", "reason"), [("fp16", "16-bit float needs a GPU"), ("tf32", "NVIDIA")])
def test_formats_that_a_cpu_lacks_are_refused(wanted: str, reason: str):
    with pytest.raises(OptionError, match=reason):
        pick_precision(wanted, CPU)


@pytest.mark.parametrize(("name", "allowed"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_tf32_only_where_asked_for_and_put_back_after(name: str, allowed: bool):
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    with devices.prepared(Arithmetic(name)):
        assert torch.backends.cudnn.allow_tf32 is allowed
        assert torch.get_float32_matmul_precision() == ("high" if allowed else "highest")
        described = Arithmetic(name).describe()
        assert described["cudnn_allow_tf32"] is allowed
    assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before


def test_a_numbered_gpu_is_woken_before_its_memory_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "init", lambda: asked.append("init"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: asked.append(str(device)))
    devices.reset_peak_memory(torch.device("cuda:1"))
    assert asked == ["init", "cuda:1"]


def test_peak_memory_grows_with_an_allocation():
    before = devices.peak_memory(CPU)
    block = torch.ones(40_000_000)  # 160 MB, written to
    assert devices.peak_memory(CPU) >= before
    assert devices.peak_memory(CPU) > 4 * block.numel()


def test_memory_that_others_hold_is_named(monkeypatch: pytest.MonkeyPatch):
    gpu, gib = torch.device("cuda"), 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10 * gib, 80 * gib))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 20 * gib)
    assert "other processes hold 50.0 of its 80.0 GiB" in devices.others(gpu)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 68 * gib)
    assert devices.others(gpu) == devices.others(CPU) == ""


MEMORY = """
import torch
from dip.hardware import devices
from tests.conftest import ROOT

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

assert devices.keep_memory({})
torch.ones(100).sum()
print(used())
torch.ones(64 * 2**20).sum()  # 256 MB, freed at once
print(used())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
@pytest.mark.parametrize("keep", [True, False])
def test_memory_is_kept_or_given_back_as_asked(keep: bool):
    """In a process of its own: whether 256 MB that were freed still count as its memory (torch itself takes less)."""
    code = MEMORY.format(keep)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    before, after = (int(number) for number in done.stdout.split())
    assert (after - before > 200e6) is keep
