"""Runs on a pretended GPU: no tensor on a wrong device, nothing waits for the device between records, the result is the
CPU's, and an interrupted run resumes to the same bits. Networks compiled and as CUDA graphs, and how many kernels a step
launches. What the pretended GPU notices: mistakes that would make a run fail on a GPU, or make each step wait for it.

All is in one file, since one process runs all of it."""

import itertools
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torchgen
import yaml

from dip.nets import NETS
from tests.pretended_cuda.building import Programs
from tests.pretended_cuda.cases import AXES, DENOISERS, covering, name_of

CASES = covering(AXES)
NEAR = {"fp64": 1e-2, "fp32": 2e-2, "tf32": 2e-2, "bf16": 0.1, "fp16": 0.1}
"""Greatest relative difference of the first ten losses to those on the CPU, for each number format."""


@pytest.fixture(scope="module")
def found(pretended: Programs) -> dict[str, Any]:
    return pretended("fits", [*CASES, *DENOISERS])


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_run_on_a_gpu_is_one_on_the_cpu(case: dict[str, str], found: dict[str, Any]):
    run = found[name_of(case)]
    assert "error" not in run, run["error"]
    if "refused" in run:
        pytest.skip(f"refused on a CPU, too: {run['refused']}")
    assert run["status"] == ["finished", "finished"]
    assert run["device"].startswith("cuda")
    assert run["precision"]["name"] == case["precision"]
    assert run["precision"]["graph"] is True, "by default"
    assert run["waits"] == {}, "between two records"
    there, here = run["losses"]
    assert there[:10] == pytest.approx(here[:10], rel=NEAR[case["precision"]])
    psnr, other = run["psnr"]
    assert psnr == pytest.approx(other, abs=1), "dB"
    if case["resumed"] == "yes":
        assert run["first"] == ["interrupted", 10]
        assert run["same"] == [True, True], "losses and restored image"


@pytest.mark.parametrize("case", DENOISERS, ids=name_of)
def test_a_method_without_a_fit_restores_on_a_gpu(case: dict[str, str], found: dict[str, Any]):
    run = found[name_of(case)]
    assert "error" not in run, run["error"]
    assert run["status"] == ["finished", "finished"]
    psnr, other = run["psnr"]
    assert psnr == pytest.approx(other, abs=0.5), "dB"


def test_each_choice_has_a_case_and_each_number_format_meets_each_optimizer():
    for axis, values in AXES.items():
        assert {case[axis] for case in CASES} == set(values)
    pairs = {(case["precision"], case["optimizer"]) for case in CASES}
    assert pairs == set(itertools.product(AXES["precision"], AXES["optimizer"]))


@pytest.mark.parametrize("backend", ["CUDA", "MPS"])
def test_every_operator_exists_on_a_gpu(backend: str, found: dict[str, Any]):
    """All operators of these runs have a kernel for the backend, or are made of others, or are listed."""
    declared = declarations()
    known = {name: backends(declared, name) for name in (used.removeprefix("aten::") for used in found["operators"])}
    missing = {
        name
        for name, there in known.items()
        if there and backend not in there and not any("Composite" in b for b in there)
    }
    assert "add.out" in known
    assert missing == (MISSING_ON_MPS.keys() if backend == "MPS" else set())


MISSING_ON_MPS: dict[str, str] = {}
"""Operators without a kernel for Apple's GPUs, and what the program does instead."""


def declarations() -> dict[str, Any]:
    """torch's list of operators, by name and overload."""
    path = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {entry["func"].partition("(")[0]: entry for entry in yaml.load(path.read_text(), loader)}


def backends(declared: dict[str, Any], name: str) -> set[str]:
    """The backends that have a kernel of the operator; empty for operators that torch derives from others."""
    entry = declared.get(name)
    if entry is None:
        return set()
    if "structured_delegate" in entry:
        return backends(declared, entry["structured_delegate"])
    dispatch = entry.get("dispatch", {"CompositeImplicitAutograd": ""})
    generated = {"CPU", "CUDA"} if "ufunc_inner_loop" in entry else set()
    return generated | {backend.strip() for names in dispatch for backend in names.split(",")}


@pytest.fixture(scope="module")
def networks(pretended: Programs) -> dict[str, Any]:
    return pretended("networks", list(NETS))


@pytest.mark.parametrize("way", ["graph", "compile"])
@pytest.mark.parametrize("net", NETS)
def test_a_faster_way_computes_the_same(net: str, way: str, networks: dict[str, Any]):
    """A capture refuses what waits for the device; tracing refuses what breaks the graph."""
    assert "error" not in networks[net], networks[net]["error"]
    plain, faster = networks[net]["plain"], networks[net][way]
    assert (plain["worked"], faster["worked"]) == (None, True)
    assert plain["waits"] == faster["waits"] == {}, "between two records"
    # Traced code rounds to bf16 elsewhere, and each step of the optimiser enlarges the difference.
    assert faster["losses"][0] == pytest.approx(plain["losses"][0], rel=0.02)
    assert faster["losses"] == pytest.approx(plain["losses"], rel=0.15)
    if way == "graph":
        assert faster["same"], "losses and restored image, to the bit"


@pytest.fixture(scope="module")
def counted(pretended: Programs) -> dict[str, Any]:
    return pretended("operators", ["plain", "kernels"] if find_spec("triton") else ["plain"])


@pytest.mark.parametrize(("way", "most", "small"), [("plain", 640, 434), ("kernels", 483, 305)])
def test_the_number_of_operators_of_a_step(way: str, most: int, small: int, counted: dict[str, Any]):
    """512 x 512, the default network, bf16, Adam: a small kernel takes longer to launch than to run."""
    if way not in counted:
        pytest.skip("needs Triton")
    found = counted[way]
    assert found["all"] <= most, found["names"]
    assert found["small"] <= small, "below 2 MB"


WAITS = {
    "pair on the CPU": "copy from the host",  # Lightning copies it at each step
    "noise copied": "copy from the host",
    "loss read": "a value is read",
    "loss copied": "copy to the host",
    "mask as index": "with a mask as index",
}


@pytest.fixture(scope="module")
def mistaken(pretended: Programs) -> dict[str, Any]:
    return pretended("mutations")


def test_a_run_without_a_mistake_waits_for_nothing(mistaken: dict[str, Any]):
    assert mistaken["none"] == {"waits": {}}


def test_tensors_of_two_devices_are_refused(mistaken: dict[str, Any]):
    assert "Expected all tensors to be on the same device" in mistaken["noise on the CPU"]["error"]


@pytest.mark.parametrize("mistake", WAITS)
def test_each_step_that_waits_is_noticed(mistake: str, mistaken: dict[str, Any]):
    waits = mistaken[mistake]["waits"]
    assert sum(count for what, count in waits.items() if WAITS[mistake] in what) >= 5, waits
