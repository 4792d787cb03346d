"""The rule for exact data: stop when the average of the outputs agrees with all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dip.stopping.registry import Stop
from dip.stopping.rule import Rule
from dip.stopping.variance import WMV

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 0.4 / 255
"""Root mean square distance, for values in [0, 1], that counts as agreement. Found on JPEG restoration: the PSNR hardly
changes below it."""

EVERY = 10  # steps between two measurements, each of which costs a transform of the image


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


class Agreement(Rule):
    """Watches the mean squared distance of the average of the observed outputs to the nearest image that agrees.

    Args:
        target: the observation, (1, C, h, w); it is that image unless `Rule.project` is set.
        patience: see `Rule`.
    """

    saved = ("mean",)
    mean: Tensor  # (1, C, h, w)

    def __init__(self, target: Tensor, patience: int) -> None:
        super().__init__(patience)
        self.target = target

    def watch(self, observed: Tensor, image: Tensor, finite: Tensor) -> Tensor:
        import torch

        if self.seen == 0:
            self.mean = observed.nan_to_num()
        weight = max(0.01, 1 / (self.seen + 1))  # the plain mean while there are few outputs
        self.mean = torch.where(finite, self.mean.lerp(observed, weight), self.mean)
        if self.seen % EVERY:
            return self.watched
        nearest = self.target if self.project is None else self.project(self.mean)
        return (self.mean - nearest).square().mean().float()

    def improves(self, step: int, score: Tensor) -> Tensor:
        # Once the average agrees, the choice is final.
        return super().improves(step, score) & (self.best > TOLERANCE**2)

    def over(self, best: float, best_step: int) -> bool:
        return best <= TOLERANCE**2 or super().over(best, best_step)
