"""Answers for the pretended device of `device.cpp` what `torch.cuda` asks of the driver. Programs import it first."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import torch
import torch.cuda.amp.common
from torch import Tensor, nn

LIBRARY = ctypes.CDLL(os.environ["LD_PRELOAD"])
LIBRARY.pretended_wait.restype = ctypes.c_char_p
LIBRARY.pretended_operators.restype = ctypes.c_char_p
GB = 2**30


def forget() -> None:
    """Empty the log of what waited for the device."""
    LIBRARY.pretended_forget()


def waits() -> list[str]:
    """What waited for the device since `forget`."""
    return [LIBRARY.pretended_wait(i).decode() for i in range(LIBRARY.pretended_count())]


def operators() -> list[str]:
    """The operators that ran on the device so far, such as aten::add.Tensor."""
    return LIBRARY.pretended_operators().decode().split()  # type: ignore[no-any-return]


class Properties:
    name, major, minor, multi_processor_count, total_memory = "pretended", 9, 0, 132, 80 * GB


class Stream:
    cuda_stream = stream_id = device_index = 0
    device = torch.device("cuda", 0)


class _Replayed(torch.autograd.Function):
    """The output of a network in memory that the next replay overwrites."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, static: Tensor) -> Tensor:
        return static.copy_(output).detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient, None


def make_graphed_callables(net: nn.Module, inputs: tuple[Tensor, ...], pool: Any = None) -> nn.Module:
    """A capture refuses what waits for the device; a replay reads and writes the same memory each time."""
    (example,), forward = inputs, net.forward
    forget()
    output = net(example)
    trained = [tensor for tensor in (example, *net.parameters()) if tensor.requires_grad]
    torch.autograd.grad(output, trained, torch.empty_like(output))  # all must be used
    if found := waits():
        raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({found[0]})")
    static = output.detach().clone()

    def replay(x: Tensor) -> Tensor:
        assert x.requires_grad == example.requires_grad, "the gradient of the input would be missing"
        with torch.no_grad():
            example.copy_(x)
        replayed: Tensor = _Replayed.apply(forward(x if x.requires_grad else example), static)
        return replayed

    net.forward = replay  # type: ignore[method-assign]
    return net


def clone(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    """A copy of the storage, which torch makes only on the devices that it was built for."""
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage).clone().untyped_storage()


ANSWERS: dict[str, Any] = {
    "is_available": True, "device_count": 1, "is_initialized": True, "current_device": 0, "init": None, "_lazy_init": None,
    "set_device": None, "get_device_capability": (9, 0), "get_device_name": "pretended", "synchronize": None,
    "get_device_properties": Properties, "current_stream": Stream, "is_bf16_supported": True, "empty_cache": None,
    "is_current_stream_capturing": False, "reset_peak_memory_stats": None, "max_memory_allocated": GB,
    "memory_allocated": GB, "memory_reserved": GB, "mem_get_info": (70 * GB, 80 * GB), "graph_pool_handle": (0, 1),
    "get_rng_state": torch.zeros(16, dtype=torch.uint8), "set_rng_state": None,
}  # fmt: skip
for name, answer in ANSWERS.items():
    setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)
torch.cuda.make_graphed_callables = make_graphed_callables  # type: ignore[assignment]
torch.cuda.amp.common.amp_definitely_not_available = lambda: False
torch._C._cuda_clearCublasWorkspaces = lambda: None  # type: ignore[attr-defined]
torch.UntypedStorage.clone = clone  # type: ignore[method-assign]
