"""What the pretended GPU notices: mistakes that would make a run fail on a GPU, or make each step wait for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pretended_cuda.conftest import Pretended

WAITS = {
    "pair on the CPU": "copy from the host",  # Lightning copies it at each step
    "noise copied": "copy from the host",
    "loss read": "a value is read",
    "loss copied": "copy to the host",
    "mask as index": "with a mask as index",
}


@pytest.fixture(scope="module")
def found(pretended: Pretended) -> dict[str, Any]:
    return pretended("mutations")


def test_a_run_without_a_mistake_waits_for_nothing(found: dict[str, Any]):
    assert found["none"] == {"waits": {}}


def test_tensors_of_two_devices_are_refused(found: dict[str, Any]):
    assert "Expected all tensors to be on the same device" in found["noise on the CPU"]["error"]


@pytest.mark.parametrize("mistake", WAITS)
def test_each_step_that_waits_is_noticed(mistake: str, found: dict[str, Any]):
    waits = found[mistake]["waits"]
    assert sum(count for what, count in waits.items() if WAITS[mistake] in what) >= 11, waits
