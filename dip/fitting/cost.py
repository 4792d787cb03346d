"""The cost of a run, memory and time, estimated by a few steps on crops of the image's size before the fit.

Both are linear in the number of pixels. Memory is counted from the tensors that exist during a step (on a GPU: from the
allocator), at two sizes. Time is measured at the largest size whose steps cost little compared with the run. The probe
has networks, input and noise of its own, so that it changes nothing of the run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dip.configuration.schema import Config
from dip.errors import RunError
from dip.hardware import devices, memory, threads
from dip.hardware.free_memory import available
from dip.model import data
from dip.model.module import DeepImagePrior

Shape = tuple[int, int, int]

SIDES = (64, 128, 256)
"""Sides of the crops, in pixels. Two are always measured, for the memory; a third one if the run takes long."""

SHARE = 0.01
"""Largest part of the run's time that the third crop may take."""

SMALL_WORK, SMALL_MEMORY = 2 * 10**7, 2**22
"""A run is not estimated below this number of pixels x steps x networks (some seconds) and of pixels x networks x
feature maps (at most about 0.5 GB)."""

FRAGMENTED = 1.7
"""Ratio of the growth of a process on a CPU to the tensors that exist at one time."""

log = logging.getLogger("dip")


@dataclasses.dataclass(frozen=True)
class Cost:
    """The estimated cost of a run."""

    bytes: int
    """Memory that the fit allocates on its device, in addition to what the process holds at present."""
    seconds_per_step: float
    """Time of one step of all networks."""
    available: int | None
    """Memory that the process can still allocate there; None if the system does not tell."""

    @property
    def fits(self) -> bool:
        """Whether the memory suffices, as far as the system tells."""
        return self.available is None or self.bytes <= self.available


def estimate(config: Config, shape: Shape) -> Cost:
    """Estimate the cost of a run of `config` whose restored image has `shape` (C, H, W).

    It takes a fraction of a second to a few seconds, and at most `SHARE` of a long run. The caller's random state is
    unchanged, and so is the result of the run.

    Raises:
        OptionError: the device or the number format is not one of this machine.
    """
    device = devices.pick_device(config.device)
    arithmetic = devices.pick_precision(config.precision.name, device)
    lanes = together(config, device)
    free = available(device)
    networks = min(config.ensemble, lanes)
    pixels = _pixels(config, shape)
    found: list[_Measured] = []
    for side in SIDES:
        crop = (shape[0], min(side, shape[1]), min(side, shape[2]))
        count = _pixels(config, crop)
        if found and count <= found[-1].pixels:
            break  # the whole image has been measured
        if len(found) == 2 and 4 * found[-1].seconds * count > SHARE * config.steps * found[-1].seconds * pixels:
            break
        found.append(_measure(config, crop, device, arithmetic, networks))
    last = found[-1]
    slope, constant = 0.0, float(last.peak)
    if len(found) > 1:
        slope = (last.peak - found[-2].peak) / (last.pixels - found[-2].pixels)
        constant = last.peak - slope * last.pixels
    held = constant * config.ensemble / networks + slope * pixels * lanes
    kept = 2 * last.state * config.ensemble / networks  # states for a rollback
    factor = 1.1 if device.type == "cuda" else FRAGMENTED
    seconds = last.seconds * pixels / last.pixels * config.ensemble / networks
    return Cost(int(factor * held + kept), seconds, free)


def together(config: Config, device: torch.device) -> int:
    """The number of networks whose activations are in memory at the same time."""
    if getattr(config.net, "checkpoint_activations", False) or config.precision.speedups():
        return 1
    return min(config.ensemble, torch.get_num_threads()) if device.type == "cpu" else 1


def _pixels(config: Config, shape: Shape) -> int:
    height, width = config.net.padded(*shape[1:])
    return height * width


@dataclasses.dataclass
class _Measured:
    pixels: int
    peak: int
    """Bytes at the peak of a step, with the activations of one network at a time."""
    state: int
    """Bytes of weights and of the optimiser's state."""
    seconds: float


class _Alone(DeepImagePrior):
    """The module without Lightning's trainer."""

    def optimizers(self, use_pl_optimizer: bool = True) -> Any:
        """The optimiser, made at the first call."""
        if "alone" not in self.__dict__:
            self.__dict__["alone"] = self.configure_optimizers()
        return self.__dict__["alone"]

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """The backward pass."""
        loss.backward()  # type: ignore[no-untyped-call]


def _measure(
    config: Config, shape: Shape, device: torch.device, arithmetic: devices.Arithmetic, networks: int
) -> _Measured:
    """Memory and time of a step of `networks` networks on an image of `shape`."""
    dtype = torch.float64 if arithmetic.name == "fp64" else torch.float32
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(arithmetic.name)
    frugal = getattr(config.net, "checkpoint_activations", False)
    channels, height, width = shape
    padded = config.net.padded(height, width)
    with (
        devices.prepared(arithmetic, frugal), torch.random.fork_rng(devices=[]), torch.enable_grad(),
        torch.autocast(device.type, half or torch.bfloat16, enabled=half is not None),
    ):  # fmt: skip
        with _live(device) as live:
            nets = [config.net.build(config.z.channels, channels, config.skips, padded) for _ in range(networks)]
            module = _Alone(
                nets, (height, width), loss=config.loss, optimizer=config.optimizer, lr=config.lr,
                perturbation=config.perturbation, distribution=config.perturbation_distribution, seeds=range(networks),
            ).to(device, dtype)  # fmt: skip
            z = data.draw(config.z, padded, 0).to(device, dtype, memory_format=torch.channels_last)
            pair = z.expand(networks, -1, -1, -1), torch.zeros(1, *shape, device=device, dtype=dtype)
            for _ in range(2):  # the second step has the optimiser's state, too
                module.training_step(pair)
        tensors = [*module.parameters(), *tree_leaves([*module.optimizers().state.values()])]
        state = sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))
        with threads.side_by_side(networks if together(config, device) > 1 else 1, device) as module.each:
            times = []
            for _ in range(2):
                start = time.perf_counter()
                module.training_step(pair)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                times.append(time.perf_counter() - start)
    return _Measured(padded[0] * padded[1], live.peak, state, min(times))


class _Live(TorchDispatchMode):
    """Counts the bytes of the storages that operators make, as long as they exist."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        self.peak = max(self.peak, self.now)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return

        def freed(_: Any) -> None:
            self.now -= size
            del self._known[key]

        self._known[key] = weakref.ref(storage, freed)
        self.now += size


@dataclasses.dataclass
class _Allocated:
    peak: int = 0


@contextlib.contextmanager
def _live(device: torch.device) -> Iterator[Any]:
    """Yield an object whose `peak` is, after the block, the most bytes that its tensors used at a time."""
    if device.type != "cuda":
        with _Live() as live:
            yield live
        return
    memory.reset_peak_memory(device)
    before, found = torch.cuda.memory_allocated(device), _Allocated()
    yield found
    found.peak = torch.cuda.max_memory_allocated(device) - before
