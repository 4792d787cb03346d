"""Memory: what glibc keeps, what is restored afterwards, the peak, and what other processes hold."""

from pathlib import Path

import pytest
import torch

from dip.hardware import memory
from tests.conftest import python

CPU = torch.device("cpu")


KEPT = """
import torch
from dip.hardware import devices, memory

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def growth():
    before = used()
    torch.ones(64 * 2**20).sum()  # 256 MB, freed at once
    return used() - before

torch.ones(100).sum()
start = used()
print(growth())
with devices.prepared(devices.Arithmetic("fp32")):
    print(growth())
print(used() - start, growth())
assert memory.keep_memory()
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_freed_memory_is_kept_during_a_run_and_returned_before_and_after():
    """In a process of its own: the allocator's settings apply to a whole process."""
    done = python("-c", KEPT)
    assert done.returncode == 0, done.stderr
    before, during, left, after = map(int, done.stdout.split())
    assert during > 200e6
    assert max(before, left, after) < 100e6


def test_a_numbered_gpu_is_initialised_before_its_memory_is_measured(monkeypatch: pytest.MonkeyPatch):
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "init", lambda: calls.append("init"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: calls.append(str(device)))
    memory.reset_peak_memory(torch.device("cuda:1"))
    assert calls == ["init", "cuda:1"]


def test_peak_memory_includes_a_large_allocation():
    block = torch.ones(40_000_000)  # 160 MB, written to
    assert memory.peak_memory(CPU) > 4 * block.numel()


def test_memory_that_other_processes_hold_is_named(monkeypatch: pytest.MonkeyPatch):
    gpu, gib = torch.device("cuda"), 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10 * gib, 80 * gib))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 20 * gib)
    assert "other processes hold 50.0 of its 80.0 GiB" in memory.held_by_others(gpu)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 68 * gib)
    assert memory.held_by_others(gpu) == memory.held_by_others(CPU) == ""


@pytest.mark.parametrize(("held", "named"), [(0.6, False), (1.5, True)])
def test_the_context_of_this_process_is_not_named_on_a_small_gpu(
    held: float, named: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (round((4 - held) * 2**30), 4 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    assert bool(memory.held_by_others(torch.device("cuda"))) == named
