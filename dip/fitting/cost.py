"""The cost of a run, memory and time, estimated by a few steps on crops of the image's size before the fit.

Both are linear in the number of pixels. Memory is counted from the tensors that exist during a step (on a GPU: from the
allocator), at two or three sizes, of which the two largest count. Time is measured at the largest. The probe has networks,
input and noise of its own, so that it changes nothing of the run.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch

from dip.configuration.schema import Config
from dip.errors import DipError, RunError
from dip.fitting.probe import Measured, Shape, cropped, measure, padded_pixels, together
from dip.hardware import devices, memory
from dip.hardware.free_memory import available
from dip.methods import Classical, Denoiser
from dip.options import log

SIDES = (64, 128, 256)
"""Sides of the crops, in pixels. Two are always measured, for the memory; the third one if the run fits."""

SMALL_WORK, SMALL_MEMORY = 2 * 10**7, 2**22
"""A run is not estimated below this number of pixels x steps x networks (some seconds) and of pixels x networks x
feature maps (at most about 0.5 GB)."""

CPU_MEMORY, GPU_MEMORY = (1.6, 25e6), (1.15, 200e6)
"""Factor and constant between the tensors that exist at one time and the memory that is taken for them, measured on CPUs:
the allocator's fragmentation, workspaces and code that is loaded at the first step."""

PER_VALUE = 100
"""Bytes per value of the image for records, scores and the stopping rule."""

