"""Runs of one user on one CPU share its threads out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from dip.hardware import threads
from tests.conftest import ROOT

CPU = torch.device("cpu")
HOLD = """
import torch
from dip.hardware import threads
torch.set_num_threads({})
with threads.shared(torch.device("cpu")):
    print(torch.get_num_threads(), flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def own_claims(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def other(count: int) -> subprocess.Popen[str]:
    """Another process that has claimed `count` threads."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(count)], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() == str(count)
    return process


def test_a_run_alone_has_all_of_them():
    with threads.shared(CPU):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 2


def test_a_second_run_takes_what_is_left_and_says_so(caplog: pytest.LogCaptureFixture):
    with other(1):
        with caplog.at_level("WARNING", logger="dip"), threads.shared(CPU):
            assert torch.get_num_threads() == 1
        assert any("have taken 1 of this CPU's 2 threads" in line for line in caplog.messages)
        assert torch.get_num_threads() == 2


def test_one_at_least_and_all_again_when_the_other_is_killed():
    first = other(2)
    with threads.shared(CPU):
        assert torch.get_num_threads() == 1
    first.kill()
    first.communicate()
    with threads.shared(CPU):
        assert torch.get_num_threads() == 2


def test_who_was_told_a_number_keeps_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with other(1), threads.shared(CPU):
        assert torch.get_num_threads() == 2


def test_a_gpu_leaves_the_threads_alone():
    with other(2), threads.shared(torch.device("cuda")):
        assert torch.get_num_threads() == 2


def test_networks_side_by_side_share_the_threads():
    torch.set_num_threads(2)
    meeting = threading.Barrier(2, timeout=60)  # nobody gets past it alone

    def call(number: int) -> tuple[int, tuple[str, int, bool, torch.dtype, bool]]:
        meeting.wait()
        return number, _surroundings()

    with threads.side_by_side(2, CPU) as each, torch.autocast("cpu", torch.float16, cache_enabled=True):
        found = list(each(call, range(4)))
    assert [number for number, _ in found] == [0, 1, 2, 3]
    assert {name for _, (name, *_) in found} == {"network_0", "network_1"}
    assert {tuple(rest) for _, (_, *rest) in found} == {(1, True, torch.float16, False)}
    assert _of_a_new_thread() == torch.get_num_threads() == 2


def _of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def _surroundings() -> tuple[str, int, bool, torch.dtype, bool]:
    return (
        threading.current_thread().name, torch.get_num_threads(), torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"), torch.is_autocast_cache_enabled(),
    )  # fmt: skip


@pytest.mark.parametrize(("count", "device", "have"), [(1, "cpu", 2), (2, "cuda", 2), (2, "cpu", 1)])
def test_what_has_nothing_to_share_goes_one_after_the_other(count: int, device: str, have: int):
    torch.set_num_threads(have)
    with threads.side_by_side(count, torch.device(device)) as each:
        assert each is map


def test_what_fails_in_one_network_fails():
    with pytest.raises(ZeroDivisionError), threads.side_by_side(2, CPU) as each:
        list(each(lambda number: 1 / number, (1, 0)))
    assert _of_a_new_thread() == torch.get_num_threads() == 2
