"""Errors that say that memory did not suffice, as CUDA, its libraries, MPS and CPUs word them, and others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dip.errors import RunError
from dip.fitting.fit_errors import one_line
from dip.hardware.out_of_memory import PREFIX, out_of_memory
from tests.conftest import composed

FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB, max allowed: 9.07 GB)."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:114] data. DefaultCPUAllocator: not enough memory"),
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((2**40,), np.dtype("f8")),
]
OTHER = [
    RuntimeError("Expected all tensors to be on the same device"), ValueError("out of memory"),
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), RunError("out of memory on cuda"),
]  # fmt: skip


@pytest.mark.fault(18)
@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:40])
def test_all_forms_become_one_line(error: Exception, tmp_path: Path):
    assert out_of_memory(error)
    line = f"{PREFIX}cpu at 8 x 9: use tile=512"
    with pytest.raises(RunError, match=line) as caught, one_line(tmp_path, (8, 9), torch.device("cpu")):
        raise error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", OTHER, ids=lambda error: str(error)[:40])
def test_others_do_not(error: Exception):
    assert not out_of_memory(error)


def test_a_gpu_that_disappears_is_one_line(tmp_path: Path):
    text = "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported"
    line = r"does not answer any more \(CUDA error: unspecified launch failure\); look at"
    with pytest.raises(RunError, match=line), one_line(tmp_path, (8, 9), torch.device("cpu")):
        raise torch.AcceleratorError(text)


def test_memory_that_ends_while_a_fit_is_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from dip.fitting import experiment
    from dip.stopping.variance import WMV

    def full(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: out of memory")

    monkeypatch.setattr(WMV, "start", full)
    with pytest.raises(RunError, match="out of memory on cpu at 32 x 32"):
        experiment.run(composed("size=32", "stop=wmv", f"out={tmp_path / 'runs'}", "device=cpu"), progress=False)
    assert not (tmp_path / "runs").exists()