TILE = 512
"""Side of the tiles that are suggested for a large image, in pixels."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """The estimated cost of a run."""

    bytes: int
    """Memory that the fit allocates on its device, in addition to what the process holds at present."""
    seconds_per_step: float
    """Time of one step of all networks; not a number where the memory does not suffice for a probe."""
    available: int | None
    """Memory that the process can still allocate there; None if the system does not tell."""

    @property
    def fits(self) -> bool:
        """Whether the memory suffices, if the free memory is known."""
        return self.available is None or self.bytes <= self.available

    def plain(self) -> dict[str, float | None]:
        """The estimate for `result.json`: `memory_bytes` and `step_seconds`."""
        seconds = None if math.isnan(self.seconds_per_step) else self.seconds_per_step
        return {"memory_bytes": self.bytes, "step_seconds": seconds}


def estimate(config: Config, shape: Shape) -> Cost:
    """Estimate the cost of a run of `config` whose restored image has `shape` (C, H, W).

    It takes a fraction of a second to a few seconds. The caller's random state and the result of the run are unchanged.

    Raises:
        OptionError: the device or the number format is not one of this machine.
    """
    device = devices.pick_device(config.device)
    arithmetic = devices.pick_precision(config.precision.name, device)
    free = available(device)
    denoiser, crops = isinstance(config.method, Denoiser), [cropped(config, shape, side) for side in SIDES]
    if isinstance(config.method, Classical):
        growing, constant = config.method.memory
        return Cost(int(growing * math.prod(shape) + constant + CPU_MEMORY[1]), math.nan, free)
    if not denoiser and free is not None and _rough(*crops[0]) > free / 2:  # the probe itself would need too much
        return Cost(_rough(config, shape), math.nan, free)
    networks, pixels = min(config.ensemble, together(config, device)), padded_pixels(config, shape)
    found: list[Measured] = []
    for crop in crops:
        if found and padded_pixels(*crop) <= found[-1].pixels:
            break  # the whole image has been measured
        if len(found) == 2 and free is not None and _memory(found, config, shape, networks, device) > free:
            break
        found.append(measure(*crop, device, arithmetic, networks))
    last = found[-1]
    seconds = last.seconds * pixels / last.pixels * config.ensemble / networks
    return Cost(_memory(found, config, shape, networks, device), seconds, free)


def _memory(found: Sequence[Measured], config: Config, shape: Shape, networks: int, device: torch.device) -> int:
    """The memory of a run in bytes, from measurements of `networks` networks, as many as run at a time."""
    last, pixels = found[-1], padded_pixels(config, shape)
    slope = last.peak / last.pixels
    if len(found) > 1:
        slope = (last.peak - found[-2].peak) / (last.pixels - found[-2].pixels)
    channels = shape[0] / config.net.slices
    waiting = (config.ensemble - networks) * 4 * (config.z.channels + 3 * channels)  # z and output, bytes per pixel
    constant = last.peak - slope * last.pixels + 2 * last.state  # two states for a rollback
    factor, start = GPU_MEMORY if device.type == "cuda" else CPU_MEMORY
    growing = factor * (slope * networks + waiting) + PER_VALUE * channels
    return int(growing * pixels + constant * config.ensemble / networks + start)


def _rough(config: Config, shape: Shape) -> int:
    """An upper bound of the memory, in bytes, from the number of weights and feature maps alone."""
    with torch.device("meta"):
        planes = config.z.planes(config.net.z_slices())
        net = config.net.build(planes, shape[0], config.skips, config.net.padded(*shape[1:]))
    weights = sum(parameter.nbytes for parameter in net.parameters())
    return config.ensemble * (10 * weights + 100 * _widest(config) * padded_pixels(config, shape))


def _widest(config: Config) -> int:
    """The largest number of feature maps of a level; 4 for a network without this option, and for a method without one."""
    if isinstance(config.method, Denoiser):
        return 4
    channels = getattr(config.net, "channels", 4)
    return max(channels) if isinstance(channels, (list, tuple)) else int(channels)


def foreseen(config: Config, shape: Shape) -> Cost | None:
    """The cost of a run; None for a small run, and where the probe fails, since the run itself then reports the error."""
    pixels, steps = padded_pixels(config, shape) * config.ensemble, config.method.total(config.steps)
    if pixels * steps < SMALL_WORK and pixels * _widest(config) < SMALL_MEMORY:
        return None
    try:
        return estimate(config, shape)
    except DipError:
        raise
    except Exception as error:
        log.debug("cost: not estimated (%s: %s)", type(error).__name__, error)
        return None


def afford(config: Config, shape: Shape) -> Cost | None:
    """`foreseen`, after checking that the memory suffices.

    Raises:
        RunError: the device does not have enough memory. Nothing has been written.
    """
    cost = foreseen(config, shape)
    if cost is None or cost.fits:
        return cost
    assert cost.available is not None
    device, slices = devices.pick_device(config.device), config.net.slices
    size = " x ".join(map(str, [*([slices] if slices > 1 else []), *shape[1:]]))
    raise RunError(
        f"{size} {'voxels' if slices > 1 else 'pixels'} need about {_gigabytes(cost.bytes)} of memory, {_gigabytes(cost.available)} are free"
        f"{' on ' + str(device) if device.type == 'cuda' else ''}{memory.held_by_others(device)}: use "
        + ", ".join(_smaller(config, shape, 0.8 * cost.available / cost.bytes))
    )


def describe(cost: Cost, steps: int, device: torch.device, tiles: bool = False) -> str:
    """One line on the cost of a run of `steps` steps, and on how to lower it where that takes more than an hour.

    `tiles`: whether tiles would take less memory, see `can_be_cut`.
    """
    line = f"cost: about {_gigabytes(cost.bytes)} of memory"
    line += " besides that of Python and torch (about 1 GB)" if device.type == "cpu" else ""
    if not math.isnan(seconds := cost.seconds_per_step * steps):
        line += f", about {duration(seconds)} at the present load if it runs all {steps:,} steps of {cost.seconds_per_step:.2g} s"
    if cost.available is not None:
        line += f"; this {'GPU' if device.type == 'cuda' else 'machine'} has {_gigabytes(cost.available)} free"
    line += f"; for less memory, use tile={TILE}" if tiles else ""
    return line + ("; for less time, use a smaller size, net.channels or steps" if seconds > 3600 else "")


def can_be_cut(config: Config, sides: Sequence[int]) -> bool:
    """Whether an image with these sides in pixels is much larger than a tile, and its target can be cut into tiles."""
    return max(sides) > 2 * TILE and config.target.cut


def _smaller(config: Config, shape: Shape, factor: float) -> Iterator[str]:
    """Options that lower the memory to about `factor` of what it is now."""
    _, height, width = shape
    if can_be_cut(config, (height, width)):
        yield f"tile={TILE}"
    side = [max(32, int(length * factor**0.5) // 32 * 32) for length in (height, width)]
    yield f"size={side[0]}" if height == width else f"size=[{side[0]},{side[1]}]"
    if isinstance(config.method, Denoiser):
        return
    channels = getattr(config.net, "channels", None)
    if isinstance(channels, int) and channels * factor >= 16:
        yield f"net.channels={int(channels * factor) // 16 * 16}"
    if getattr(config.net, "checkpoint_activations", True) is False and factor > 0.4:
        yield "net.checkpoint_activations=true"


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2g} GB" if count < 1e11 else f"{count / 1e9:.0f} GB"


def duration(seconds: float) -> str:
    """A time in words, such as `12 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
