"""The GPUs of this machine, as torch sees them, and their free memory."""

import sys

import pytest

from dip.sweep import gpus


@pytest.fixture
def torch_sees(monkeypatch, tmp_path):
    """`torch_sees(lines)`: there is a device file, and another process prints `lines` for the GPUs that torch sees."""

    def see(lines: str, file: bool = True) -> list[list[str]]:
        (tmp_path / "nvidia0").touch()
        monkeypatch.setattr(gpus, "_DEVICES", (str(tmp_path / ("nvidia[0-9]*" if file else "none")),))
        asked = []
        monkeypatch.setattr(gpus, "_output", lambda command, *_: asked.append(command) or lines)
        return asked

    return see


@pytest.mark.parametrize(
    ("lines", "visible", "expected"),
    [
        ("GPU-aaaa\nGPU-bbbb\n", None, ["GPU-aaaa", "GPU-bbbb"]),
        ("GPU-bbbb\n", "1,7", ["GPU-bbbb"]),
        ("GPU-bbbb\nGPU-bbbb\n", "GPU-bb,1", ["GPU-bbbb"]),
        ("", "-1", []),
        ("number\nnumber\n", None, ["0", "1"]),  # ROCm
        ("number\nnumber\n", "2,0,9", ["2", "0"]),
        ("number\n", "MIG-1111, MIG-2222", ["MIG-1111"]),  # CUDA shows one instance
        ("", None, []),
    ],
)
def test_torch_counts_in_another_process(torch_sees, lines, visible, expected):
    torch_sees(lines)
    assert gpus.gpus({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == expected


def test_torch_is_not_started_where_no_device_file_exists(torch_sees):
    asked = torch_sees("GPU-aaaa\n", file=False)
    assert gpus.gpus({}) == []
    assert asked == []


def test_free_memory_is_that_which_no_process_of_any_user_holds(monkeypatch):
    listing = "GPU-aaaa, 8000, 80000\nGPU-bbbb, 80000, 80000\nGPU-cccc, [N/A], [N/A]\nGPU is lost\n"
    monkeypatch.setattr(gpus, "_output", lambda *_: listing)
    assert gpus.free_memory() == {"GPU-aaaa": 0.1, "GPU-bbbb": 1.0, "GPU-cccc": 1.0}
    monkeypatch.setattr(gpus, "_output", lambda *_: "")
    assert gpus.free_memory() is None


def test_the_probe_runs_where_there_is_no_gpu():
    assert gpus._output([sys.executable, "-c", gpus._PROBE], 120) == ""
    assert "torch" not in gpus.__dict__


def test_cores_respect_omp_num_threads_and_the_affinity(monkeypatch):
    assert gpus.cores({"OMP_NUM_THREADS": "3"}) == 3
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 2, 4, 6}, raising=False)
    assert gpus.cores({}) == 4
    assert gpus.cores({"OMP_NUM_THREADS": "nonsense"}) == 4
