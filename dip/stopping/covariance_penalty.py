"""Early stopping for correlated noise: minimise an estimate of the squared error with a covariance penalty.

For any estimate f of x from y = x + n, the squared error is, up to a constant (Efron, "The estimation of prediction
error: covariance penalties and cross-validation", JASA 2004),

    E |f - x|^2 = E |y - f|^2 + 2 cov(n, f) - E |n|^2.

This does not assume independent noise. The covariance is measured in the flattest patches. There y and f are a plane
plus noise, so k = <y, f> / <y, y>, computed without the planes, is the fraction of the noise that f contains. The rule
minimises the mean of |y - f|^2 + 2 k s^2, where f is the average of the outputs and s^2 the noise variance.

The average still contains the fraction k of the noise. `dip.noise.finishing` removes part of it in the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dip.options import flag, integer, log, number, option
from dip.stopping.registry import Stop
from dip.stopping.rule import INVISIBLE, Rule

if TYPE_CHECKING:
    from torch import Tensor

EVERY = 10
"""Steps between two readings."""

FIRST = 100
"""Step of the first reading of an image with a side of SMALL pixels. It is proportional to the side, since the fit of a
large image converges later, but at most LATEST. At any size the average of step FIRST decides which patches are flat:
later averages contain more noise."""

SMALL = 128

LATEST = 200
"""On two of 13 photographs of 256 x 256 pixels, readings from step 100 on had an early minimum, 1.6 dB below the best."""

PATIENCE = 200
"""Default patience in steps. The estimate may have a second, lower minimum long after the best image: at 300 the mean gap
to the best image doubled on seven photographs."""

BOUND = 2.0
"""Maximum noise variance, in mean squared residuals: see `CovariancePenalty`."""

FLOOR = 1 / 3
"""Lower limit of that bound, as a fraction of the flat patches' variance. Without it a fit to texture never ends."""


@dataclass
class Covariance(Stop):
    """Stops at the minimum of an estimated squared error; for correlated noise, as cameras make it (Efron, JASA 2004)."""

    name: str = "covariance"
    patience: int = option(PATIENCE, "steps without a new minimum after which the fit ends", integer(1), "200")
    smoothing: float = option(
        1.0,
        "noise level for the final combination of the kept average with BM3D, relative to the estimated one; 0 returns the "
        "average itself",
        number(">= 0"),
        "0.5",
    )
    strong: bool | None = option(
        None, "whether the noise is too strong to be texture; null: decided from the image", flag(none=True), "true"
    )
    later = ("strong",)
    needs_image = True
    comparable = True
    patience_limit = PATIENCE

    def for_part(self, target: Tensor, known: Tensor | None = None) -> Covariance:
        """These options for a part of the image `target`: `strong` is decided by the whole, without the last step."""
        from dip.noise.texture import certain

        return replace(self, smoothing=0.0, strong=certain(target, known) if self.strong is None else self.strong)

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule | None:
        from dip.noise.flat_patches import whole
        from dip.noise.whitening import whitening

        if known is not None and not whole(known).any():
            log.warning("stop=covariance: never stops here, since no square of 16 x 16 pixels is completely known")
            return None
        rule = CovariancePenalty(target, self.patience, known, self.smoothing, self.strong)
        if known is None:
            rule.loss_filter = whitening(target)
        return rule


