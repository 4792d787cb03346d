"""The Triton kernels agree with the plain layers and compile for GPUs; without them, a run uses the plain layers."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from dip.model.speedups import speed_up
from dip.nets import Hourglass
from tests.conftest import python

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs Triton")


def run(*words: str, **variables: str) -> str:
    done = python(*words, TRITON_DEFAULT_FP_FUSION="1", **variables)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@needs_triton
@pytest.mark.gpu  # on a GPU, too
def test_the_kernels_compute_what_the_plain_layers_compute():
    interpreted = "0" if torch.cuda.is_available() else "1"
    done = run("-m", "pytest", "tests/nets/kernels.py", "-p", "no:cacheprovider", TRITON_INTERPRET=interpreted)
    assert "[100%]" in done


@needs_triton
def test_the_kernels_compile_for_a_gpu_and_add_in_a_fixed_order(request: pytest.FixtureRequest, tmp_path: Path):
    """Without atomic operations, two runs give the same bits."""
    kept = getattr(request.config, "cache", None)
    cache = tmp_path if kept is None else kept.mkdir("triton")
    compiled = json.loads(run("-m", "tests.nets.compiled_kernels", TRITON_CACHE_DIR=str(cache)))
    assert len(compiled) == 10
    for name, found in compiled.items():
        assert found["cubin"], name
        assert found["atomic"] == [], name


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_without_triton_or_a_gpu_the_plain_layers_are_used(
    device: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    class Input:
        dtype = torch.float32

    Input.device = torch.device(device)  # type: ignore[attr-defined]
    for name in ("triton", "dip.nets.line_kernels", "dip.nets.normalization_kernels"):
        monkeypatch.setitem(sys.modules, name, None)
    nets = nn.ModuleList([Hourglass(depth=2, channels=4).build(3, 3, [1]) for _ in range(2)])
    with caplog.at_level("WARNING", logger="dip"):
        assert speed_up(nets, Input(), ["kernels"]) == {"kernels": False}  # type: ignore[arg-type]
    (warning,) = caplog.messages
    assert warning.startswith("precision.kernels failed, the run continues without it (")
    assert ("need a CUDA device" if device == "cpu" else "triton") in warning or "kernels" in warning
    assert not any(getattr(layer, "fused", False) for layer in nets.modules())


def test_a_network_without_such_layers_has_no_kernels(caplog: pytest.LogCaptureFixture):
    class Input:
        dtype, device = torch.float32, torch.device("cuda")

    assert speed_up(nn.ModuleList([nn.Conv2d(1, 1, 1)]), Input(), ["kernels"]) == {"kernels": False}  # type: ignore[arg-type]
    assert caplog.messages == []
