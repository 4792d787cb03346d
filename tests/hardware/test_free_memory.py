"""Free memory: of the machine, of the control groups around this process, of a GPU; unknown elsewhere."""

from pathlib import Path

import pytest
import torch

from dip.hardware.free_memory import available

CPU = torch.device("cpu")


def system(root: Path, group: str, files: dict[str, dict[str, str]]) -> Path:
    """A fake /proc and /sys with 10 MiB free."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal: 20480 kB\nMemFree: 1024 kB\nMemAvailable:   10240 kB\n")
    (root / "proc/self/cgroup").write_text(group)
    for folder, content in files.items():
        (root / "sys/fs/cgroup" / folder).mkdir(parents=True, exist_ok=True)
        for name, text in content.items():
            (root / "sys/fs/cgroup" / folder / name).write_text(text)
    return root


def unified(limit: str, used: int, cache: int = 0) -> dict[str, str]:
    return {
        "memory.max": f"{limit}\n", "memory.current": f"{used}\n", "memory.stat": f"anon 5\ninactive_file {cache}\n"
    }  # fmt: skip


LEGACY = {
    "memory.limit_in_bytes": "4000000\n", "memory.usage_in_bytes": "3000000\n",
    "memory.stat": "inactive_file 0\ntotal_inactive_file 500000\n",
}  # fmt: skip


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/\n", {}, 10240 * 1024),
        ("0::/job\n", {"job": unified("max", 1)}, 10240 * 1024),
        ("0::/job\n", {"job": unified("3000000", 1_000_000, 200_000)}, 2_200_000),
        ("0::/outer/job\n", {"outer": unified("2000000", 0), "outer/job": unified("max", 0)}, 2_000_000),
        ("0::/of/the/host\n", {".": unified("5000000", 1_000_000)}, 4_000_000),
        ("0::/\n", {".": unified("1000", 5000)}, 0),
        ("4:memory:/job\n3:cpuset:/job\n0::/\n", {"memory/job": LEGACY}, 1_500_000),
        ("4:cpu,memory:/of/the/host\n", {"memory": LEGACY}, 1_500_000),
    ],
)
def test_the_smallest_of_what_the_machine_and_the_groups_have(
    tmp_path: Path, group: str, files: dict[str, dict[str, str]], expected: int
):
    assert available(CPU, system(tmp_path, group, files)) == expected


def test_a_system_that_does_not_tell(tmp_path: Path):
    assert available(CPU, tmp_path) is None
    assert available(torch.device("mps")) is None


def test_this_machine():
    found = available(CPU)
    assert found is None or 10**7 < found < 10**15


def test_memory_that_torch_keeps_for_reuse_on_a_gpu_is_free(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10, 80))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 7)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3)
    assert available(torch.device("cuda")) == 14
