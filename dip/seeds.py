"""The random numbers of a run, each a function of the run's seed and a purpose.

Nothing here uses a global generator, so a run does not depend on what ran before it in the process. The noise of step
5,000 does not depend on the steps before, so a resumed run is exact.
"""

import hashlib
import math
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose (such as `"z"`, or `"perturbation", step`) of the run with seed `seed`.

    It is a SHA-256 hash, because PyTorch's CPU generator uses only the low 32 bits of its seed.
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A new generator on `device` for one purpose of the run with seed `seed`."""
    return torch.Generator(device).manual_seed(derive(seed, *purpose))


class Draws(TorchFunctionMode):
    """Context manager in which torch's initialisers and random functions draw from `generator`, in this thread only.

    The layers of `torch.nn` initialise themselves from the global generator, which belongs to the caller. The numbers
    are those of a global generator in the same state.
    """

    NAMES = frozenset(
        [
            "bernoulli", "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "multinomial", "normal",
            "normal_", "poisson", "rand", "randint", "randn", "random_", "randperm", "uniform_",
            "kaiming_normal_", "kaiming_uniform_", "orthogonal_", "sparse_", "trunc_normal_", "xavier_normal_",
            "xavier_uniform_",
        ]
    )  # fmt: skip
    """The functions of torch, of tensors and of `torch.nn.init` that take a `generator`."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called for each function of torch in the block."""
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") in self.NAMES and kwargs.get("generator") is None:
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)


class Perturbation:
    """Adds noise to z at each step, a pure function of (seed, step) and of the kind of device.

    On CUDA the numbers depend on the number of multiprocessors too, since torch divides the sequence among them. A run
    that is resumed on another model of GPU draws other noise: its result is as good, but not the same to the bit.

    The original paper's noise-based regularisation (Ulyanov et al., 2018, section "Denoising" of the supplement).

    Args:
        sigma: standard deviation.
        seed: of the noise.
        warm_up: steps over which the standard deviation grows linearly from 0 to `sigma`. Without noise a fit converges
            faster; noise regularises it, which matters only later.
        half_life: steps in which the standard deviation then halves, repeatedly; 0 keeps it constant.
        distribution: gaussian, or uniform on 256 values between -sqrt(3) sigma and sqrt(3) sigma, which takes 1.2 ms
            instead of 6.1 ms for 2 million numbers on a CPU. Convolutions sum hundreds of them, so the
            distribution has no effect on the network.
    """

    def __init__(
        self, sigma: float, seed: int, warm_up: int = 0, half_life: int = 0, distribution: str = "gaussian"
    ) -> None:
        self.sigma, self.seed, self.warm_up, self.half_life = sigma, seed, warm_up, half_life
        self._draw = _gaussian if distribution == "gaussian" else _uniform

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers."""
        return self.sigma != 0

    def __call__(self, z: Tensor, step: int) -> Tensor:
        """`z` (1, C, H, W), float32 or float64, plus the noise of step `step` (from 1), channels_last."""
        if self.sigma == 0:
            return z
        batch, channels, height, width = z.shape
        # Drawn contiguously and viewed as channels_last: drawing into a strided tensor is 10 x slower.
        # In float32 at every precision, so that two runs that differ in precision have the same noise.
        shape = (batch, height, width, channels)
        noise, deviation = self._draw(shape, generator(self.seed, "perturbation", step, device=z.device))
        # The sum converts the noise to the number format of z, which saves a pass over memory.
        return torch.add(z, noise.permute(0, 3, 1, 2), alpha=self.at(step) / deviation)  # (1, C, H, W)

    def at(self, step: int) -> float:
        """The standard deviation at `step`, from 1."""
        if step <= self.warm_up:
            return self.sigma * step / self.warm_up
        return self.sigma * 0.5 ** ((step - self.warm_up) / self.half_life) if self.half_life else self.sigma


def _gaussian(shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, float]:
    return torch.randn(shape, dtype=torch.float32, device=generator.device, generator=generator), 1.0


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, float]:
    """Signed bytes, eight per random integer. Normalisation removes their mean, -1/2 (0.007 standard deviations)."""
    count = math.prod(shape)
    words = torch.empty(-(-count // 8), dtype=torch.int64, device=generator.device)
    noise = words.random_(-(2**63), None, generator=generator).view(torch.int8)[:count].view(shape)
    return noise, ((256**2 - 1) / 12) ** 0.5
