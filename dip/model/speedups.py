"""Ways to make a step of the same computation cheaper, tried at the first step; where one fails the fit goes on as it is.

`compile` fuses the passes over memory between convolutions (torch.compile). On the CPUs that we measured it does not pay:
the network's layers are written for them already. `graph` replays the network's forward and backward pass as CUDA graphs:
some 400 launches a step cost a fast GPU's host as much time as the GPU needs for the work itself.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

log = logging.getLogger("dip")


def speed_up(nets: nn.ModuleList, z: Tensor, ways: Sequence[str]) -> dict[str, bool]:
    """Changes `nets` in place in the order of `WAYS`; tells which of `ways` worked. Others are warned of.

    Args:
        nets: the networks, on the device of `z`.
        z: an input as every step will bring one: shape, type and device stay.
        ways: names out of `WAYS`.
    """
    worked = {}
    for way, apply in WAYS.items():
        if way not in ways:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they are about torch's own code
                apply(nets, z)
            worked[way] = True
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of whatever kind compilers, of which there are three, raise
            for net in nets:
                net._compiled_call_impl = None  # all that `compile` has set
                # What a capture has set, of networks before the one that failed.
                net.__dict__.pop("forward", None)
            reason = str(error).strip().partition("\n")[0]
            log.warning("precision.%s: the network runs as it is (%s: %s)", way, type(error).__name__, reason)
            worked[way] = False
        finally:
            nets.zero_grad()
    return worked


def _compile(nets: nn.ModuleList, z: Tensor) -> None:
    torch._dynamo.reset()  # what earlier runs of this process compiled counts towards a limit
    for net in nets:
        net.compile(dynamic=False)
        net(z).sum().backward()  # compilers start when called, the one of the way back then


def _capture(nets: nn.ModuleList, z: Tensor) -> None:
    if z.device.type != "cuda":
        raise RuntimeError(f"CUDA graphs need a CUDA device, this is {z.device.type}")
    device = z.device.type
    # Weights in a 16-bit format that autocast keeps for later would be those of the capture, at every replay.
    with torch.autocast(
        device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device), cache_enabled=False
    ):
        for net in nets:
            # It keeps its example, and copies every later input into it: not into the z that the fit has.
            torch.cuda.make_graphed_callables(net, (z.clone(),))  # type: ignore[no-untyped-call]
            net._compiled_call_impl = None  # what was compiled is in the graph now


WAYS: dict[str, Callable[[nn.ModuleList, Tensor], None]] = {"compile": _compile, "graph": _capture}
