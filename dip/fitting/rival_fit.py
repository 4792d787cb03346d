"""The computation of a run whose method is no Deep Image Prior: a rival restores the observation."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from dip import runs
from dip.callbacks.early_stopping import Stopping
from dip.callbacks.progress_bar import Progress
from dip.callbacks.recorder import OnRecord, Recorder
from dip.callbacks.rollback import Rollback
from dip.callbacks.schedule import Schedule
from dip.callbacks.signals import Signals
from dip.configuration import schema
from dip.configuration.loggers import show
from dip.configuration.schema import Config
from dip.errors import ImageError, OptionError, RunError
from dip.fitting import results
from dip.fitting.fit import Fit
from dip.fitting.fit_errors import one_line
from dip.fitting.inputs import observe
from dip.fitting.lightning_alone import alone
from dip.fitting.observed import Observed
from dip.fitting.pictures import Pictures
from dip.hardware import devices, memory
from dip.methods import METHODS, Classical, Learned, Rival
from dip.runs import naming
from dip.stopping.adaptive import examine

log = logging.getLogger("dip")


@dataclasses.dataclass
class Present:
    """The state after a step, as the recorder and the progress bar read it from a module."""

    device: torch.device
    step: int = 0
    loss: Tensor | None = None
    image: Callable[[], Tensor] | None = None
    """Returns the present image, (1, C, H, W)."""

    @property
    def output(self) -> Tensor:
        """The present image clipped to [0, 1], computed once."""
        if callable(self.image):
            found = self.image().float().clamp(0, 1)
            self.image = lambda: found
        assert self.image is not None
        return self.image()

    average = output


def whole(
    config: Config,
    folder: Path,
    identity: str,
    pictures: Pictures | None = None,
    on_record: OnRecord | None = None,
    observed: Observed | None = None,
) -> Fit | RivalFit:
    """What computes a run on the whole image: `Fit`, or `RivalFit` for a method that is no Deep Image Prior."""
    kind = RivalFit if isinstance(config.method, Rival) else Fit
    return kind(config, folder, identity, pictures, on_record, observed)


class RivalFit:
    """The interface of `dip.fitting.fit.Fit` for `config.method` in `dip.methods.Rival`; the arguments are the same.

    There are no checkpoints: an interrupted run starts again.

    Raises:
        DipError: an image cannot be read or is too small, or device or precision are not available.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        identity: str,
        pictures: Pictures | None = None,
        on_record: OnRecord | None = None,
        observed: Observed | None = None,
    ) -> None:
        assert isinstance(config.method, Rival)
        self.config, self.folder, self.method, self.identity = config, folder, config.method, identity
        self.device = devices.pick_device(config.device)
        wanted = "fp32" if isinstance(config.method, Classical) else config.precision.name
        self.arithmetic = devices.pick_precision(wanted, self.device)
        if self.arithmetic.name == "fp16":
            raise OptionError(
                "precision", "fp16", f"auto, bf16, fp32 or tf32 with method={self.method.name}", "precision=bf16"
            )
        config.logger.check()
        with devices.prepared(self.arithmetic):
            self.precision = self.arithmetic.describe()
        self.picture, self.observation = observed or observe(config, pictures or Pictures(config))
        seen, smallest = self.observation, self.method.smallest
        if min(seen.size) < smallest:
            height, width = seen.size
            raise ImageError(
                f"image: has {height} x {width} pixels, method={self.method.name} needs at least {smallest} x {smallest}; "
                "take another method, for example method=bm3d"
            )
        self.noise = config.target.noise_model(examine(seen.y).sigma)
        if isinstance(self.method, Classical) and self.noise.impulses:
            names = " or ".join(name for name, kind in METHODS.items() if issubclass(kind, Learned))
            raise OptionError(
                "method", self.method.name, f"{names} where noise replaces single values", "method=zs_n2n"
            )
        self.schedule = Schedule(self.method.total, config.record_every, config.snapshot_every)
        stopping = Stopping(None, self.schedule)
        reference = None if seen.reference is None else seen.reference.to(self.device)
        self.recorder = Recorder(
            folder, self.schedule, reference, stopping, Rollback(self.schedule, stopping),
            finish=lambda image: config.target.finish(image, seen),
            on_record=on_record,
            slices=self.picture.depth,
        )  # fmt: skip
        self.signals = Signals()
        self.present = Present(self.device)
        self.restored: Tensor | None = None  # (1, C, H, W) on the CPU, once it has finished
        self.spread: Tensor | None = None  # as `Fit` has it

    def run(self, progress: bool, pictures: bool = True) -> dict[str, Any]:
        """Restore and save. Returns the content of `result.json`. See `dip.fitting.fit.Fit.run`.

        Raises:
            RunError: the training diverged.
        """
        config, seen = self.config, self.observation
        with devices.prepared(self.arithmetic), alone(), one_line(self.folder, seen.size, self.device):
            memory.reset_peak_memory(self.device)
            logger = config.logger.build(self.folder, schema.plain(config), 1)
            if pictures:
                for name, pixels in results.given(seen).items():
                    self._save(name, pixels)
            watchers: list[Any] = [self.recorder]
            watchers += [Progress(self.method.total, self.recorder, self.method.name)] if progress else []
            trainer = SimpleNamespace(logger=logger)
            self._announce()
            for watcher in watchers:
                watcher.on_train_start(trainer, self.present)

            def after(step: int, loss: Tensor, image: Callable[[], Tensor]) -> bool:
                self.present.step, self.present.loss, self.present.image = step, loss, image
                for watcher in watchers:
                    watcher.on_train_batch_end(trainer, self.present)
                return self.signals.received is not None

            try:
                image = self._restored(after).float().cpu()
            finally:
                if progress:
                    watchers[-1].on_train_end()
            if self.signals.received is not None and self.present.step < self.method.total:
                self.signals.interrupted = True
                return self.result("interrupted", signal=self.signals.received)
            if not image.isfinite().all():
                raise RunError(
                    f"method={self.method.name}: the training diverged; try another seed, for example seed=1"
                )
            return self._finish(image.clamp(0, 1), logger, pictures)

    def _announce(self) -> None:
        """Log what will be computed, and which speed-ups have no effect."""
        name, total = self.method.name, self.method.total
        steps = "" if total == 1 else f"{total:,} steps in {self.arithmetic.name}, "
        log.info("method=%s: %snoise level %.1f of 255", name, steps, 255 * self.noise.level(self.observation.y))
        for option in self.config.precision.speedups("cpu"):  # those that were asked for
            log.warning("precision.%s: has no effect with method=%s", option, name)

    def _restored(self, after: Any) -> Tensor:
        """The restored image, (1, C, H, W)."""
        seen = self.observation
        if isinstance(self.method, Classical):
            from dip.targets.baselines import BASELINES  # scikit-image is slow to import

            image = BASELINES["denoising"][self.method.name](seen, self.noise)
            assert image is not None, "None only for impulses"
            after(1, (image - seen.y).square().mean().to(self.device), lambda: image.to(self.device))
            return image
        assert isinstance(self.method, Learned)
        half = torch.bfloat16 if self.arithmetic.name == "bf16" else None
        y = seen.y.to(self.device, self.arithmetic.dtype)
        return self.method.restore(y, self.noise.level(seen.y), self.config.seed, half, after)

    def _save(self, name: str, pixels: Tensor) -> None:
        """Save an image that the run does not depend on; an error is a warning."""
        path = self.folder / "images" / f"{name}.png"
        self.recorder.guard(lambda: results.save(path, pixels, slices=self.picture.depth))

    def _finish(self, image: Tensor, logger: Any, pictures: bool) -> dict[str, Any]:
        """Save the restored image, the scores and the final metrics of a complete run."""
        config, target, seen, slices = self.config, self.config.target, self.observation, self.picture.depth
        self.restored = target.finish(image, seen)
        step = self.present.step
        result = self.result("finished", restored_step=step, **results.scores(target, self.restored, seen))
        if slices > 1:
            result["slices"] = slices
        if pictures:
            self.recorder.save_losses()
            self._save("output", self.restored)
            results.save_restored(self.folder, self.restored, seen, self.picture, slices)
            restored = self.restored
            self.recorder.guard(lambda: show(logger, "restored", restored, step))
            if config.baselines:
                result["baselines"] = results.baselines(target, seen, self.folder / "images", slices)
        plain = {name: value for name, value in schema.plain(config).items() if name not in naming.WITHOUT_EFFECT}
        if logger is not None:
            config.logger.conclude(logger, runs.flat(plain), result, step, close=True)
        return result

    def tidy(self) -> None:
        """There are no checkpoints to delete."""

    def result(self, status: str, **more: Any) -> dict[str, Any]:
        """The content of `result.json` at this moment; `more` is added."""
        known: dict[str, Any] = {"steps": self.present.step, "precision": self.precision, "events": []}
        if status != "failed":
            known |= self.recorder.summary() | {"peak_memory_bytes": memory.peak_memory(self.device)}
        return results.content(status, self.config, self.folder, self.device, **known, **more)
