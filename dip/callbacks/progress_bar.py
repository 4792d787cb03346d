"""The progress bar: steps done, time left, and the numbers of the last record."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from lightning.pytorch import Callback, Trainer
from tqdm.auto import tqdm

from dip.callbacks.recorder import Recorder
from dip.model.module import DeepImagePrior


class Progress(Callback):
    """A tqdm bar for terminals and notebooks. It shows only numbers that are already on the host.

    Args:
        steps: number of steps of the run.
        recorder: source of the numbers shown.
        title: text before the bar.
    """

    def __init__(self, steps: int, recorder: Recorder, title: str) -> None:
        self.steps, self.recorder, self.title = steps, recorder, title
        self._bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """Open the bar at the current step."""
        interactive = sys.stderr.isatty() or "ipykernel" in sys.modules
        with self._closed_terminal():
            self._bar = tqdm(
                total=self.steps, initial=module.step, desc=self.title, unit="step", dynamic_ncols=True,
                mininterval=0.5 if interactive else 30,  # seconds; every update is a line in a log file
                maxinterval=10 if interactive else 60,
            )  # fmt: skip

    def on_train_batch_end(self, trainer: Trainer, module: DeepImagePrior, *_: Any) -> None:  # type: ignore[override]
        """Advance the bar; at a record, show its numbers."""
        if self._bar is None:
            return
        rows = self.recorder.rows
        if rows and rows[-1]["step"] == module.step:
            shown = {"loss": rows[-1]["loss"], "PSNR": rows[-1]["psnr_ema"], "watched": rows[-1]["watched"]}
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in shown.items() if v is not None}, refresh=False)
        with self._closed_terminal():
            self._bar.update()

    def _close(self, *_: Any) -> None:
        """Close the bar if it is open."""
        if self._bar is not None:
            with self._closed_terminal():
                self._bar.close()
            self._bar = None

    on_train_end = on_exception = _close  # type: ignore[assignment]

    @contextlib.contextmanager
    def _closed_terminal(self) -> Iterator[None]:
        """Disable the bar if the terminal is closed (`| head`); the run continues."""
        try:
            yield
        except OSError:
            if self._bar is not None:
                self._bar.disable = True
            self._bar = None
