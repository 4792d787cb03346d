"""Memory of the process and of the GPU: how freed memory is kept, the peak, and what other processes hold."""

from __future__ import annotations

import contextlib
import ctypes
import platform
from collections.abc import Iterator

import torch

# From <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
KEEP = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_ARENA_MAX: 1}
DEFAULTS = {M_MMAP_MAX: 65536, M_TRIM_THRESHOLD: 128 * 1024, M_ARENA_MAX: 0}
"""glibc's own values."""


def keep_memory(keep: bool = True) -> bool:
    """Configure glibc's allocator to keep freed memory, or restore its defaults. True if that succeeded.

    By default, glibc maps each activation of a few MB anew and unmaps it after use, at every step. The page faults cost
    about a quarter of a step's time on a CPU. A single arena lets the threads of an ensemble reuse the same memory.
    Kept memory fragments: the process needs about 1.4 x as much, so a run that is short of memory should not keep it.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    succeeded = [libc.mallopt(*setting) for setting in (KEEP if keep else DEFAULTS).items()]
    return all(succeeded)


@contextlib.contextmanager
def kept(keep: bool = True) -> Iterator[None]:
    """Keep freed memory inside the block; at its end restore glibc's defaults and return unused memory to the system.

    One thing cannot be restored: glibc no longer adapts its mmap threshold, which stays at its default of 128 KiB.
    """
    if not (keep and keep_memory()):
        yield
        return
    try:
        yield
    finally:
        keep_memory(False)
        ctypes.CDLL(None).malloc_trim(0)


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement of `peak_memory` where the device supports it."""
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]  # the allocator does not know a numbered device before its first use
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int | None:
    """Return the peak memory in bytes: allocations on a CUDA device, else the whole process; None on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def held_by_others(device: torch.device) -> str:
    """Describe how much of a GPU's memory other processes hold, as part of an error message; "" if below 10 %."""
    if device.type != "cuda":
        return ""
    free, total = torch.cuda.mem_get_info(device)
    held = total - free - torch.cuda.memory_reserved(device)
    if held < total // 10:  # the context of every process takes some
        return ""
    return (
        f" (other processes hold {held / 2**30:.1f} of its {total / 2**30:.1f} GiB: "
        "wait for them or choose another device)"
    )
