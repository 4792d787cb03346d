"""Rules that compare the average output with the target: at held-out pixels, with the noise level, or with exact data.

They average the observed outputs A(image) and do not use single ones: the average is what is kept, and the scatter
caused by the perturbed input averages out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dip.errors import OptionError
from dip.options import number, option
from dip.stopping.registry import Stop
from dip.stopping.rule import Rule, sample, values_at
from dip.stopping.variance import WMV

if TYPE_CHECKING:
    from torch import Tensor

AGREES = 0.5
"""Error at held-out pixels, in noise levels, below which a fit that is watched by `heldout` ends: what was measured as white
noise is texture that the network continues, or correlated noise."""

TOLERANCE = 0.4 / 255
"""Root mean square distance, for values in [0, 1], that counts as agreement with exact data. Found on JPEG restoration: the PSNR
hardly changes below it."""

LARGEST = 0.05
"""Fraction of the measurements, those of the largest magnitude, that is never held out."""

EVERY = 10  # steps between two measurements of that distance, each of which costs a transform of the image

NEWEST = 0.01  # weight of the newest observed output in their average, as with the default `ema` of the restored image


@dataclass
class HeldOut(Stop):
    """Leaves some pixels of the target out of the loss, and stops at the minimum of the error at these pixels."""

    name: str = "heldout"
    fraction: float = option(0.02, "fraction of the pixels that is left out of the loss", number("(0, 0.5]"), "0.02")
    comparable = True

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        if target.shape[-2] * target.shape[-1] < 2 or (known is not None and int((known != 0).sum()) < 2):
            raise OptionError("stop", self.name, "another rule for a target of one pixel", "stop=wmv")
        return HeldOutError(target, self.fraction, self.patience, seed, known, self.image)


@dataclass
class Discrepancy(Stop):
    """Stops when the mean squared error to the target has fallen to the noise variance (Morozov, 1966)."""

    name: str = "discrepancy"
    sigma: float | None = option(
        None,
        "standard deviation of the noise, for values in [0, 1]; null: estimated from the target",
        number("> 0", none=True),
        "0.1",
    )
    uses_patience = False
    needs_image = True
    comparable = True

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        return NoiseReached(target, self.sigma, seed, known)


def least_error(target: Tensor, known: Tensor | None, sigma: float) -> float:
    """The mean squared error at held-out pixels below which white noise of standard deviation `sigma` is excluded."""
    from dip.noise import texture

    return texture.varied(target, known) * (AGREES * sigma) ** 2


@dataclass
class Consistent(Stop):
    """Stops when the average agrees with the data: for target=jpeg, when it compresses to the same file.

    Only for data without noise. It also stops `patience` steps after the smallest distance.
    """

    name: str = "consistent"

    def suited(self, noisy: bool = False, image: bool = True) -> Stop:
        """These options; those of `wmv` if the observation is not exact, as the pixels of some JPEG files."""
        return WMV(patience=self.patience) if noisy else self

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        return Agreement(target, self.patience)


class _Average(Rule):
    """Averages the observed outputs, or a part of them."""

    saved = ("mean",)
    mean: Tensor

    def averaged(self, output: Tensor, finite: Tensor) -> Tensor:
        """The average with one more `output`, of its shape."""
        import torch

        if self.seen == 0:
            self.mean = output.nan_to_num()
        # The plain mean while there are few outputs: the first one does not keep a large weight.
        weight = max(NEWEST, 1 / (self.seen + 1))
        self.mean = torch.where(finite, self.mean.lerp(output, weight), self.mean)
        return self.mean


class _AverageError(_Average):
    """Mean squared error between the average of the observed outputs and the target, at fixed positions."""

    def __init__(self, patience: int, target: Tensor, positions: Tensor) -> None:
        super().__init__(patience)
        self.positions = positions.to(target.device)  # (n,), into the flattened target
        self.truth = values_at(target.detach(), self.positions).float()  # (n,)

    def watch(self, observed: Tensor, image: Tensor, finite: Tensor) -> Tensor:
        output = values_at(observed, self.positions).float()  # (n,)
        return (self.averaged(output, finite) - self.truth).square().mean()


class HeldOutError(_AverageError):
    """Leaves a `fraction` of the target's known pixels out of the loss, and watches the error there.

    A pixel is left out with all its channels. If the noise has mean 0 and is independent between pixels, the expected
    value of this error is the restored image's own squared error plus the noise variance. Both have their minimum at
    the same step. The cost: the fit does not see these pixels. An error below `least` contradicts these assumptions and
    ends the fit.

    Where the target is no image (`image` false), the `LARGEST` part of the measurements by magnitude always stays in the
    loss. In Fourier data a few coefficients carry nearly all the energy. Without frequency 0 the mean of the image is
    undetermined, and its error is larger than all others together.
    """

    least = 0.0

    def __init__(
        self, target: Tensor, fraction: float, patience: int, seed: int, known: Tensor | None = None, image: bool = True
    ) -> None:
        import torch

        _, channels, height, width = target.shape
        pixels = torch.arange(height * width) if known is None else known.cpu().flatten().nonzero().flatten()
        count = min(max(1, round(fraction * len(pixels))), len(pixels) - 1)
        if not image:
            energy = target.detach().square().sum(1).flatten().cpu()[pixels]
            few = max(1, round(LARGEST * len(pixels)))
            pixels = pixels[energy.argsort(stable=True)[:-few].sort().values]
        held = pixels[sample(len(pixels), seed, limit=count)]  # (m,)
        positions = (held + torch.arange(channels)[:, None] * height * width).flatten()  # (C m,)
        super().__init__(patience, target, positions)
        mask = torch.ones(height * width)
        mask[held] = 0
        # Mean 1 keeps the scale of the loss, and with it the meaning of the learning rate.
        self.loss_mask = (mask / mask.mean()).view(1, 1, height, width).to(target)

    def improves(self, step: int, score: Tensor) -> Tensor:
        return super().improves(step, score) & (self.best >= self.least)

    def final(self, best: float) -> bool:
        return best < self.least or super().final(best)


class NoiseReached(_AverageError):
    """Stops as soon as the average is as close to the target as the noise is, and keeps that average.

    Clipping to [0, 1] reduces the noise variance. Therefore only pixels whose local mean is 2 sigma away from 0 and 1 are
    compared, if there are enough, with the variance that remains there after clipping.
    """

    def __init__(self, target: Tensor, sigma: float | None, seed: int, known: Tensor | None = None) -> None:
        import torch

        from dip.noise.clipping import moments
        from dip.noise.flat_patches import smoothed
        from dip.noise.level import ENOUGH, noise_level

        self.sigma = noise_level(target, known) if sigma is None else sigma
        around = smoothed(target, 5)
        usable = torch.ones_like(around, dtype=torch.bool) if known is None else (known != 0).expand_as(around)
        away = usable & (around > 2 * self.sigma) & (around < 1 - 2 * self.sigma)
        positions = (away if int(away.sum()) >= ENOUGH else usable).flatten().nonzero().flatten().cpu()
        super().__init__(1, target, positions[sample(len(positions), seed)])
        _, variance = moments(values_at(around, self.positions).cpu(), self.sigma)
        self.level = float(variance.float().mean()) if self.sigma > 0 else 0.0

    def improves(self, step: int, score: Tensor) -> Tensor:
        # Every average counts as better than the one before until the level is reached; then the choice is final.
        return self.best > self.level

    def over(self, best: float, best_step: int) -> bool:
        return best <= self.level


class Agreement(_Average):
    """Watches the mean squared distance of the average of the observed outputs to the nearest image that agrees.

    Args:
        target: the observation, (1, C, h, w); it is that image unless `Rule.project` is set.
        patience: see `Rule`.
    """

    def __init__(self, target: Tensor, patience: int) -> None:
        super().__init__(patience)
        self.target = target

    def watch(self, observed: Tensor, image: Tensor, finite: Tensor) -> Tensor:
        mean = self.averaged(observed, finite)
        if self.seen % EVERY:
            return self.watched
        nearest = self.target if self.project is None else self.project(mean)
        return (mean - nearest).square().mean().float()

    def improves(self, step: int, score: Tensor) -> Tensor:
        # Once the average agrees, the choice is final.
        return super().improves(step, score) & (self.best > TOLERANCE**2)

    def over(self, best: float, best_step: int) -> bool:
        return best <= TOLERANCE**2 or super().over(best, best_step)
