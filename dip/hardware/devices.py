"""The device and the number format of a run, and the process-wide flags that belong to them."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from typing import Any

import torch

from dip.errors import OptionError
from dip.hardware import memory
from dip.options import log

PACKAGES = ("deep-image-prior", "torch", "lightning", "hydra-core", "numpy", "pillow", "scikit-image")


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """The number format of a run, with `precision=auto` resolved."""

    name: str
    """fp32, tf32, bf16, fp16 or fp64."""

    @property
    def plugin(self) -> Any:
        """The value of Lightning's `Trainer(precision=...)`."""
        return {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp64": "64-true"}.get(self.name, "32-true")

    @property
    def dtype(self) -> torch.dtype:
        """The type of the loss, the average and the operator."""
        return torch.float64 if self.name == "fp64" else torch.float32

    def describe(self) -> dict[str, Any]:
        """Return the format and the active flags, for `result.json`."""
        return {
            "name": self.name,
            "lightning": self.plugin,
            "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
            "matmul_precision": torch.get_float32_matmul_precision(),
            "cudnn_deterministic": torch.backends.cudnn.deterministic,
        }


def pick_device(wanted: str) -> torch.device:
    """Return the device that option `device` names; `auto` is CUDA if available, else the CPU.

    Raises:
        OptionError: this is not a device, or not one of this machine. There is no silent fallback to the CPU.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "").strip()
        if torch.version.cuda is not None and chosen not in ("", "-1"):
            legal = f"cpu here, because CUDA_VISIBLE_DEVICES={chosen} names a GPU that is not there"
            raise OptionError("device", wanted, legal, "device=cpu")
        return torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise OptionError("device", wanted, "auto, cpu, cuda, cuda:N or mps", "device=cpu") from None
    available = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= available.get(device.type, 0):
        here = [kind for kind, count in available.items() if count]
        raise OptionError("device", wanted, f"a device of this machine ({', '.join(here)}, auto)", "device=cpu")
    # Lightning would read the 0 of cpu:0 as a number of processes.
    return torch.device("cpu") if device.type == "cpu" else device


def pick_precision(wanted: str, device: torch.device) -> Arithmetic:
    """Return the number format for option `precision`; `auto` is bf16 if `device` supports it natively, else fp32.

    Raises:
        OptionError: fp16 on a CPU, tf32 on a device other than CUDA, or fp64 on mps.
    """
    if wanted == "auto":
        if _native_bf16(device):
            return Arithmetic("bf16")
        if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0):
            log.info("precision=auto: fp32, since this GPU has no bf16; precision=fp16 may be faster on it")
        return Arithmetic("fp32")
    if wanted == "fp16" and device.type == "cpu":
        raise OptionError("precision", wanted, "bf16 or fp32 on a CPU (fp16 needs a GPU)", "precision=bf16")
    if wanted == "tf32" and device.type != "cuda":
        raise OptionError("precision", wanted, "fp32 or bf16 here (TF32 is a format of NVIDIA GPUs)", "precision=fp32")
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
def prepared(arithmetic: Arithmetic, frugal: bool = False, benchmark: bool = False) -> Iterator[None]:
    """Set the process's flags for one run, and restore them when the block ends: TF32, cuDNN's and the allocator's.

    By default cuDNN uses deterministic algorithms and does not select them by their time, so that the same run gives
    the same bits.

    Args:
        arithmetic: TF32 is enabled for "tf32" only.
        frugal: return freed memory to the system at once, see `dip.hardware.memory.keep_memory`.
        benchmark: let cuDNN select the fastest algorithms, see `Precision.benchmark`.
    """
    cudnn, flags = torch.backends.cudnn, _tf32_flags()
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = benchmark, not benchmark
    # cuDNN's flag, True by default, applies to convolutions; the matmul precision does not.
    torch.backends.cudnn.allow_tf32 = arithmetic.name == "tf32"
    torch.set_float32_matmul_precision("high" if arithmetic.name == "tf32" else "highest")
    kept = not frugal and memory.keep_memory()
    try:
        yield
    finally:
        if kept:
            memory.release_memory()
        cudnn.benchmark, cudnn.deterministic = before
        cudnn.allow_tf32, matmul, newer = flags
        torch.set_float32_matmul_precision(matmul)
        for names, value in zip(_PRECISIONS, newer, strict=True):
            torch._C._set_fp32_precision_setter(*names, value)


@contextlib.contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Compute in the number format of the tensors inside the block: without autocast, and without TF32 on CUDA.

    For the observation operator and the loss, and their backward pass: rounding errors of the network average out over
    the steps, those of the operator do not. PyTorch recommends the backward pass outside of autocast in any case.
    """
    get, change = torch._C._get_fp32_precision_getter, torch._C._set_fp32_precision_setter
    operations = ("matmul", "conv")
    # `prepared` has enabled both for precision=tf32. The flag of convolutions alone is torch's default.
    tf32 = device.type == "cuda" and all(get("cuda", operation) == "tf32" for operation in operations)
    with torch.autocast(device.type, enabled=False):
        for operation in operations if tf32 else ():
            change("cuda", operation, "ieee")
        try:
            yield
        finally:
            for operation in operations if tf32 else ():
                change("cuda", operation, "tf32")


_PRECISIONS = (
    ("generic", "all"), ("cuda", "all"), ("mkldnn", "all"),
    *((backend, operation) for backend in ("cuda", "mkldnn") for operation in ("matmul", "conv", "rnn")),
)  # fmt: skip
"""The backends and operations that have an `fp32_precision` in torch, those first whose value others inherit.

Addressed by name, because `torch.backends.mkldnn.fp32_precision` of torch 2.13 sets the generic one.
"""


def _tf32_flags() -> tuple[bool, str, list[str]]:
    """The flags of TF32 as set, in torch's two interfaces; afterwards, nothing is set in the newer one.

    torch raises an error if the older interface is read while the newer one says something else. A value "none" of the
    newer one is read as the value that it inherits, so the values are set to "none" in the order of inheritance.
    """
    newer = []
    for names in _PRECISIONS:
        newer.append(torch._C._get_fp32_precision_getter(*names))
        torch._C._set_fp32_precision_setter(*names, "none")
    matmul = torch.get_float32_matmul_precision()
    for operation in ("conv", "rnn"):
        torch._C._set_fp32_precision_setter("cuda", operation, "tf32")
    try:
        allowed = bool(torch.backends.cudnn.allow_tf32)
    except RuntimeError:
        allowed = False
    return allowed, matmul, newer


def describe(device: torch.device) -> str:
    """Describe the device; a CPU with its vector unit and the number of threads, for which alone results are bit-exact."""
    if device.type == "cuda":
        return f"{device.type} ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    unit = torch.backends.cpu.get_cpu_capability()  # a step takes several times as long on AVX2 as on AVX-512
    return f"{device.type} ({platform.machine()}, {unit}, {threads} thread{'s' * (threads > 1)})"


def noise_source(device: torch.device) -> str:
    """What the random numbers of `device` depend on besides the seed; see `dip.seeds.Perturbation`."""
    if device.type != "cuda":
        return device.type
    count = torch.cuda.get_device_properties(device).multi_processor_count
    return f"{device.type} ({torch.cuda.get_device_name(device)}, {count} multiprocessors)"


def versions() -> dict[str, str]:
    """Return the versions that a result depends on: of Python and of the packages that compute it."""
    return {"python": platform.python_version(), **_installed()}


@functools.cache  # read from files
def _installed() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # the project itself, run from a checkout
            found[package] = importlib.metadata.version(package)
    return found
