"""A few steps of a run on an image of another size, without data and without a trainer, to measure memory and time."""

import contextlib
import dataclasses
import time
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dip.configuration.schema import Config
from dip.hardware import devices, memory, threads
from dip.methods import Denoiser, Learned
from dip.model import data
from dip.model.module import DeepImagePrior
from dip.seeds import generator

Shape = tuple[int, int, int]


def together(config: Config, device: torch.device) -> int:
    """The number of networks that run at the same time, each with its activations in memory."""
    if getattr(config.net, "checkpoint_activations", False) or config.precision.speedups(device.type):
        return 1  # compiled code and graphs belong to the main thread
    return min(config.ensemble, torch.get_num_threads()) if device.type == "cpu" else 1


def padded_pixels(config: Config, shape: Shape) -> int:
    """The number of pixels that the network makes for an image of `shape` (C, H, W), of voxels for a volume."""
    if isinstance(config.method, Denoiser):
        return shape[1] * shape[2]
    height, width = config.net.padded(*shape[1:])
    return height * width * config.net.z_slices()


def cropped(config: Config, shape: Shape, side: int) -> tuple[Config, Shape]:
    """`config` and `shape` (C, H, W) with at most `side` pixels a side; for a volume, the cube of as many voxels."""
    (channels, height, width), net = shape, config.net
    if net.slices > 1:
        side = 2 * round(side ** (2 / 3) / 2)
        slices = min(side, net.slices)
        config, channels = dataclasses.replace(config, net=net.for_slices(slices)), channels // net.slices * slices
    return config, (channels, min(side, height), min(side, width))


@dataclasses.dataclass
class Measured:
    """What `measure` finds."""

    pixels: int
    """See `padded_pixels`."""
    peak: int
    """Bytes of all tensors at the peak of a step whose networks run in turn."""
    state: int
    """Bytes of the weights and of the optimiser's state."""
    seconds: float
    """Time of a step."""


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


def measure(
    config: Config, shape: Shape, device: torch.device, arithmetic: devices.Arithmetic, networks: int
) -> Measured:
    """Memory and time of a step of `networks` networks, or of a denoiser, on an image of `shape`."""
    if isinstance(config.method, Learned):
        return _trained(config.method, shape, device, arithmetic)
    dtype = torch.float64 if arithmetic.name == "fp64" else torch.float32
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(arithmetic.name)
    frugal = getattr(config.net, "checkpoint_activations", False)
    channels, height, width = shape
    padded, planes = config.net.padded(height, width), config.z.planes(config.net.z_slices())
    with (
        devices.prepared(arithmetic, frugal), torch.random.fork_rng(devices=[]), torch.enable_grad(),
        torch.autocast(device.type, half or torch.bfloat16, enabled=half is not None),
    ):  # fmt: skip
        with _live(device) as live:
            nets = [config.net.build(planes, channels, config.skips, padded) for _ in range(networks)]
            module = _Alone(
                nets, (height, width), loss=config.loss, optimizer=config.optimizer, lr=config.lr,
                perturbation=config.perturbation, distribution=config.perturbation_distribution, seeds=range(networks),
            ).to(device, dtype)  # fmt: skip
            z = data.draw(config.z, config.net.input_size(padded), 0, config.net.z_slices()).to(
                device, dtype, memory_format=torch.channels_last
            )
            pair = z.expand(networks, -1, -1, -1), torch.zeros(1, *shape, device=device, dtype=dtype)
            for _ in range(2):  # the second step has the optimiser's state, too
                module.training_step(pair)
        tensors = [*module.parameters(), *tree_leaves([*module.optimizers().state.values()])]
        state = sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))
        with threads.side_by_side(networks, device) as module.each:
            times = []
            for _ in range(2):
                start = time.perf_counter()
                module.training_step(pair)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                times.append(time.perf_counter() - start)
    return Measured(padded_pixels(config, shape), live.peak, state, min(times))


def _trained(method: Learned, shape: Shape, device: torch.device, arithmetic: devices.Arithmetic) -> Measured:
    """Memory and time of a step of `method` on an image of `shape` (C, H, W). `state` is not counted."""
    half = torch.bfloat16 if arithmetic.name == "bf16" else None
    y = torch.rand(1, *shape, generator=generator(0, "cost")).to(device, arithmetic.dtype)
    times = []

    def after(step: int, loss: Tensor, image: Any) -> bool:
        float(loss)  # waits for the device
        times.append(time.perf_counter())
        return False

    with devices.prepared(arithmetic), torch.enable_grad():
        with _live(device) as live:
            method.training(y, 0.1, 0, half).run(2, after)
        method.training(y, 0.1, 0, half).run(3, after)
    return Measured(y[0, 0].numel(), live.peak, 0, times[-1] - times[-2])


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that operators make, as long as they exist."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
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


@contextlib.contextmanager
def _live(device: torch.device) -> Iterator[Any]:
    """Yield an object whose `peak` is, after the block, the most bytes that its tensors used at a time."""
    if device.type != "cuda":
        with _Live() as live:
            yield live
        return
    memory.reset_peak_memory(device)
    before, found = torch.cuda.memory_allocated(device), SimpleNamespace(peak=0)
    yield found
    found.peak = torch.cuda.max_memory_allocated(device) - before
