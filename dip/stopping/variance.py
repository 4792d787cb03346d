"""Rules that watch how much the outputs move: Wang et al., "Early stopping for deep image prior", TMLR 2023.

While the image is being fitted, outputs change because they improve; later, because they take in noise. In
between they hardly change, so the variance of recent outputs has its minimum near the best image.

The paper keeps one output. Here the average at that step is kept: one output carries the scatter of the perturbed
input, which the average removes (about 1 dB), and like the window, the average looks back about a hundred steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dip.stopping.rule import Rule, sample


class WindowedVariance(Rule):
    """Windowed moving variance: mean over pixels of the variance of the last `window` outputs (section 2.2, WMV).

    Keeps `window` x 16,384 numbers (6.5 MB at 100). A step costs one pass over the sampled values, not over the window: sums of
    deviations are carried along, and recomputed from the window every `window` steps. Deviations are taken from the
    window's mean at the last recomputation, so both sums are as small as the variance itself and nothing cancels.
    """

    saved = ("positions", "ring", "centre", "deviation", "energy")

    def __init__(self, window: int, patience: int, seed: int) -> None:
        super().__init__(patience)
        self.window, self.seed = window, seed
        self.positions: Tensor | None = None  # (n,)
        self.ring: Tensor | None = None  # (window, n), the last outputs, the oldest at seen % window
        self.centre: Tensor | None = None  # (n,)
        self.deviation: Tensor | None = None  # (n,), sum over the window of x - centre
        self.energy: Tensor | None = None  # (), sum over the window of mean (x - centre)^2

    def watch(self, observed: Tensor, image: Tensor, fine: Tensor) -> Tensor | None:
        if self.positions is None:
            self.positions = sample(image.numel(), self.seed).to(image.device)
            self.ring = image.new_zeros(self.window, len(self.positions), dtype=torch.float32)
        assert self.ring is not None
        slot = self.seen % self.window
        oldest = self.ring[slot]  # (n,), a view: read before it is overwritten
        newest = torch.where(fine, image.take(self.positions).float(), oldest)
        if slot == self.window - 1:
            oldest.copy_(newest)
            self.centre = self.ring.mean(0)
            away = self.ring - self.centre  # (window, n)
            self.deviation = away.sum(0)
            self.energy = away.square_().mean(1).sum()
        elif self.centre is not None:
            assert self.deviation is not None and self.energy is not None
            change = newest - oldest
            # (a - c)^2 - (b - c)^2 = (a - b) ((a - b) + 2 (b - c))
            self.energy = self.energy + (change * (change + 2 * (oldest - self.centre))).mean()
            self.deviation += change
            oldest.copy_(newest)
        else:
            oldest.copy_(newest)
            return None
        shift = self.deviation / self.window
        return (self.energy / self.window - shift.square().mean()).clamp_min(0)


class ExponentialVariance(Rule):
    """Exponential moving variance (section 2.3, EMV): the same idea with constant memory.

    d = x - m;  m += alpha d;  v = (1 - alpha) (v + alpha mean d^2), from m = the first output and v = 0.
    """

    saved = ("positions", "mean", "variance")

    def __init__(self, alpha: float, patience: int, start_step: int, seed: int) -> None:
        super().__init__(patience)
        self.alpha, self.start_step, self.seed = alpha, start_step, seed
        self.positions: Tensor | None = None  # (n,)
        self.mean: Tensor | None = None  # (n,)
        self.variance: Tensor | None = None  # ()

    def watch(self, observed: Tensor, image: Tensor, fine: Tensor) -> Tensor | None:
        if self.positions is None:
            self.positions = sample(image.numel(), self.seed).to(image.device)
        output = image.take(self.positions).float()  # (n,)
        if self.mean is None or self.variance is None:
            self.mean = output.nan_to_num()
            self.variance = torch.zeros((), device=image.device)
        step = torch.where(fine, output - self.mean, 0.0)
        self.variance = (1 - self.alpha) * (self.variance + self.alpha * step.square().mean())
        self.mean = self.mean + self.alpha * step
        return self.variance if self.seen + 1 >= self.start_step else None