class CovariancePenalty(Rule):
    """Keeps the average with the smallest estimated squared error.

    From step `first` on it computes for the average f, every `EVERY` steps: the mean squared residual r, and in the flat
    patches the fraction k of the noise that f contains and the fraction q of its variance that y - f contains. The noise
    variance is s^2 = r / q, at most BOUND r. Without flat patches, texture counts as noise and r / q is too large.
    The bound falls with the residual while the texture is being fitted, so an early minimum is replaced. It does
    not fall below FLOOR times the variance of the flat patches, nor below the smallest r / q of the readings with
    q >= 1 / BOUND whose residual has no structure: neither `texture_left` nor `coherence` (`dip.noise.lost_structure`).
    Most of the noise was not fitted then, and nothing else was left. Without that, s^2 falls while a smooth photograph is
    being overfitted. It needs `texture.ENOUGH` flat patches. Strong noise that cannot be texture needs no bound: s^2 is
    the variance of the flat patches (`dip.noise.texture.certain`). A reading replaces the best one if r + 2 k s^2 is
    smaller, both with the newest s^2.

    It reads the average and not the observed output, so it applies where the operator is the identity at known pixels.
    With another operator it has no reading, and never ends the fit.

    Args:
        target: the observation, (1, C, h, w) in [0, 1].
        patience: in steps.
        known: (1, 1, h, w), not 0 where the target was observed. Patches with an unknown pixel are not used.
        smoothing: factor of the noise level that `image` passes to `finishing.combined`; 0 for the average itself, as
            with `known`.
        strong: see `Covariance.strong`.
    """

    saved = ("flat", "variance", "best_residual", "best_taken", "least")
    residual: Tensor  # () float32, r of the newest reading
    taken: Tensor  # () float32, k of the newest reading

    def __init__(
        self,
        target: Tensor,
        patience: int,
        known: Tensor | None = None,
        smoothing: float = 0.0,
        strong: bool | None = None,
    ) -> None:
        import torch

        from dip.noise.flat_patches import GROUPS, flattest, patches, whole, without_plane
        from dip.noise.texture import certain

        super().__init__(patience)
        side = math.sqrt(target.shape[2] * target.shape[3])
        self.first = min(LATEST, max(FIRST, math.ceil(FIRST * side / SMALL / EVERY) * EVERY))
        self.certain = certain(target, known) if strong is None else strong
        self.known, self.smoothing = known, smoothing if known is None else 0.0
        self.whole = target.detach()
        self.target = patches(target)  # (n, C, SIDE, SIDE)
        self.used: Tensor | None = None  # (n,) int64 indices of the patches without unknown pixels; None: all
        if known is not None:
            self.used = whole(known).nonzero().flatten()
            self.target = self.target[self.used]
        self.details = without_plane(self.target)
        self.flat = flattest(self.target, self.details, GROUPS)  # (m,) int64, until the first reading
        self.variance = self.target.new_zeros(())  # s^2
        self.best_residual = torch.full_like(self.variance, math.inf)
        self.best_taken = self.target.new_zeros(())
        self.least = torch.full_like(self.variance, math.inf)  # smallest r / q while the bound was not needed
        self.direct: Tensor | None = None  # () bool: the operator is the identity at known pixels
        self._average: Tensor | None = None  # of this step, during `update` only

    def update(self, step: int, observed: Tensor, image: Tensor, average: Tensor, loss: Tensor) -> None:
        """See `Rule.update`. Until the first reading the newest average is kept; between readings only the step is noted."""
        if observed.shape != image.shape:  # an operator: the newest average is kept
            super().update(step, observed, image, average, loss)
            return
        if self.direct is None:
            differs = (observed != image) & image.isfinite()
            self.direct = ~(differs if self.known is None else differs & (self.known != 0)).any()
        self.last_step = step
        if step < self.first or step % EVERY == 0:
            self._average = average
            super().update(step, observed, image, average, loss)
            self._average = None

    def watch(self, observed: Tensor, image: Tensor, finite: Tensor) -> Tensor | None:
        import torch

        from dip.noise import flat_patches as fp

        if self._average is None or self.direct is None or (self.last_step < self.first and self.last_step != FIRST):
            return None
        average = fp.patches(self._average)
        average = average if self.used is None else average[self.used]  # (n, C, SIDE, SIDE)
        if self.last_step == FIRST or self.first == FIRST:
            choose = self.best_residual.isinf() & finite
            self.flat = torch.where(choose, fp.flattest(average, self.details, fp.GROUPS), self.flat)
        if self.last_step < self.first:
            return None
        noise, fitted = self.details[self.flat], fp.without_plane(average[self.flat])
        # Each patch has the same weight, whatever its noise level, except patches below quantisation.
        weight = torch.where(fp.energy(noise) < fp.QUANTISATION, fp.LEAST, 1.0)  # (m,)
        weight = weight / weight.sum() / fp.energy(noise).clamp(min=fp.QUANTISATION)
        rest = self.target - average
        self.residual = rest.square().mean()
        self.taken = (weight * (noise * fitted).mean((1, 2, 3))).sum()
        left = (weight * fp.energy(noise - fitted)).sum()
        level = fp.UNBIASED * noise.square().mean()
        if self.certain:
            variance = level
        else:
            ratio = self.residual / left.clamp(min=fp.LEAST)
            trusted = finite & (left >= 1 / BOUND) & self._is_noise(rest, average)
            self.least = torch.where(trusted, torch.minimum(self.least, ratio), self.least)
            floor = torch.maximum(torch.where(self.least.isinf(), 0, self.least), FLOOR * level)
            variance = torch.minimum(ratio, torch.maximum(BOUND * self.residual, floor))
        self.variance = torch.where(finite & self.direct, variance, self.variance)
        self.best = self.best_residual + 2 * self.best_taken * self.variance
        value = self.residual + 2 * self.taken * self.variance
        return torch.where(self.direct, torch.where(finite, value, math.nan), math.inf)

    def _is_noise(self, rest: Tensor, average: Tensor) -> Tensor:
        """Whether the residual has no structure, () bool, from its patches `rest` and those of the average."""
        import torch

        from dip.noise.lost_structure import NOISE, coherence, texture_left
        from dip.noise.texture import ENOUGH

        assert self._average is not None
        residual = self.whole - self._average
        if self.known is not None:
            residual = torch.where(self.known != 0, residual, 0)
        unlike = (coherence(residual) <= NOISE) & (len(self.flat) >= ENOUGH)
        return unlike & (texture_left(self.details, rest, average, self.flat) <= 0)

    def improves(self, step: int, score: Tensor) -> Tensor:
        import torch

        in_time = (self.best_step > step - self.patience) | self.best.isinf()
        better = (score < self.best) & in_time  # false where the score is NaN
        self.best_residual = torch.where(better, self.residual, self.best_residual)
        self.best_taken = torch.where(better, self.taken, self.best_taken)
        assert self.direct is not None
        return better | ~self.direct

    def weight(self, removed: float) -> float:
        from dip.noise.lost_structure import MOST, share_of_texture

        if self.photograph is None or self.certain or removed * (1 - MOST) > INVISIBLE or not self.smoothing:
            return 0.0  # the largest weight would not suffice
        return share_of_texture(self.photograph.to(self.candidate), self.candidate)

    def image(self) -> Tensor:
        """The kept average, combined with BM3D of the observation. Without a reading it is returned as it is."""
        from dip.noise.finishing import combined

        sigma = math.sqrt(max(0.0, float(self.variance)))
        image, self.fitted = combined(super().image(), self.whole, self.smoothing * sigma, self.certain)
        return image
