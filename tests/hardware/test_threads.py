"""The networks of an ensemble run side by side on a CPU, each with a share of the threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from dip.hardware import threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_networks_side_by_side_share_the_threads():
    meeting = threading.Barrier(2, timeout=60)  # passed only by two threads at once

    def call(number: int) -> tuple[int, tuple[str, int, bool, torch.dtype, bool]]:
        meeting.wait()
        return number, _settings()

    with threads.side_by_side(2, CPU) as each, torch.autocast("cpu", torch.float16, cache_enabled=True):
        found = list(each(call, range(4)))
    assert [number for number, _ in found] == [0, 1, 2, 3]
    assert {name for _, (name, *_) in found} == {"network_0", "network_1"}
    assert {tuple(rest) for _, (_, *rest) in found} == {(1, True, torch.float16, False)}
    assert _threads_of_a_new_thread() == torch.get_num_threads() == 2


def _threads_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def _settings() -> tuple[str, int, bool, torch.dtype, bool]:
    return (
        threading.current_thread().name, torch.get_num_threads(), torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"), torch.is_autocast_cache_enabled(),
    )  # fmt: skip


@pytest.mark.parametrize(("count", "device", "have"), [(1, "cpu", 2), (2, "cuda", 2), (2, "cpu", 1)])
def test_otherwise_networks_run_one_after_the_other(count: int, device: str, have: int):
    torch.set_num_threads(have)
    with threads.side_by_side(count, torch.device(device)) as each:
        assert each is map


def test_an_error_in_one_network_is_raised():
    with pytest.raises(ZeroDivisionError), threads.side_by_side(2, CPU) as each:
        list(each(lambda number: 1 / number, (1, 0)))
    assert _threads_of_a_new_thread() == torch.get_num_threads() == 2
