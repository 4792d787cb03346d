"""Free memory: what this process can still allocate on a device, with the limits of its control group (container)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

# Names of the limit, the usage and the part of it that the kernel can reclaim at once, in version 2 and version 1.
_UNIFIED = ("memory.max", "memory.current", "inactive_file")
_LEGACY = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def available(device: torch.device, root: Path = Path("/")) -> int | None:
    """Return the bytes that this process can still allocate on `device`; None if the system does not tell.

    On CUDA, memory that torch holds for reuse counts. For a CPU under Linux, swap does not count, and a limit of the
    control group does. `root` is the folder that contains `proc` and `sys`.
    """
    if device.type == "cuda":
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reusable
    if device.type != "cpu":
        return None
    with contextlib.suppress(OSError, KeyError, ValueError):
        lines = (line.split() for line in (root / "proc/meminfo").read_text().splitlines())
        free = {words[0]: words[1] for words in lines}["MemAvailable:"]  # kB
        return max(0, min([1024 * int(free), *_groups(root)]))
    return None


def _groups(root: Path) -> Iterator[int]:
    """Free bytes under the memory limit of each control group that contains this process."""
    groups = root / "sys/fs/cgroup"
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, names = (groups / "memory", _LEGACY) if controllers else (groups, _UNIFIED)
        # In a container, the path may be that of the host; the container's own limit is then at the top.
        inner = top / path.lstrip("/")
        for folder in {inner, top, *(parent for parent in inner.parents if top in parent.parents)}:
            with contextlib.suppress(OSError, ValueError):  # no such group, or the limit is "max"
                yield _room(folder, *names)


def _room(folder: Path, limit: str, usage: str, reclaimable: str) -> int:
    counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    used = int((folder / usage).read_text()) - int(counts.get(reclaimable, 0))
    return int((folder / limit).read_text()) - used
