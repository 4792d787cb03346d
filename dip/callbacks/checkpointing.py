"""Writes checkpoints by the clock, and at once when the run is told to end."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

from dip.callbacks.signals import Signals
from dip.errors import NotFiniteError
from dip.model.module import DeepImagePrior

LARGEST_SHARE = 0.02  # of the run's time may go into writing checkpoints

log = logging.getLogger("dip")


class Checkpoints(Callback):
    """Saves to `folder` every `every` seconds, or more rarely where a write takes more than 2 % of that.

    Time, not steps: a step takes from a millisecond to minutes, and what one fears to lose is time.
    """

    def __init__(self, folder: Path, every: float, signals: Signals) -> None:
        self.folder, self.every, self.signals = folder, every, signals
        self._due = time.perf_counter() + every

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, module: DeepImagePrior, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves when due, or when a signal asks for it."""
        if self.signals.ends:
            trainer.should_stop = True
        if self.signals.ends or self.signals.take_save_request() or time.perf_counter() >= self._due:
            self.save(trainer, module.step)

    def save(self, trainer: Trainer, step: int) -> None:
        """Writes a checkpoint now."""
        began = time.perf_counter()
        try:
            trainer.save_checkpoint(self.folder / f"step-{step:09d}.ckpt")
        except (
            NotFiniteError
        ) as error:  # the next record will go back; until then, the checkpoint before serves
            log.warning("%s", error)
        ended = time.perf_counter()
        rest = (ended - began) / LARGEST_SHARE if self.every else 0.0
        self._due = ended + max(self.every, rest)
