"""Time and memory of a step of the network in three dimensions, for a cube of voxels."""

from __future__ import annotations

import dataclasses
from statistics import median
from typing import Any

from dip.configuration.schema import Config


def measured(config: Config, repeats: int) -> dict[str, Any]:
    """A row of the table, for a gray cube of `config.size` voxels a side.

    `seconds` of a step, the median of `repeats`; `memory`: bytes of all tensors at its peak, as counted by
    `dip.fitting.probe.measure`; both also per voxel, the time in microseconds.
    """
    import torch

    from dip.fitting.probe import measure
    from dip.hardware import devices

    side, device = config.size, torch.device(config.device)
    config = dataclasses.replace(config, net=config.net.for_slices(side))
    arithmetic = devices.pick_precision(config.precision.name, device)
    found = [measure(config, (side, side, side), device, arithmetic, 1) for _ in range(repeats)]
    seconds, memory = median(one.seconds for one in found), found[0].peak
    return {
        "size": side, "precision": arithmetic.name, "channels": getattr(config.net, "channels", None), "seconds": seconds,
        "memory": memory, "microseconds_per_voxel": 1e6 * seconds / side**3, "bytes_per_voxel": memory / side**3,
    }  # fmt: skip
