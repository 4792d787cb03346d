"""Three ways to compute a step faster, applied at the first step; where one fails, the fit continues without it.

`compile` fuses the passes over memory between convolutions (torch.compile). On the CPUs that we measured it is not
faster, because the network's layers are written for them. `kernels` replaces some layers by Triton kernels, see
`dip.nets.fused`. `graph` replays the network's forward and backward pass as CUDA graphs, by default on CUDA: launching
the kernels of a step one by one takes longer than a fast GPU needs to run them.
"""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dip.hardware.out_of_memory import out_of_memory
from dip.nets.convolution import number_format
from dip.nets.fused import fuse
from dip.options import log


def speed_up(nets: nn.ModuleList, z: Tensor, names: Sequence[str]) -> dict[str, bool]:
    """Apply the named speed-ups to `nets` in place, in the order of `SPEEDUPS`; log a warning for each that fails.

    Returns whether each of `names` worked. Shape, number format and device of the input `z` are those of every step.
    """
    worked = {}
    for name in (name for name in SPEEDUPS if name in names):
        before = [net._compiled_call_impl for net in nets]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they concern torch's own code
                worked[name] = SPEEDUPS[name](nets, z) is not False
        except Exception as error:  # compilers raise exceptions of any type
            if name != "graph" and out_of_memory(error):  # a graph needs more than the step itself
                raise
            for net, compiled in zip(nets, before, strict=True):  # undo this speed-up, keep those before it
                net._compiled_call_impl = compiled
                net.__dict__.pop("forward", None)
            reason = str(error).strip().partition("\n")[0]
            kind = type(error).__name__
            log.warning(
                "precision.%s failed, the run continues without it (%s: %s); precision.%s=false leaves it out",
                name, kind, reason, name,
            )  # fmt: skip
            worked[name] = False
        finally:
            nets.zero_grad()
    return worked


def _compile(nets: nn.ModuleList, z: Tensor) -> None:
    torch._dynamo.reset()  # functions compiled by earlier runs of this process count towards a limit
    for net in nets:
        net.compile(dynamic=False)
        net(z).sum().backward()  # the compilers of the forward and the backward pass start at the first call


def _fuse(nets: nn.ModuleList, z: Tensor) -> bool:
    """Whether the networks have layers for which there are kernels."""
    if z.device.type != "cuda":
        raise RuntimeError(f"Triton kernels need a CUDA device, this is {z.device.type}")
    return fuse(nets, z.device, number_format(z))


def _capture(nets: nn.ModuleList, z: Tensor) -> None:
    if z.device.type != "cuda":
        raise RuntimeError(f"CUDA graphs need a CUDA device, this is {z.device.type}")
    dtype, enabled = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
    # Autocast's cache would keep the 16-bit weights of the capture for every replay.
    # The networks run in the order of their captures, so one can use the memory of the activations of another.
    pool = torch.cuda.graph_pool_handle()
    with torch.autocast("cuda", dtype, enabled, cache_enabled=False):
        for net in nets:
            # A graph copies every later input into its example, which therefore must not be the fit's own z.
            example = z.detach().clone().requires_grad_(z.requires_grad)
            torch.cuda.make_graphed_callables(net, (example,), pool=pool)  # type: ignore[no-untyped-call]
            net._compiled_call_impl = None  # the compiled code is in the graph now


SPEEDUPS: dict[str, Callable[[nn.ModuleList, Tensor], bool | None]] = {
    "compile": _compile, "kernels": _fuse, "graph": _capture,
}  # fmt: skip
