"""The progress bar: steps done of all, time left, and the last record's numbers."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from lightning.pytorch import Callback, Trainer
from tqdm.auto import tqdm

from dip.callbacks.recorder import Recorder
from dip.model.module import DeepImagePrior


class Progress(Callback):
    """A tqdm bar, in terminals and notebooks, that shows numbers already on the host and never asks the device.

    Args:
        steps: of the whole run.
        recorder: whose last row is shown.
        title: in front of the bar.
    """

    def __init__(self, steps: int, recorder: Recorder, title: str) -> None:
        self.steps, self.recorder, self.title = steps, recorder, title
        self._bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """Opens the bar where the run stands."""
        seen = sys.stderr.isatty() or "ipykernel" in sys.modules
        with self._watched():
            self._bar = tqdm(
                total=self.steps,
                initial=module.step,
                desc=self.title,
                unit="step",
                dynamic_ncols=True,
                mininterval=0.5 if seen else 30,  # seconds; a log file shall stay readable
                maxinterval=10 if seen else 60,
            )

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, module: DeepImagePrior, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar; at a record, shows its numbers."""
        if self._bar is None:
            return
        rows = self.recorder.rows
        if rows and rows[-1]["step"] == module.step:
            shown = {"loss": rows[-1]["loss"], "PSNR": rows[-1]["psnr_ema"], "watched": rows[-1]["watched"]}
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in shown.items() if v is not None}, refresh=False)
        with self._watched():
            self._bar.update()

    def on_train_end(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """Closes the bar."""
        self.close()

    def on_exception(self, trainer: Trainer, module: DeepImagePrior, exception: BaseException) -> None:  # type: ignore[override]
        """Closes the bar."""
        self.close()

    def close(self) -> None:
        """Closes the bar, if it is open."""
        if self._bar is not None:
            with self._watched():
                self._bar.close()
            self._bar = None

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """A terminal that is gone, as behind `| head`, costs the bar, not the run."""
        try:
            yield
        except OSError:
            if self._bar is not None:
                self._bar.disable = True
            self._bar = None
