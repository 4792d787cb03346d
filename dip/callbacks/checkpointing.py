"""Write checkpoints at time intervals, and when a signal ends the run."""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

from dip.callbacks.signals import Signals
from dip.errors import NotFiniteError
from dip.model.module import DeepImagePrior
from dip.options import log
from dip.runs.checkpoint_files import path_of

LARGEST_SHARE = 0.02  # of the run's time that may be spent on writing checkpoints


class Checkpoints(Callback):
    """Save to `folder` every `every` seconds, or less often if writing takes more than 2 % of that time.

    The interval is a time, because a step takes from a millisecond to minutes.
    """

    def __init__(self, folder: Path, every: float, signals: Signals) -> None:
        self.folder, self.every, self.signals = folder, every, signals
        self._due = time.perf_counter() + every

    def on_train_batch_end(self, trainer: Trainer, module: DeepImagePrior, *_: Any) -> None:  # type: ignore[override]
        """Save if a checkpoint is due or a signal requests one."""
        ends = self.signals.received is not None
        if ends:
            trainer.should_stop = True
        if ends or self.signals.save_requested or time.perf_counter() >= self._due:
            self.save(trainer, module.step)

    def save(self, trainer: Trainer, step: int) -> None:
        """Write a checkpoint now."""
        began = time.perf_counter()
        self.signals.save_requested = False
        try:
            trainer.save_checkpoint(path_of(self.folder, step))
        except NotFiniteError as error:
            # The next record triggers a rollback. Until then the previous checkpoint is used.
            log.warning("%s", error)
        ended = time.perf_counter()
        pause = (ended - began) / LARGEST_SHARE if self.every else 0.0
        self._due = ended + max(self.every, pause)
