"""The two choices that have no rule of their own: `stop=never` and `stop=auto`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dip.stopping.panel import Combined
from dip.stopping.residual import HeldOut
from dip.stopping.stop import Stop

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Never(Stop):
    """No early stopping: runs all steps; the restored image is the average at the last one."""

    name: str = "never"
    uses_patience = False

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> None:
        return None


@dataclass
class Auto(Stop):
    """For target=degraded combined, or heldout with perturbation_half_life; for all other targets never."""

    name: str = "auto"

    def choose(self, blind: bool, shrinking: bool) -> Stop:
        """The rule that the class's first line names."""
        chosen = (HeldOut if shrinking else Combined) if blind else Never
        return chosen(patience=self.patience)
