"""What this machine is asked for: the device, the number format, and memory that is not given back at every step."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import importlib.metadata
import platform
import resource
from collections.abc import Iterator
from typing import Any

import torch

from dip.errors import OptionError

PACKAGES = ("deep-image-prior", "torch", "lightning", "hydra-core", "numpy", "pillow", "scikit-image")
PLUGINS = {"fp32": "32-true", "tf32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed", "fp64": "64-true"}


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """The number format that really runs."""

    name: str
    """fp32, tf32, bf16, fp16 or fp64: what `precision=auto` became."""

    @property
    def plugin(self) -> Any:
        """The value of Lightning's `Trainer(precision=...)`."""
        return PLUGINS[self.name]

    def describe(self) -> dict[str, Any]:
        """For `result.json`: the format and the flags under which it ran."""
        return {
            "name": self.name,
            "lightning": self.plugin,
            "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
            "matmul_precision": torch.get_float32_matmul_precision(),
        }


def pick_device(wanted: str) -> torch.device:
    """The device named by option `device`.

    Raises:
        OptionError: it is not a device, or this machine has none such. There is no silent fall-back to the CPU.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise OptionError("device", wanted, "auto, cpu, cuda, cuda:N or mps", "device=cpu") from None
    available = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if wanted == "cpu:0":
        device = torch.device("cpu")  # Lightning counts processors where others number them
    count = available.get(device.type, 0)
    if (device.index or 0) >= count:
        here = [kind for kind, n in available.items() if n]
        raise OptionError(
            "device", wanted, f"one that this machine has ({', '.join(here)}, auto)", "device=cpu"
        )
    return device


def pick_precision(wanted: str, device: torch.device) -> Arithmetic:
    """The number format for option `precision`; `auto` is bf16 where `device` computes in it natively, else fp32.

    Raises:
        OptionError: fp16 on a CPU, which has no arithmetic for it, or tf32 away from CUDA.
    """
    if wanted == "auto":
        return Arithmetic("bf16" if _native_bf16(device) else "fp32")
    if wanted == "fp16" and device.type == "cpu":
        raise OptionError(
            "precision", wanted, "bf16 or fp32 on a CPU (16-bit float needs a GPU)", "precision=bf16"
        )
    if wanted == "tf32" and device.type != "cuda":
        raise OptionError(
            "precision", wanted, "fp32 or bf16 here (TF32 is a format of NVIDIA GPUs)", "precision=fp32"
        )
    if wanted == "fp64" and device.type == "mps":
        raise OptionError("precision", wanted, "fp32 or bf16 on mps", "precision=fp32")
    return Arithmetic(wanted)


def _native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return (
        device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # without it the next operator does not exist
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    )


@contextlib.contextmanager
def prepared(arithmetic: Arithmetic, frugal: bool = False) -> Iterator[None]:
    """Sets the process up for one run and puts it back as it was: TF32 only where it was asked for.

    `frugal` runs give freed memory back (see `keep_memory`).
    """
    before = (
        torch.backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark,
    )
    allow = arithmetic.name == "tf32"
    # cuDNN's flag, True by default, governs convolutions; the matmul setting does not.
    torch.backends.cudnn.allow_tf32 = allow
    torch.set_float32_matmul_precision("high" if allow else "highest")
    keep_memory(not frugal)
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, precision, torch.backends.cudnn.benchmark = before
        torch.set_float32_matmul_precision(precision)


def keep_memory(keep: bool = True) -> bool:
    """Tells glibc to keep freed memory, or to do as it does by default; True where that worked.

    By default every activation of a few MB is mapped anew from the system and returned, page fault by page fault,
    at every step, which costs about a quarter of a step's time on a CPU. Threads that networks compute in share the main
    thread's memory then, since one of their own is given back all the same. Kept memory falls to pieces, though: it takes
    about 1.4 times as much, so that a run for which memory is short does better without.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_max, arena_max = (
        -1,
        -4,
        -8,
    )  # M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX in <malloc.h>
    libc = ctypes.CDLL(None)
    most, rest, arenas = (0, 2**31 - 1, 1) if keep else (65536, 128 * 1024, 0)  # the latter are glibc's own
    worked = [
        libc.mallopt(*asked) for asked in ((mmap_max, most), (trim_threshold, rest), (arena_max, arenas))
    ]
    return all(worked)


def reset_peak_memory(device: torch.device) -> None:
    """Starts a new measurement of `peak_memory` where the device can."""
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]  # a numbered device that nothing has used yet is unknown to the allocator
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """The largest memory in bytes: of the device's allocations on CUDA, of the whole process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def others(device: torch.device) -> str:
    """What other processes hold of a GPU's memory, in words, to stand in a sentence; "" where they hold little."""
    if device.type != "cuda":
        return ""
    free, total = torch.cuda.mem_get_info(device)
    held = total - free - torch.cuda.memory_reserved(device)
    if held < total // 10:  # every process needs some for itself
        return ""
    return f" (other processes hold {held / 2**30:.1f} of its {total / 2**30:.1f} GiB: wait for them, or choose another device)"


def describe(device: torch.device) -> str:
    """The device in words, with the number of threads on a CPU: exactness holds for the same number only."""
    if device.type == "cuda":
        return f"{device.type} ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"


def versions() -> dict[str, str]:
    """The versions that a result depends on: of Python and of the packages that compute it."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout
            continue
    return versions
