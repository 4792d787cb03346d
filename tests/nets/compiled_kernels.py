"""Compile the Triton kernels for a GPU (compute capability 9.0) without one, and print what they became as JSON."""

import json
import re
from typing import Any

import torch
from torch import Tensor
from triton import compile as compiled
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from dip.nets import line_kernels, normalization_kernels

TYPES = {torch.float32: "*fp32", torch.bfloat16: "*bf16"}
found: dict[str, Any] = {}


def launch(kernel: Any, grid: tuple[int, ...], *args: Any, **constants: Any) -> None:
    """Compile instead."""
    numbers = {int: "i32", float: "fp32"}
    given = dict(zip(kernel.arg_names, args, strict=False))
    signature = {
        name: "constexpr" if name in constants else TYPES[given[name].dtype] if isinstance(given[name], Tensor) else
        numbers[type(given[name])] for name in kernel.arg_names
    }  # fmt: skip
    made = compiled(
        ASTSource(fn=kernel, signature=signature, constexprs=constants), target=GPUTarget("cuda", 90, 32)
    ).asm
    atomic = re.findall(r"\b(?:atom|red)\.\w+", made["ptx"])
    found[kernel.__name__] = {"cubin": len(made["cubin"]), "atomic": atomic}


def image(channels: int, height: int, width: int) -> Tensor:
    empty = torch.empty(1, channels, height, width, dtype=torch.bfloat16)
    return empty.contiguous(memory_format=torch.channels_last).requires_grad_()


if __name__ == "__main__":
    line_kernels.launch = normalization_kernels.launch = launch
    scale = torch.empty(32, requires_grad=True)
    normalization_kernels.activated(image(32, 8, 8), scale, scale, 1e-5, "leaky", 0.2).sum().backward()
    line_kernels.reflected(image(32, 8, 8), 1, False).sum().backward()
    line_kernels.doubled(*(image(32, 8 + y, 8 + x) for y in (4, 3) for x in (4, 3))).sum().backward()
    print(json.dumps(found))
