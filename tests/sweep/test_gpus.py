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
        (TWO, "0,5", ["GPU-aaaa"]),  # no such card: a job there would run on the CPU
        (TWO, "5", []),
        (TWO, "GPU-zzzz,0", []),
        (TWO, "GPU-bb", ["GPU-bbbb"]),  # the beginning of a UUID is the same GPU, and the same claim
        (TWO, "GPU-", []),  # ambiguous
        (SPLIT, "MIG-2222", ["MIG-2222"]),
        (SPLIT, "MIG-22,GPU-bb", ["MIG-2222", "GPU-bbbb"]),
        (SPLIT, "GPU-aaaa", ["MIG-1111"]),
    ],
)
def test_gpus(monkeypatch, listing, visible, expected):
    monkeypatch.setattr(gpus, "_output", lambda *_: listing)
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert gpus.gpus(environment) == expected


MIXED = """\
GPU 0: NVIDIA T4 (UUID: GPU-aaaa)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb)
"""


@pytest.fixture
def torch_sees(monkeypatch, tmp_path):
    """`torch_sees(lines)`: there is a device file, and another process prints `lines` for the GPUs that torch sees."""

    def see(lines: str, listing: str = "", file: bool = True) -> list[list[str]]:
        (tmp_path / "nvidia0").touch()
        monkeypatch.setattr(gpus, "_DEVICES", (str(tmp_path / ("nvidia[0-9]*" if file else "none")),))
        asked = []

        def output(command, *_):
            asked.append(command)
            return listing if command[0] == "nvidia-smi" else lines

        monkeypatch.setattr(gpus, "_output", output)
        return asked

    return see


@pytest.mark.parametrize(
    ("lines", "visible", "expected"),
    [
        ("GPU-aaaa\nGPU-bbbb\n", None, ["GPU-aaaa", "GPU-bbbb"]),
        ("GPU-bbbb\n", "1,7", ["GPU-bbbb"]),
        ("number\nnumber\n", None, ["0", "1"]),  # ROCm
        ("number\nnumber\n", "2,0,9", ["2", "0"]),
        ("GPU-ffff\n", "MIG-1111", ["MIG-1111"]),
        ("", None, []),
    ],
)
def test_without_nvidia_smi_torch_counts_in_another_process(torch_sees, lines, visible, expected):
    torch_sees(lines)
    assert gpus.gpus({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == expected


def test_torch_is_not_started_where_no_device_file_exists(torch_sees):
    asked = torch_sees("GPU-aaaa\n", file=False)
    assert gpus.gpus({}) == []
    assert [command[0] for command in asked] == ["nvidia-smi"]


def test_numbers_of_different_cards_are_those_of_cuda_which_counts_the_fastest_first(torch_sees):
    asked = torch_sees("GPU-bbbb\n", MIXED)
    assert gpus.gpus({"CUDA_VISIBLE_DEVICES": "0"}) == ["GPU-bbbb"]
    assert len(asked) == 2
    assert gpus.gpus({"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == ["GPU-aaaa"]
    assert gpus.gpus({}) == ["GPU-aaaa", "GPU-bbbb"]


def test_free_memory_is_that_which_no_process_of_any_user_holds(monkeypatch):
    listing = "GPU-aaaa, 8000, 80000\nGPU-bbbb, 80000, 80000\nGPU-cccc, [N/A], [N/A]\nGPU is lost\n"
    monkeypatch.setattr(gpus, "_output", lambda *_: listing)
    assert gpus.free_memory() == {"GPU-aaaa": 0.1, "GPU-bbbb": 1.0, "GPU-cccc": 1.0}
    monkeypatch.setattr(gpus, "_output", lambda *_: "")
    assert gpus.free_memory() is None


def test_the_probe_runs_in_a_process_of_its_own():
    assert not gpus.works("GPU-of-no-machine")
    assert "torch" not in gpus.__dict__


def test_cores_respect_omp_num_threads_and_the_affinity(monkeypatch):
    assert gpus.cores({"OMP_NUM_THREADS": "3"}) == 3
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 2, 4, 6}, raising=False)
    assert gpus.cores({}) == 4
    assert gpus.cores({"OMP_NUM_THREADS": "nonsense"}) == 4
