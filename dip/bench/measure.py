"""The variants of a step that are timed, and the measurements; each is made in the process that calls it.

`plain`, `ours` and `floor` build a variant and return the function that computes one step of it.
"""

import dataclasses
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from dip.configuration.schema import Config
from dip.hardware import memory
from dip.model.data import draw
from dip.model.speedups import speed_up
from dip.nets import Hourglass
from dip.nets.hourglass import HourglassModule
from dip.seeds import Perturbation

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pair(config: Config) -> tuple[Tensor, Tensor]:
    """z and y of `config`, whose size is one number."""
    y = torch.rand(1, 3, config.size, config.size, generator=torch.Generator().manual_seed(0))
    return draw(config.z, (config.size, config.size), 0).to(config.device), y.to(config.device)


def plain_network(config: Config) -> nn.Module:
    """The network of `config` in plain PyTorch, in the default memory layout."""
    assert isinstance(config.net, Hourglass)
    return HourglassModule(config.net, config.z.channels, 3, config.skips).to(config.device)


def plain(config: Config) -> Callable[[], None]:
    """Baseline: the plain network, noise as `randn_like`, Adam with default settings."""
    z, y = pair(config)
    net = plain_network(config)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

    def step() -> None:
        loss = functional.mse_loss(net(z + torch.randn_like(z) / 30), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def ours(config: Config) -> Callable[[], None]:
    """A bare loop over what a run computes: perturbation, network, loss, optimiser, average, without Lightning."""
    if not getattr(config.net, "checkpoint_activations", False):
        memory.keep_memory()
    dtype = torch.float64 if config.precision.name == "fp64" else torch.float32
    autocast = AUTOCAST.get(config.precision.name)
    z, y = pair(config)
    z, y = z.to(dtype, memory_format=torch.channels_last), y.to(dtype)
    net = config.net.build(config.z.channels, 3, config.skips).to(config.device, dtype)
    optimizer = config.optimizer.build(net.parameters(), config.lr)
    perturb, count = Perturbation(config.perturbation, 0, distribution=config.perturbation_distribution), 0
    average = torch.zeros_like(y)

    def step() -> None:
        nonlocal count
        count += 1
        with torch.autocast(z.device.type, autocast or torch.bfloat16, enabled=autocast is not None):
            if count == 1:
                speed_up(nn.ModuleList([net]), z, config.precision.speedups(z.device.type))
            image = net(perturb(z, count)).to(dtype)
            loss = functional.mse_loss(image, y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        average.lerp_(image.detach(), 0.01)

    return step


def floor(config: Config) -> Callable[[], None]:
    """Bound of the plain network: its convolutions only, forward and backward, in channels_last."""
    memory.keep_memory()
    dtype = AUTOCAST.get(config.precision.name, torch.float32)
    z, _ = pair(config)
    calls: list[tuple[Tensor, Tensor, int, Tensor]] = []

    def note(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        x, pad = inputs[0], module.kernel_size[0] - 1
        shapes = ((1, x.shape[1], x.shape[2] + pad, x.shape[3] + pad), module.weight.shape, output.shape)
        x, weight, gradient = (
            torch.randn(shape, device=x.device, dtype=dtype).to(memory_format=torch.channels_last) for shape in shapes
        )
        x.requires_grad_(inputs[0] is not z)  # the first level and its skip need no gradient of z
        calls.append((x, weight.requires_grad_(), module.stride[0], gradient))

    net = plain_network(config)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(note)
    with torch.no_grad():
        net(z)

    def step() -> None:
        for x, weight, stride, gradient in calls:
            inputs = [t for t in (x, weight) if t.requires_grad]
            torch.autograd.grad(functional.conv2d(x, weight, stride=stride), inputs, gradient)

    return step


def whole_run(config: Config, steps: int, record_every: int = 50) -> float:
    """Seconds per step of a run with its run folder, after the first record."""
    from dip.fitting.fit import Fit

    with tempfile.TemporaryDirectory() as folder:
        config = dataclasses.replace(config, steps=steps, record_every=record_every, out=folder)
        fit = Fit(config, Path(folder), "bench", with_images=False)  # they and baselines would count as its memory
        fit.run(progress=False)
        return sum(fit.recorder.paces) / len(fit.recorder.paces)


def timed(step: Callable[[], None], steps: int, device: str) -> float:
    """Seconds per call of `step`, including the work queued on the device."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / steps


def measure(row: str, config: Config, steps: int) -> dict[str, float]:
    """Seconds per step of one row, and the peak of its memory in bytes above what was in use before."""
    cuda = config.device.startswith("cuda")
    if cuda:
        torch.backends.cudnn.allow_tf32 = config.precision.name == "tf32"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if row == "run":
        # Records are due at steps 1, 10, 20, ... (with many steps, as by default, at 50, 100, ...); the first is the
        # warm-up.
        every = min(50, max(10, steps))
        seconds = whole_run(config, every + max(every, steps // every * every), every)
    else:
        step = {"plain": plain, "ours": ours, "floor": floor}[row](config)
        timed(step, 2, config.device)  # warm-up
        seconds = timed(step, steps, config.device)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    memory = torch.cuda.max_memory_allocated(config.device) if cuda else used
    return {"seconds": seconds, "memory": memory}
