"""Rules that watch the variance of the outputs: Wang et al., "Early stopping for deep image prior", TMLR 2023.

While the network fits the image, outputs change because they improve; later they change because they overfit the
noise. In between they change least, so the variance of recent outputs has its minimum near the best image.

The paper keeps the output at the minimum. Here an average of outputs is kept, which removes the scatter caused by the
perturbed input (1 to 2 dB). The average that is centred on the minimum is that of `LAG` steps later; this choice gained
0.1, 0.6 and 1.8 dB on three noisy photographs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dip.options import integer, number, option
from dip.stopping.registry import Stop
from dip.stopping.rule import Rule, sample, values_at

if TYPE_CHECKING:
    from torch import Tensor

LAG = 100  # steps that an average with decay 0.99 looks back


@dataclass
class WMV(Stop):
    """Stops at the minimum of the outputs' windowed moving variance (Wang et al., TMLR 2023, ES-WMV)."""

    name: str = "wmv"
    window: int = option(100, "number of the last outputs whose variance is watched", integer(2), "100")
    watches_variance = True
    comparable = True

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        first = warm_up + self.window if warm_up else 1  # no output of the warm-up is left in the window
        return WindowedVariance(self.window, self.patience, seed, first)


@dataclass
class EMV(Stop):
    """Stops at the minimum of the outputs' exponential moving variance (Wang et al., TMLR 2023, ES-EMV)."""

    name: str = "emv"
    alpha: float = option(0.1, "weight of the newest output in the moving variance", number("(0, 1)"), "0.1")
    start_step: int = option(
        100, "first step whose variance counts; the initialisation dominates earlier ones", integer(1), "100"
    )
    watches_variance = True
    comparable = True

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        settling = math.ceil(3 / self.alpha)  # outputs until those of the warm-up weigh a twentieth
        first = max(self.start_step, warm_up + settling if warm_up else 1)
        return ExponentialVariance(self.alpha, self.patience, first, seed)


class _Variance(Rule):
    """Watches the variance of a sample of the values of an image; variances count from output `first` on."""

    positions: Tensor  # (n,)

    def __init__(self, patience: int, seed: int, first: int) -> None:
        super().__init__(patience, LAG)
        self.seed, self.first = seed, first

    def sampled(self, image: Tensor) -> Tensor:
        """The values of `image` (1, C, H, W) at the watched positions, (n,) float32."""
        if self.seen == 0:
            self.positions = sample(image.numel(), self.seed).to(image.device)
        return values_at(image, self.positions).float()


class WindowedVariance(_Variance):
    """Windowed moving variance: mean over pixels of the variance of the last `window` outputs.

    Stores `window` x 16,384 numbers (6.5 MB at 100). A step costs a few passes over the sampled values and not over the
    window: sums of deviations are updated, and recomputed from the window every `window` steps. Deviations are taken
    from the window's mean at the last recomputation. The sums are then about as small as the variance itself, and no
    digits cancel.

    One criterion is not in the paper. The very first outputs are nearly flat and vary little; this early minimum ended
    some fits 7 dB below their best. The outputs still drift there: the two halves of the window have different means.
    Therefore a variance counts only if that difference is less than a tenth of it, and from output `first` on.
    """

    saved = ("positions", "ring", "centre", "deviation", "recent", "energy", "settled")
    ring: Tensor  # (window, n), the last outputs, the oldest at seen % window
    centre: Tensor  # (n,); this and the next ones exist once the window is full
    deviation: Tensor  # (n,), sum over the window of x - centre
    recent: Tensor  # (n,), the same over the newer half
    energy: Tensor  # (), sum over the window of mean (x - centre)^2
    settled: Tensor  # () bool

    def __init__(self, window: int, patience: int, seed: int, first: int = 1) -> None:
        super().__init__(patience, seed, first)
        self.window, self.half = window, window // 2
        # Scatter alone gives 1 / window on average; the limit is 0.1 at the default window of 100.
        self.drift_limit = 0.08 + 2 / window

    def watch(self, observed: Tensor, image: Tensor, finite: Tensor) -> Tensor | None:
        import torch

        values = self.sampled(image)  # (n,)
        if self.seen == 0:
            self.ring = values.new_zeros(self.window, len(values))
        slot = self.seen % self.window
        oldest = self.ring[slot]  # (n,), a view: read before it is overwritten
        newest = torch.where(finite, values, oldest)
        if slot == self.window - 1:
            oldest.copy_(newest)
            self._recompute()
        elif self.seen < self.window:  # the window is not full
            oldest.copy_(newest)
            return None
        else:
            change = newest - oldest
            # (a - c)^2 - (b - c)^2 = (a - b) ((a - b) + 2 (b - c))
            self.energy += (change * (change + 2 * (oldest - self.centre))).mean()
            self.deviation += change
            self.recent += newest - self.ring[(self.seen - self.half) % self.window]
            oldest.copy_(newest)
        return self._variance()

    def score(self, value: Tensor) -> Tensor:
        import torch

        return torch.where(self.settled & (self.seen >= self.first), value, math.inf)

    def _recompute(self) -> None:
        """Computes all sums anew, at a step at which the outputs stand in the ring in their order."""
        self.centre = self.ring.mean(0)
        away = self.ring - self.centre  # (window, n)
        self.deviation = away.sum(0)
        self.recent = away[self.window - self.half :].sum(0)
        self.energy = away.square_().mean(1).sum()

    def _variance(self) -> Tensor:
        old = self.window - self.half
        variance = self.energy / self.window - (self.deviation / self.window).square().mean()
        drift = self.recent / self.half - (self.deviation - self.recent) / old  # (n,)
        between = drift.square().mean() * (self.half * old / self.window**2)
        self.settled = between <= self.drift_limit * variance
        return variance.clamp_min(0)


class ExponentialVariance(_Variance):
    """Exponential moving variance: the same idea with constant memory.

    d = x - m;  m += alpha d;  v = (1 - alpha) (v + alpha mean d^2), from m = the first output and v = 0.
    """

    saved = ("positions", "mean", "variance")
    mean: Tensor  # (n,)
    variance: Tensor  # ()

    def __init__(self, alpha: float, patience: int, first: int, seed: int) -> None:
        super().__init__(patience, seed, first)
        self.alpha = alpha

    def watch(self, observed: Tensor, image: Tensor, finite: Tensor) -> Tensor | None:
        import torch

        output = self.sampled(image)  # (n,)
        if self.seen == 0:
            self.mean, self.variance = output.nan_to_num(), output.new_zeros(())
        step = torch.where(finite, output - self.mean, 0.0)
        self.variance = (1 - self.alpha) * (self.variance + self.alpha * step.square().mean())
        self.mean = self.mean + self.alpha * step
        return self.variance if self.seen + 1 >= self.first else None
