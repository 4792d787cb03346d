"""The options of group `precision`. Imports no torch; `dip.hardware.devices` checks them against a device."""

import dataclasses

from dip.options import Options, choice, flag, option

PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16", "fp64")


@dataclasses.dataclass
class Precision(Options):
    """Number format of the network's arithmetic. Loss, moving average and optimiser use float32 (fp64: float64).

    `auto` is fp32 on CUDA devices before compute capability 8.0 (Ampere), which have no bf16. Those from 7.0 on have
    tensor cores for fp16, so `precision=fp16` may be faster there; it has not been measured.
    """

    name: str = option("auto", "number format", choice(PRECISIONS), "bf16")
    compile: bool = option(
        False,
        "compile the network with torch.compile, which takes minutes at the start; if that fails, a warning is "
        "logged and the network runs uncompiled",
        flag(),
        "true",
    )
    graph: bool | None = option(
        None,
        "replay the network's passes as CUDA graphs, since launching the kernels takes longer than running them; if that "
        "fails, a warning is logged and the network runs without; null: on CUDA, except for a network of your own",
        flag(none=True),
        "false",
    )

    kernels: bool | None = option(
        None,
        "use Triton kernels for normalisation with activation, padding and upsampling in net=hourglass; they are compared "
        "with the plain layers first, and if they differ or Triton is missing, a warning is logged and the plain layers "
        "are used; null: together with graphs on CUDA",
        flag(none=True),
        "false",
    )
    benchmark: bool = option(
        False,
        "let cuDNN measure its algorithms and use the fastest, on CUDA; two runs may then use different ones, so their "
        "results differ in the last bits, also those of a resumed run",
        flag(),
        "true",
    )

    prefix = "precision."

    def unused(self) -> dict[str, str]:
        """The kernels with compiled code, which fuses these layers itself."""
        return {"kernels": "precision.compile=true"} if self.compile else {}

    def speedups(self, device: str, own_net: bool = False) -> list[str]:
        """Return the names of the enabled speed-ups, of `dip.model.speedups.SPEEDUPS`.

        Args:
            device: type of the device, such as "cuda".
            own_net: the network is the user's. A graph would replay its first call, whatever its code does at later
                ones.
        """
        graph = device == "cuda" and not own_net if self.graph is None else self.graph
        kernels = device == "cuda" and graph and not own_net if self.kernels is None else self.kernels
        wanted = {"compile": self.compile, "kernels": kernels and not self.compile, "graph": graph}
        return [name for name, enabled in wanted.items() if enabled]
