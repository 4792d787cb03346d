"""What is timed: each function builds one variant and returns the call that makes one step of it."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from dip.bench.plain import plain_network
from dip.configuration.loggers import CSV
from dip.configuration.schema import Config
from dip.hardware import memory
from dip.hardware.precision import Precision
from dip.model import optimizers
from dip.model.data import draw
from dip.model.speedups import speed_up
from dip.nets import Hourglass
from dip.seeds import Perturbation
from dip.z import Z

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclasses.dataclass(frozen=True)
class Problem:
    """One size of image and network."""

    size: int
    channels: int = 128
    skips: tuple[int, ...] = (1, 2, 3, 4, 5)
    depth: int = 5
    device: str = "cpu"
    speedups: tuple[str, ...] = ()
    checkpoint: bool = False
    optimizer: str = "adam"
    perturbation: str = "gaussian"
    ensemble: int = 1  # of a run; all else has one network

    def pair(self) -> tuple[Tensor, Tensor]:
        """z and y of this size."""
        y = torch.rand(1, 3, self.size, self.size, generator=torch.Generator().manual_seed(0))
        return draw(Z(), (self.size, self.size), 0).to(self.device), y.to(self.device)

    def net(self) -> Hourglass:
        """Options of our network."""
        return Hourglass(depth=self.depth, channels=self.channels, checkpoint_activations=self.checkpoint)


def plain(problem: Problem, precision: str) -> Callable[[], None]:
    """Baseline: the obvious network in the default memory layout, noise as `randn_like`, Adam as it comes."""
    z, y = problem.pair()
    net = plain_network(32, problem.channels, problem.depth, problem.skips).to(problem.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

    def step() -> None:
        loss = functional.mse_loss(net(z + torch.randn_like(z) / 30), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def ours(problem: Problem, precision: str) -> Callable[[], None]:
    """A bare loop over what a run computes: perturbation, network, loss, optimiser, average. No framework."""
    memory.keep_memory(not problem.checkpoint)
    z, y = problem.pair()
    net = problem.net().build(32, 3, problem.skips).to(problem.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    dtype = torch.float64 if precision == "fp64" else torch.float32
    net, z, y = net.to(dtype), z.to(dtype, memory_format=torch.channels_last), y.to(dtype)
    optimizer = optimizers.make(problem.optimizer, net.parameters(), 0.01)
    perturb, count = Perturbation(1 / 30, 0, distribution=problem.perturbation), 0
    average = torch.zeros_like(y)

    def step() -> None:
        nonlocal count
        count += 1
        with torch.autocast(
            z.device.type, AUTOCAST.get(precision, torch.bfloat16), enabled=precision in AUTOCAST
        ):
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
    """The limit of the plain network: its convolutions alone, forward and backward, in the faster layout."""
    memory.keep_memory()
    dtype = AUTOCAST.get(precision, torch.float32)
    calls: list[tuple[Tensor, Tensor, int, Tensor]] = []

    def note(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        x, pad = inputs[0], module.kernel_size[0] - 1
        shape = (1, x.shape[1], x.shape[2] + pad, x.shape[3] + pad)
        made = [
            torch.randn(s, device=x.device, dtype=dtype) for s in (shape, module.weight.shape, output.shape)
        ]
        x, weight, gradient = (t.to(memory_format=torch.channels_last) for t in made)
        # z, which the first level and its skip take, needs no gradient.
        calls.append(
            (x.requires_grad_(inputs[0] is not z), weight.requires_grad_(), module.stride[0], gradient)
        )

    z = problem.pair()[0]
    net = plain_network(32, problem.channels, problem.depth, problem.skips).to(problem.device)
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
    """Seconds per step of a real run in a run folder of its own, after its first records."""
    from dip.fitting.fit import Fit

    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            size=problem.size, skips=list(problem.skips), net=problem.net(), steps=steps, optimizer=problem.optimizer, ensemble=problem.ensemble,
            perturbation_distribution=problem.perturbation, record_every=record_every,
            precision=Precision(precision, **dict.fromkeys(problem.speedups, True)), logger=CSV(), device=problem.device, out=folder,
        )  # fmt: skip
        fit = Fit(config, Path(folder), "bench")
        fit.run(progress=False, pictures=False)  # figures and baselines would count as its memory
        return sum(fit.recorder.paces[1:]) / len(fit.recorder.paces[1:])


def timed(step: Callable[[], None], steps: int, device: str) -> float:
    """Seconds per call of `step`, the device's queue included."""
    began = time.perf_counter()
    for _ in range(steps):
        step()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / steps
