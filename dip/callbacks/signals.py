"""Signals: finish the step, write a checkpoint, exit."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, Trainer

from dip.model.module import DeepImagePrior

HANDLED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1")


class Signals(Callback):
    """Context manager around a run that notes signals. `Checkpoints` acts on them after the current step.

    SIGTERM, SIGINT and SIGHUP end the run; a second SIGINT ends it at once. SIGUSR1 requests a checkpoint. Signals that
    the process was started to ignore (SIGHUP under `nohup`) stay ignored. Outside the main thread, where Python handles
    no signals, this does nothing.

    A signal that arrives after the last step does not interrupt the run, because its result is about to be saved. It is
    raised again on leaving the context.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        """The number of the signal that ends the run; None if there was none."""
        self.interrupted = False
        """True if the run was ended by `received`."""
        self.save_requested = False
        """True from a request to save until `Checkpoints` has saved."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for name in HANDLED:
                number = getattr(signal, name, None)  # Windows has no SIGHUP and no SIGUSR1
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        if kind is None and self.received is not None and not self.interrupted:
            signal.raise_signal(self.received)

    def on_train_start(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """Replace Lightning's handlers, which exit without a checkpoint. Lightning restores ours at its end."""
        for number in self._before:
            signal.signal(number, self._handle)
        trainer._signal_connector.received_sigterm = False  # noted before this hook, by Lightning and by us

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if signal.Signals(number).name == "SIGUSR1":
            self.save_requested = True
        elif number == signal.SIGINT and self.received == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            self.received = number
            if number == signal.SIGINT:
                with contextlib.suppress(OSError):  # the terminal may be closed
                    # Not print: the main program may be inside a write to the same stream.
                    os.write(2, b"\ninterrupted: finishing the step and saving; Ctrl-C again exits at once\n")
