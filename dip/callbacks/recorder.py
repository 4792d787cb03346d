"""Writes down what a run does: the loss of every step, a row of metrics at each record, pictures over steps."""

from __future__ import annotations

import csv
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from dip import images, metrics
from dip.callbacks.early_stopping import Stopping
from dip.callbacks.rollback import Rollback
from dip.callbacks.schedule import Schedule
from dip.errors import DipError
from dip.fitting import results
from dip.model.module import DeepImagePrior

COLUMNS = ("step", "loss", "psnr", "psnr_ema", "ssim_ema", "seconds", "watched", "back_to")

Row = dict[str, float | int | None]

log = logging.getLogger("dip")


class Recorder(Callback):
    """Keeps a run's history in memory, in its checkpoints, and in `metrics.csv`, `losses.npy` and `images/`.

    Args:
        folder: the run folder.
        schedule: when a record or a picture is due.
        reference: (1, C, H, W) on the run's device, or None: the score columns stay empty.
        stopping: the stopping rule's callback, whose watched value stands in its column.
        rollback: who takes a collapsed fit back; `back_to` is the step of the state that the fit went on from.
        finish: makes of a network's output the image to give back, which is what scores.
    """

    def __init__(
        self,
        folder: Path,
        schedule: Schedule,
        reference: Tensor | None,
        stopping: Stopping,
        rollback: Rollback,
        finish: Callable[[Tensor], Tensor],
    ) -> None:
        self.folder, self.schedule, self.reference = folder, schedule, reference
        self.stopping, self.rollback, self.finish = stopping, rollback, finish
        self.rows: list[Row] = []
        self.losses = torch.zeros(schedule.steps)
        self.before = 0.0  # seconds computed in earlier processes
        self._began = self._stretch = time.perf_counter()
        self._stretch_step = 0
        self.paces: list[float] = []  # seconds per step, one figure per stretch between records
        self._done = 0  # steps whose loss is in `losses`
        self._disk_warned = False

    @property
    def seconds(self) -> float:
        """Seconds of fitting so far, those before an interruption included."""
        return self.before + time.perf_counter() - self._began

    def best(self) -> tuple[float | None, int | None]:
        """The highest recorded PSNR of the average and its step: what an oracle would have kept."""
        scored = [(row["psnr_ema"], row["step"]) for row in self.rows if row["psnr_ema"] is not None]
        if not scored:
            return None, None
        psnr, step = max(scored, key=lambda pair: (pair[0], -pair[1]))  # type: ignore[operator]
        return psnr, step  # type: ignore[return-value]

    def on_train_start(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """Starts the clock; after a resume, `metrics.csv` goes back to what the checkpoint knows."""
        self.losses = self.losses.to(module.device)
        self._began = self._stretch = time.perf_counter()
        self._stretch_step = module.step
        (self.folder / "images").mkdir(exist_ok=True)
        self.guard(self.rewrite)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, module: DeepImagePrior, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stores the loss on the device; reads it, and all else, when a record is due."""
        step = module.step
        self.losses[step - 1] = module.loss
        self._done = step
        if self.schedule.records(step):
            self._record(trainer, module, step)
        if self.schedule.snapshots(step):
            self._snapshot(trainer, module.output, step)

    def _record(self, trainer: Trainer, module: DeepImagePrior, step: int) -> None:
        assert module.average is not None
        values = [module.loss]
        if self.reference is not None:
            output, average = self.finish(module.output), self.finish(module.average)
            values += [
                metrics.psnr(output, self.reference),
                metrics.psnr(average, self.reference),
                metrics.ssim(average, self.reference),
            ]
        numbers = torch.stack([value.float() for value in values]).tolist()  # waits for the device
        row: Row = dict.fromkeys(COLUMNS)
        finite = (number if math.isfinite(number) else None for number in numbers)
        row.update(zip(COLUMNS[1:5], finite, strict=False))
        row.update(step=step, seconds=round(self.seconds, 3), watched=self.stopping.watched)
        if self.rollback.events and self.rollback.events[-1]["step"] == step:
            row["back_to"] = self.rollback.events[-1]["back_to"]
        self.rows.append(row)
        self.guard(lambda: self._append(row))
        if trainer.logger is not None:
            known = {name: value for name, value in row.items() if value is not None and name != "step"}
            self.guard(lambda: trainer.logger.log_metrics(known, step=step))  # type: ignore[union-attr]
        now = time.perf_counter()
        if step > self._stretch_step:
            self.paces.append((now - self._stretch) / (step - self._stretch_step))
        self._stretch, self._stretch_step = now, step

    def _snapshot(self, trainer: Trainer, output: Tensor, step: int) -> None:
        output = results.preview(self.finish(output))
        self.guard(lambda: images.save(self.folder / "images" / f"step-{step:06d}.png", output))
        board = getattr(trainer.logger, "experiment", None)
        if hasattr(board, "add_image"):
            self.guard(lambda: board.add_image("output", output[0].clamp(0, 1), step))  # type: ignore[union-attr]

    def guard(self, write: Any) -> None:
        """A full disk costs the notes, not the run: warned of once. Checkpoints are another matter."""
        try:
            write()
        except (OSError, DipError) as error:
            if not self._disk_warned:
                log.warning(
                    "cannot write metrics or pictures in %s (%s); the run goes on", self.folder, error
                )
            self._disk_warned = True

    def _append(self, row: Row) -> None:
        with open(self.folder / "metrics.csv", "a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(row)

    def rewrite(self) -> None:
        """Writes `metrics.csv` anew from all rows, whatever became of the file."""
        with open(self.folder / "metrics.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)

    def save_losses(self, step: int) -> numpy.ndarray[Any, numpy.dtype[numpy.float32]]:
        """Writes the losses of steps 1 to `step` to `losses.npy` and returns them."""
        losses = self.losses[:step].cpu().numpy()
        self.guard(lambda: numpy.save(self.folder / "losses.npy", losses))
        return losses

    def state_dict(self) -> dict[str, Any]:
        """The history so far."""
        return {"rows": self.rows, "losses": self.losses[: self._done].clone(), "seconds": self.seconds, "paces": self.paces}  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the history up again."""
        self.rows, self.before, self.paces = state_dict["rows"], state_dict["seconds"], state_dict["paces"]
        self._done = len(state_dict["losses"])
        self.losses[: self._done] = state_dict["losses"]
