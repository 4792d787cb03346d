"""Record a run: the loss of every step, a row of metrics per record, and snapshots."""

import csv
import itertools
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch
from lightning.pytorch import Callback, Trainer
from numpy.typing import NDArray
from torch import Tensor

from dip import images, metrics
from dip.callbacks.early_stopping import Stopping
from dip.callbacks.rollback import Rollback
from dip.callbacks.schedule import Schedule
from dip.configuration.loggers import show
from dip.errors import DipError
from dip.images import preview
from dip.model.module import DeepImagePrior
from dip.options import log

COLUMNS = ("step", "loss", "psnr", "psnr_ema", "ssim_ema", "seconds", "watched", "back_to")

Row = dict[str, Any]
OnRecord = Callable[[int, float, float | None, NDArray[numpy.float32]], object]
"""A function of the user: step, loss, PSNR in dB (None without a reference), and the average of the outputs so far,
(H, W, C) float32 in [0, 1]."""


class Recorder(Callback):
    """Keep a run's history in memory and in its checkpoints, and write `metrics.csv`, `losses.npy` and `images/`.

    Args:
        folder: the run folder.
        schedule: the steps of records and snapshots.
        reference: (1, C, H, W) on the run's device; None leaves the score columns empty.
        stopping: the stopping rule's callback; its watched value is recorded.
        rollback: the rollback callback; `back_to` is the step of the state that was restored.
        finish: maps a network's output to the restored image, which is scored.
        on_record: called after each record; its exceptions end the run.
        slices: of a volume, whose middle slice is shown.
    """

    def __init__(
        self,
        folder: Path,
        schedule: Schedule,
        reference: Tensor | None,
        stopping: Stopping,
        rollback: Rollback,
        finish: Callable[[Tensor], Tensor],
        on_record: OnRecord | None = None,
        slices: int = 1,
    ) -> None:
        self.folder, self.schedule, self.reference = folder, schedule, reference
        self.stopping, self.rollback, self.finish = stopping, rollback, finish
        self.on_record, self.slices = on_record, slices
        self.rows: list[Row] = []
        self.losses = torch.zeros(schedule.steps)
        self.before = 0.0  # seconds of computation before the first step and in earlier processes
        self._began = time.perf_counter()
        self._done = 0  # steps whose loss is in `losses`
        self._warned = False

    @property
    def seconds(self) -> float:
        """Seconds of computation so far, including those before an interruption."""
        return self.before + time.perf_counter() - self._began

    @property
    def paces(self) -> list[float]:
        """Seconds per step, one value per interval between records."""
        pairs = itertools.pairwise(row for row in self.rows if not self.schedule.early(row["step"]))
        return [(now["seconds"] - before["seconds"]) / (now["step"] - before["step"]) for before, now in pairs]

    def summary(self) -> dict[str, Any]:
        """The last recorded loss, the best recorded PSNR of the average (the oracle), and seconds of the run and of a step."""
        scored = [row for row in self.rows if row["psnr_ema"] is not None]
        best = max(scored, key=lambda row: row["psnr_ema"], default=dict.fromkeys(COLUMNS))
        return {
            "loss": self.rows[-1]["loss"] if self.rows else None,
            "oracle_psnr": best["psnr_ema"],
            "oracle_step": best["step"],
            "seconds": round(self.seconds, 3),
            "step_seconds": statistics.median(self.paces) if self.paces else None,
        }

    def on_train_start(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """Start the clock. After a resume, `metrics.csv` is rewritten to the state of the checkpoint."""
        self.losses = self.losses.to(module.device)
        self._began = time.perf_counter()
        (self.folder / "images").mkdir(exist_ok=True)
        self.guard(self.rewrite)

    def on_train_batch_end(self, trainer: Trainer, module: DeepImagePrior, *_: Any) -> None:  # type: ignore[override]
        """Store the loss on the device; at a record, read it and everything else."""
        step = module.step
        self.losses[step - 1] = module.loss
        self._done = step
        if self.schedule.records(step) or self.schedule.early(step):
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
        row.update(step=step, seconds=round(self.seconds, 3))
        if self.schedule.records(step):
            row["watched"] = self.stopping.watched
        if self.rollback.events and self.rollback.events[-1]["step"] == step:
            row["back_to"] = self.rollback.events[-1]["back_to"]
        self.rows.append(row)
        self.guard(lambda: self._append(row))
        if trainer.logger is not None:
            known = {name: value for name, value in row.items() if value is not None and name != "step"}
            self.guard(lambda: trainer.logger.log_metrics(known, step=step))  # type: ignore[union-attr]
        if self.on_record is not None:
            image = images.to_array(self.finish(module.average).clamp(0, 1))  # (H, W, C)
            try:
                self.on_record(step, numbers[0], row["psnr_ema"], image)
            except StopIteration as error:  # Lightning would take it for the end of the data
                raise RuntimeError("on_record raised StopIteration") from error

    def _snapshot(self, trainer: Trainer, output: Tensor, step: int) -> None:
        output = preview(self.finish(output), self.slices)
        self.guard(lambda: images.save(self.folder / "images" / f"step-{step:06d}.png", output))
        self.guard(lambda: show(trainer.logger, "output", output, step))

    def guard(self, write: Callable[[], object]) -> None:
        """Call `write`; a full disk is one warning, and the run continues. Checkpoints are not written this way."""
        try:
            write()
        except (OSError, DipError) as error:
            if not self._warned:
                log.warning("%s: cannot write metrics or images (%s); the run continues", self.folder, error)
            self._warned = True

    def _append(self, row: Row) -> None:
        with open(self.folder / "metrics.csv", "a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(row)

    def rewrite(self) -> None:
        """Write `metrics.csv` from all rows, replacing the file."""
        with open(self.folder / "metrics.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)

    def save_losses(self) -> None:
        """Write the losses of all steps so far to `losses.npy`, (steps,) float32."""
        losses = self.losses[: self._done].cpu().numpy()
        self.guard(lambda: numpy.save(self.folder / "losses.npy", losses))

    def state_dict(self) -> dict[str, Any]:
        """The history so far."""
        losses = self.losses[: self._done].clone()
        return {"rows": self.rows, "losses": losses, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the history."""
        self.rows = state_dict["rows"]
        self.before += state_dict["seconds"]
        self._done = len(state_dict["losses"])
        self.losses[: self._done] = state_dict["losses"]
