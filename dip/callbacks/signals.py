"""What a run does when it is told to end: finish the step, write a checkpoint, leave."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, Trainer

from dip.model.module import DeepImagePrior

ENDING = ("SIGTERM", "SIGINT", "SIGHUP")
SAVING = ("SIGUSR1",)


class Signals(Callback):
    """Notes signals while the fit runs; `Checkpoints` acts on them after the current step.

    SIGTERM, SIGINT and SIGHUP end the run; a second SIGINT ends it at once. SIGUSR1 asks for a checkpoint. What the
    run was started to ignore (SIGHUP by `nohup`) stays ignored. Outside the main thread, where Python takes no
    signals, this does nothing.
    """

    def __init__(self) -> None:
        self.ends: int | None = None
        """The number of the signal that ended the run; None if none did."""
        self._save = self._finishing = False
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """Takes over the handlers, Lightning's own among them: those exit without a checkpoint."""
        self._take_over()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Signals wait meanwhile: a run that has made its last step is done in seconds, and what draws its figures would
        take an interrupt for an error of its own.
        """
        self._take_over()
        self._finishing = True
        try:
            yield
        finally:
            self._restore()

    def _take_over(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for name in ENDING + SAVING:
            number = getattr(signal, name, None)  # SIGHUP and SIGUSR1 are not everywhere
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if signal.Signals(number).name in SAVING:
            self._save = True
        elif number == signal.SIGINT and self.ends == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            self.ends = number
            if self._finishing:  # by no stream of Python's, which may be in the middle of a line
                os.write(2, b"the last step is made: saving and drawing first; Ctrl-C again to end at once\n")

    def take_save_request(self) -> bool:
        """True once for each request to save."""
        asked, self._save = self._save, False
        return asked

    def send_on(self) -> None:
        """Raises the signal that came too late to end the run, if one did, for whoever hears it now."""
        if self.ends is not None:
            signal.raise_signal(self.ends)

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    def on_train_end(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """Puts the handlers back as they were."""
        self._restore()

    def on_exception(self, trainer: Trainer, module: DeepImagePrior, exception: BaseException) -> None:  # type: ignore[override]
        """Puts the handlers back as they were."""
        self._restore()
