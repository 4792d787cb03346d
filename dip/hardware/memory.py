"""Memory of the process and of the GPU: how freed memory is kept, the peak, and what other processes hold."""

import ctypes
import platform

import torch

# From <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def keep_memory() -> bool:
    """Configure glibc's allocator to keep freed memory. True if that succeeded.

    By default, glibc maps each activation of a few MB anew and unmaps it after use, at every step. The page faults cost
    about a quarter of a step's time on a CPU. A single arena lets the threads of an ensemble reuse the same memory.
    Kept memory fragments: the process needs about 1.4 x as much, so a run that is short of memory should not keep it.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    _configure(mmap_max=0, trim_threshold=2**31 - 1, arena_max=1)
    return True


def release_memory() -> None:
    """Undo `keep_memory`: restore glibc's defaults and return unused memory to the system.

    One thing cannot be restored: glibc no longer adapts its mmap threshold, which stays at its default of 128 KiB.
    """
    _configure(mmap_max=65536, trim_threshold=128 * 1024, arena_max=0)
    ctypes.CDLL(None).malloc_trim(0)


def _configure(mmap_max: int, trim_threshold: int, arena_max: int) -> None:
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(M_MMAP_MAX, mmap_max)
    mallopt(M_TRIM_THRESHOLD, trim_threshold)
    mallopt(M_ARENA_MAX, arena_max)


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
    """Describe how much of a GPU's memory other processes hold, as part of an error message.

    "" if it is less than 10 % of the memory or 1 GiB, whichever is more. It is all memory outside of torch's allocator,
    so it includes the context of this process, 0.3 to 0.6 GB.
    """
    if device.type != "cuda":
        return ""
    try:
        free, total = torch.cuda.mem_get_info(device)
    except RuntimeError:  # a GPU without room for this process's context, or one that is lost
        return ""
    held = total - free - torch.cuda.memory_reserved(device)
    if held < max(total // 10, 1 << 30):
        return ""
    whose = f"{held / 2**30:.1f} of its {total / 2**30:.1f} GiB"
    return f" (other processes hold {whose}: wait for them or choose another device)"
