"""Rules that watch how much the outputs move: Wang et al., "Early stopping for deep image prior", TMLR 2023.

While the image is being fitted, outputs change because they improve; later, because they take in noise. In
between they hardly change, so the variance of recent outputs has its minimum near the best image.

The paper keeps the output at the minimum. Here an average is kept: one output carries the scatter of the
perturbed input, which the average removes (1 to 2 dB). An average looks back, so the one around the minimum
is that of a hundred steps later; on three noisy photos that was worth 0.1, 0.6 and 1.8 dB.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dip.stopping.rule import Rule, sample

LAG = 100  # steps that an average with decay 0.99 looks back


class WindowedVariance(Rule):
    """Windowed moving variance: mean over pixels of the variance of the last `window` outputs.

    Keeps `window` x 16,384 numbers (6.5 MB at 100). A step costs a few passes over the sampled values, not
    over the window: sums of deviations are carried along, and recomputed from the window every `window`
    steps. Deviations are taken from the window's mean at the last recomputation, so that the sums are about
    as small as the variance itself and nothing cancels.

    One thing is not in the paper. Very first outputs are nearly flat and vary little, an early dip that ended
    some fits 7 dB below their best. There the outputs still drift: the two halves of the window have
    different means. So a variance counts only if that difference makes up less than a tenth of it, and from output
    `first` on.
    """

    saved = ("positions", "ring", "centre", "deviation", "recent", "energy", "settled")

    def __init__(self, window: int, patience: int, seed: int, first: int = 1) -> None:
        super().__init__(patience, LAG)
        self.window, self.half, self.seed, self.first = window, window // 2, seed, first
        # Outputs that only scatter give 1 / window on average; 0.1 at the usual window of 100.
        self.drift_limit = 0.08 + 2 / window
        self.positions: Tensor | None = None  # (n,)
        self.ring: Tensor | None = None  # (window, n), the last outputs, the oldest at seen % window
        self.centre: Tensor | None = None  # (n,)
        self.deviation: Tensor | None = None  # (n,), sum over the window of x - centre
        self.recent: Tensor | None = None  # (n,), the same over the newer half
        self.energy: Tensor | None = None  # (), sum over the window of mean (x - centre)^2
        self.settled: Tensor | None = None  # () bool

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
            self._recompute(self.ring)
        elif self.centre is not None:
            assert self.deviation is not None
            assert self.recent is not None
            assert self.energy is not None
            change = newest - oldest
            # (a - c)^2 - (b - c)^2 = (a - b) ((a - b) + 2 (b - c))
            self.energy += (change * (change + 2 * (oldest - self.centre))).mean()
            self.deviation += change
            self.recent += newest - self.ring[(self.seen - self.half) % self.window]
            oldest.copy_(newest)
        else:
            oldest.copy_(newest)
            return None
        return self._variance()

    def score(self, value: Tensor) -> Tensor:
        assert self.settled is not None
        early = self.seen < self.first
        return torch.full_like(value, math.inf) if early else torch.where(self.settled, value, math.inf)

    def _recompute(self, ring: Tensor) -> None:
        """All sums afresh, when the outputs stand in the ring in their order."""
        self.centre = ring.mean(0)
        away = ring - self.centre  # (window, n)
        self.deviation = away.sum(0)
        self.recent = away[self.window - self.half :].sum(0)
        self.energy = away.square_().mean(1).sum()

    def _variance(self) -> Tensor:
        assert self.deviation is not None
        assert self.recent is not None
        assert self.energy is not None
        old = self.window - self.half
        variance = self.energy / self.window - (self.deviation / self.window).square().mean()
        drift = self.recent / self.half - (self.deviation - self.recent) / old  # (n,)
        between = drift.square().mean() * (self.half * old / self.window**2)
        self.settled = between <= self.drift_limit * variance
        return variance.clamp_min(0)


class ExponentialVariance(Rule):
    """Exponential moving variance: the same idea with constant memory.

    d = x - m;  m += alpha d;  v = (1 - alpha) (v + alpha mean d^2), from m = the first output and v = 0. It counts from
    output `first` on.
    """

    saved = ("positions", "mean", "variance")

    def __init__(self, alpha: float, patience: int, first: int, seed: int) -> None:
        super().__init__(patience, LAG)
        self.alpha, self.first, self.seed = alpha, first, seed
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
        return self.variance if self.seen + 1 >= self.first else None
