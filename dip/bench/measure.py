"""The variants of a step that are timed, and the measurements; each is made in the process that calls it.

`plain`, `ours` and `floor` build a variant and return the function that computes one step of it.
"""

from __future__ import annotations

import dataclasses
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dip.configuration.loggers import CSV
from dip.configuration.schema import Config
from dip.hardware import devices
from dip.hardware.precision import Precision
from dip.model.data import draw
from dip.model.optimizers import OPTIMIZERS
from dip.model.speedups import speed_up
from dip.nets import Hourglass
from dip.nets.hourglass import HourglassModule
from dip.seeds import Perturbation
from dip.stopping import STOPS
from dip.z import Z

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclasses.dataclass(frozen=True)
class Problem:
    """One image size and one network."""

    size: int
    channels: int = 128
    skips: tuple[int, ...] = (1, 2, 3, 4, 5)
    depth: int = 5
    device: str = "cpu"
    speedups: tuple[str, ...] = ()
    checkpoint: bool = False
    optimizer: str = "adam"
    perturbation: str = "gaussian"
    ensemble: int = 1  # in `whole_run`; the other variants have one network

    def pair(self) -> tuple[Tensor, Tensor]:
        """z and y of this size."""
        y = torch.rand(1, 3, self.size, self.size, generator=torch.Generator().manual_seed(0))
        return draw(Z(), (self.size, self.size), 0).to(self.device), y.to(self.device)

    def net(self) -> Hourglass:
        """The options of the network."""
        return Hourglass(depth=self.depth, channels=self.channels, checkpoint_activations=self.checkpoint)

    def plain_network(self) -> nn.Module:
        """The network in plain PyTorch, in the default memory layout."""
        return HourglassModule(self.net(), 32, 3, self.skips).to(self.device)


def plain(problem: Problem, precision: str) -> Callable[[], None]:
    """Baseline: the plain network, noise as `randn_like`, Adam with default settings."""
    z, y = problem.pair()
    net = problem.plain_network()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

    def step() -> None:
        loss = functional.mse_loss(net(z + torch.randn_like(z) / 30), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def ours(problem: Problem, precision: str) -> Callable[[], None]:
    """A bare loop over what a run computes: perturbation, network, loss, optimiser, average, without Lightning."""
    devices.keep_memory(not problem.checkpoint)
    dtype = torch.float64 if precision == "fp64" else torch.float32
    z, y = problem.pair()
    z, y = z.to(dtype, memory_format=torch.channels_last), y.to(dtype)
    net = problem.net().build(32, 3, problem.skips).to(problem.device, dtype)
    optimizer = OPTIMIZERS[problem.optimizer]().build(net.parameters(), 0.01)
    perturb, count = Perturbation(1 / 30, 0, distribution=problem.perturbation), 0
    average = torch.zeros_like(y)

    def step() -> None:
        nonlocal count
        count += 1
        enabled = precision in AUTOCAST
        with torch.autocast(z.device.type, AUTOCAST.get(precision, torch.bfloat16), enabled=enabled):
            if count == 1:
                speed_up(nn.ModuleList([net]), z, problem.speedups)
            image = net(perturb(z, count)).to(dtype)
            loss = functional.mse_loss(image, y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        average.lerp_(image.detach(), 0.01)

    return step


def floor(problem: Problem, precision: str) -> Callable[[], None]:
    """Bound of the plain network: its convolutions only, forward and backward, in channels_last."""
    devices.keep_memory()
    dtype = AUTOCAST.get(precision, torch.float32)
    z = problem.pair()[0]
    calls: list[tuple[Tensor, Tensor, int, Tensor]] = []

    def note(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        x, pad = inputs[0], module.kernel_size[0] - 1
        shapes = ((1, x.shape[1], x.shape[2] + pad, x.shape[3] + pad), module.weight.shape, output.shape)
        x, weight, gradient = (
            torch.randn(shape, device=x.device, dtype=dtype).to(memory_format=torch.channels_last)
            for shape in shapes
        )
        x.requires_grad_(inputs[0] is not z)  # the first level and its skip need no gradient of z
        calls.append((x, weight.requires_grad_(), module.stride[0], gradient))

    net = problem.plain_network()
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


def whole_run(problem: Problem, precision: str, steps: int, record_every: int = 50) -> float:
    """Seconds per step of a run with its run folder, after the first record."""
    from dip.fitting.fit import Fit

    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            size=problem.size, skips=list(problem.skips), net=problem.net(), steps=steps, ensemble=problem.ensemble,
            optimizer=OPTIMIZERS[problem.optimizer](), perturbation_distribution=problem.perturbation, record_every=record_every,
            precision=Precision(precision, **dict.fromkeys(problem.speedups, True)), logger=CSV(), device=problem.device, out=folder,
        )  # fmt: skip
        fit = Fit(config, Path(folder), "bench")
        fit.run(progress=False, pictures=False)  # figures and baselines would count as its memory
        return sum(fit.recorder.paces[1:]) / len(fit.recorder.paces[1:])


def timed(step: Callable[[], None], steps: int, device: str) -> float:
    """Seconds per call of `step`, including the work queued on the device."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / steps


VARIANTS = {"plain": plain, "ours": ours, "floor": floor}


def measure(row: str, precision: str, options: dict[str, Any], steps: int, warm_up: int) -> dict[str, float]:
    """Seconds per step of one row, and the peak of its memory in bytes above what was in use before."""
    problem = Problem(**options)
    cuda = problem.device.startswith("cuda")
    if cuda:
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if row == "run":
        # Records are due at steps 1, 10, 20, ... (with many steps, as by default, at 50, 100, ...); the first is the warm-up.
        every = min(50, max(10, steps))
        seconds = whole_run(problem, precision, every + max(every, steps // every * every), every)
    else:
        step = VARIANTS[row](problem, precision)
        timed(step, warm_up, problem.device)
        seconds = timed(step, steps, problem.device)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    memory = torch.cuda.max_memory_allocated(problem.device) if cuda else used
    return {"seconds": seconds, "memory": memory}


def overhead(options: dict[str, Any], precision: str, steps: int, repeats: int) -> dict[str, Any]:
    """Seconds per step of a whole run and of the bare loop of the same computation, alternating in one process."""
    problem = Problem(**options)
    step = ours(problem, precision)
    timed(step, 3, problem.device)
    pairs = [
        (timed(step, steps, problem.device), whole_run(problem, precision, 50 + steps))
        for _ in range(repeats)
    ]
    bare, run = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    return {"bare": bare, "run": run, "ratio": statistics.median(run / bare for bare, run in pairs)}


def rules(options: dict[str, Any], precision: str, steps: int) -> dict[str, float]:
    """Median seconds of an update of each stopping rule, by name, and of a step as "step", alternating in one process."""
    problem = Problem(**options)
    step = ours(problem, precision)
    timed(step, 3, problem.device)
    _, y = problem.pair()
    loss, count = torch.ones((), device=problem.device), 0
    found: dict[str, list[float]] = {"step": []}
    started = {
        name: stop().start(y, 0) for name, stop in STOPS.items() if name not in ("auto", "never", "compare")
    }
    for _ in range(5):
        found["step"].append(timed(step, max(steps // 10, 1), problem.device))
        for name, rule in started.items():
            assert rule is not None

            def update(rule: Any = rule) -> None:
                nonlocal count
                count += 1
                rule.update(count, y, y, y, loss)

            timed(update, 110, problem.device)  # fills the longest window
            found.setdefault(name, []).append(timed(update, steps, problem.device))
    return {name: statistics.median(seconds) for name, seconds in found.items()}
