"""Rules that compare the average with the target: at pixels that the fit never saw, or with the noise level.

Both watch the average of what the outputs look like when observed, not one observed output: the average is
what will be kept, and it is free of the scatter that the perturbed input causes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dip.stopping.noise_level import clipped_variance, local_mean, noise_level, unclipped
from dip.stopping.rule import Rule, sample

DECAY = 0.99  # of the average of the observed outputs: the restored image's usual one


class _AverageError(Rule):
    """Mean squared error against the target, at fixed positions, of the average of the observed outputs."""

    saved = ("mean",)

    def __init__(self, patience: int, target: Tensor, positions: Tensor) -> None:
        super().__init__(patience)
        self.positions = positions.to(target.device)  # (n,), into the flattened target
        self.truth = target.detach().take(self.positions).float()  # (n,)
        self.mean: Tensor | None = None  # (n,)

    def watch(self, observed: Tensor, image: Tensor, fine: Tensor) -> Tensor:
        output = observed.take(self.positions).float()  # (n,)
        if self.mean is None:
            self.mean = output.nan_to_num()
        # The plain mean of all outputs as long as there are few, so that the first one does not linger.
        weight = max(1 - DECAY, 1 / (self.seen + 1))
        self.mean = torch.where(fine, self.mean.lerp(output, weight), self.mean)
        return (self.mean - self.truth).square().mean()


class HeldOutError(_AverageError):
    """Leaves a `fraction` of the target's known pixels out of the loss, and watches the error there.

    A pixel is left out with all its channels. For noise of mean 0 that is independent between pixels this
    error is, on average, the restored image's own squared error plus the noise variance: both have their
    minimum at the same step. The price is the pixels that the fit misses.
    """

    def __init__(
        self, target: Tensor, fraction: float, patience: int, seed: int, known: Tensor | None = None
    ) -> None:
        _, channels, height, width = target.shape
        pixels = torch.arange(height * width) if known is None else known.cpu().flatten().nonzero().flatten()
        count = min(max(1, round(fraction * len(pixels))), len(pixels) - 1)
        held = pixels[sample(len(pixels), seed, limit=count)]  # (m,)
        positions = (held + torch.arange(channels)[:, None] * height * width).flatten()  # (C m,)
        super().__init__(patience, target, positions)
        mask = torch.ones(height * width)
        mask[held] = 0
        # Mean 1: the loss keeps its scale, and with it the learning rate its meaning.
        self.loss_mask = (mask / mask.mean()).view(1, 1, height, width).to(target)


class NoiseReached(_AverageError):
    """Stops as soon as the average is as close to the target as the noise is, and keeps that average.

    The discrepancy principle (Morozov, 1966). Noise that was clipped to [0, 1] is weaker than `sigma`, so
    only pixels away from 0 and 1 are compared, and the level is what clipping leaves of the variance there.
    """

    def __init__(self, target: Tensor, sigma: float | None, seed: int, known: Tensor | None = None) -> None:
        self.sigma = noise_level(target, known) if sigma is None else sigma
        around = local_mean(target)
        usable = unclipped(around, self.sigma, known).flatten().nonzero().flatten().cpu()  # positions
        super().__init__(1, target, usable[sample(len(usable), seed)])
        self.level = float(clipped_variance(around.take(self.positions), self.sigma).mean())

    def improves(self, step: int, score: Tensor) -> Tensor:
        # Every average is better than the one before, until the level is reached: then the choice is made.
        assert self.best is not None
        return self.best > self.level

    def over(self, best: float, best_step: int) -> bool:
        return best <= self.level
