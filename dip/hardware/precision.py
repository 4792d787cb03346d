"""The number format of a run, as an option; `dip.hardware.devices` says what a device can do of it."""

from __future__ import annotations

import dataclasses

from dip.options import check_choice, check_flag, option

PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16", "fp64")


@dataclasses.dataclass
class Precision:
    """The number format of the network's arithmetic. Loss, average and optimiser stay in float32 (fp64: float64)."""

    name: str = option("auto", "number format", f"one of {', '.join(PRECISIONS)}", "bf16")
    compile: bool = option(
        False,
        "compile the network with torch.compile, which takes some minutes at the start; where that fails, a warning says "
        "so and the network runs as it is",
        "true or false",
        "true",
    )
    graph: bool = option(
        False,
        "replay the network's passes as CUDA graphs, on a GPU whose host cannot launch them as fast; where that fails, a "
        "warning says so and the network runs as it is",
        "true or false",
        "true",
    )

    def __post_init__(self) -> None:
        check_choice(self, "name", PRECISIONS, prefix="precision.")
        check_flag(self, "compile", prefix="precision.")
        check_flag(self, "graph", prefix="precision.")

    def speedups(self) -> list[str]:
        """The names, in `dip.model.speedups`, of what was asked for."""
        return [name for name in ("compile", "graph") if getattr(self, name)]
