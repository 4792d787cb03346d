"""Each network on the pretended GPU, compiled and as CUDA graphs, and how many kernels a step launches."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from dip.nets import NETS
from tests.pretended_cuda.conftest import Pretended


@pytest.fixture(scope="module")
def found(pretended: Pretended) -> dict[str, Any]:
    return pretended("networks", list(NETS))


@pytest.mark.parametrize("way", ["graph", "compile"])
@pytest.mark.parametrize("net", NETS)
def test_a_faster_way_computes_the_same(net: str, way: str, found: dict[str, Any]):
    """A capture refuses what waits for the device; tracing refuses what breaks the graph."""
    assert "error" not in found[net], found[net]["error"]
    plain, faster = found[net]["plain"], found[net][way]
    assert (plain["worked"], faster["worked"]) == (None, True)
    assert plain["waits"] == faster["waits"] == {}, "between two records"
    # Traced code rounds to bf16 elsewhere, and each step of the optimiser enlarges the difference.
    assert faster["losses"][0] == pytest.approx(plain["losses"][0], rel=0.02)
    assert faster["losses"] == pytest.approx(plain["losses"], rel=0.15)
    if way == "graph":
        assert faster["same"], "losses and restored image, to the bit"


@pytest.fixture(scope="module")
def counted(pretended: Pretended) -> dict[str, Any]:
    return pretended("operators", ["plain", "kernels"] if find_spec("triton") else ["plain"])


@pytest.mark.parametrize(("way", "most", "small"), [("plain", 640, 434), ("kernels", 483, 305)])
def test_the_number_of_operators_of_a_step(way: str, most: int, small: int, counted: dict[str, Any]):
    """512 x 512, the default network, bf16, Adam: a small kernel takes longer to launch than to run."""
    if way not in counted:
        pytest.skip("needs Triton")
    found = counted[way]
    assert found["all"] <= most, found["names"]
    assert found["small"] <= small, "below 2 MB"
