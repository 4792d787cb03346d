"""Every random draw of a run, as a function of its seed and what it is for.

Nothing here reads or moves a global generator, so a run does not depend on what ran before it in the process, and
the draws of step 5,000 can be made without those of the 4,999 steps before: this is what makes resuming exact.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose (such as `"z"`, or `"perturbation", step`) of the run with seed `seed`.

    PyTorch's CPU generator looks at the low 32 bits of its seed only, so the bits must be well mixed: SHA-256.
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator on `device` for one purpose of the run with seed `seed`."""
    made = torch.Generator(device)
    made.manual_seed(derive(seed, *purpose))
    return made


class Perturbation:
    """Fresh noise on z at each step, a pure function of (seed, step).

    The original paper's noise-based regularisation (Ulyanov et al., 2018, section "Denoising" of the supplement).

    Args:
        sigma: standard deviation.
        seed: of the draws.
        warm_up: steps over which the standard deviation grows from 0 to `sigma`. Without noise a fit finds the image
            sooner, with noise it keeps out what is not the image: it need not have it before there is much to keep.
        half_life: steps in which it then shrinks to its half, again and again; 0 keeps it.
        distribution: gaussian, or uniform between -sigma and sigma times the root of 3, in 256 steps: 1.2 ms instead of 6.1
            for 2 million numbers on a CPU, and the same to the network, whose convolutions add up hundreds of them.
    """

    def __init__(
        self,
        sigma: float,
        seed: int,
        warm_up: int = 0,
        half_life: int = 0,
        distribution: str = "gaussian",
    ) -> None:
        self.sigma, self.seed, self.warm_up, self.half_life = sigma, seed, warm_up, half_life
        self._draw = _gaussian if distribution == "gaussian" else _uniform
        self._generator: torch.Generator | None = None

    def __call__(self, z: Tensor, step: int) -> Tensor:
        """`z` (1, C, H, W), float32 or float64, with the noise of step `step` (from 1), channels last."""
        if self.sigma == 0:
            return z
        if self._generator is None or self._generator.device != z.device:
            self._generator = torch.Generator(z.device)
        self._generator.manual_seed(derive(self.seed, "perturbation", step))
        batch, channels, height, width = z.shape
        # Drawn in one contiguous piece and seen as channels_last: drawing into a strided tensor is 10 x slower.
        # In float32 at every precision, so that the precision is all that differs between two runs.
        noise, deviation = self._draw((batch, height, width, channels), self._generator)  # (1, H, W, C)
        # Numbers of either type are of z's in the sum, and not before: a pass less over memory.
        return torch.add(z, noise.permute(0, 3, 1, 2), alpha=self.at(step) / deviation)  # (1, C, H, W)

    def at(self, step: int) -> float:
        """Its standard deviation at `step`, from 1."""
        if step <= self.warm_up:
            return self.sigma * step / self.warm_up
        return self.sigma * 0.5 ** ((step - self.warm_up) / self.half_life) if self.half_life else self.sigma


def _gaussian(shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, float]:
    return torch.randn(shape, dtype=torch.float32, device=generator.device, generator=generator), 1.0


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, float]:
    """Signed bytes, eight to a draw. Their mean is -1/2, 0.007 of their deviation: a constant, which normalisation takes away."""
    count = math.prod(shape)
    words = torch.empty(-(-count // 8), dtype=torch.int64, device=generator.device)
    noise = words.random_(-(2**63), None, generator=generator).view(torch.int8)[:count].view(shape)
    return noise, ((256**2 - 1) / 12) ** 0.5
