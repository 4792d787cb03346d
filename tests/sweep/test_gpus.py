"""The GPUs of this machine, from the output of `nvidia-smi -L`."""

import pytest

from dip.sweep import gpus

TWO = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb)
"""
SPLIT = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa)
  MIG 3g.20gb     Device  0: (UUID: MIG-1111)
  MIG 3g.20gb     Device  1: (UUID: MIG-2222)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb)
"""


@pytest.mark.parametrize(
    ("listing", "visible", "expected"),
    [
        ("", None, []),
        (TWO, None, ["GPU-aaaa", "GPU-bbbb"]),
        (SPLIT, None, ["MIG-1111", "MIG-2222", "GPU-bbbb"]),
        (TWO, "1", ["GPU-bbbb"]),
        (TWO, "1, 0", ["GPU-bbbb", "GPU-aaaa"]),
        (TWO, "GPU-bbbb,1", ["GPU-bbbb"]),
        (TWO, "", []),
        (TWO, "-1", []),
        (TWO, "0,-1,1", ["GPU-aaaa"]),
        (SPLIT, "0", ["MIG-1111"]),
        ("", "0,1", ["0", "1"]),  # without nvidia-smi the entries are taken as they are
    ],
)
def test_gpus(monkeypatch, listing, visible, expected):
    monkeypatch.setattr(gpus, "_nvidia_smi", lambda: listing)
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert gpus.gpus(environment) == expected


def test_without_nvidia_smi_there_is_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.gpus({}) == []


def test_cores_respect_omp_num_threads_and_the_affinity(monkeypatch):
    assert gpus.cores({"OMP_NUM_THREADS": "3"}) == 3
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 2, 4, 6}, raising=False)
    assert gpus.cores({}) == 4
    assert gpus.cores({"OMP_NUM_THREADS": "nonsense"}) == 4
