"""Base class of `Fit` and `DenoiserFit`: the observation, the device, the records, and the files of the run folder."""

import os
from typing import Any

import torch
from torch import Tensor

from dip import runs
from dip.callbacks.early_stopping import Stopping
from dip.callbacks.recorder import Recorder
from dip.callbacks.rollback import Rollback
from dip.callbacks.schedule import Schedule
from dip.callbacks.signals import Signals
from dip.configuration import schema
from dip.configuration.loggers import show
from dip.configuration.schema import Config
from dip.fitting import results, uncertainty
from dip.fitting.cost import Cost, can_be_cut, describe
from dip.fitting.work import Work
from dip.hardware import devices, memory
from dip.images import Picture, preview
from dip.options import log
from dip.runs import IN_SWEEP, naming
from dip.stopping.rule import Rule
from dip.targets import Observation
from dip.targets.jpeg_file import quality_of

SMALL = 16
"""Side in pixels below which an image has too few pixels for the receptive field of the network."""
STRONG = 50
"""Quality of a JPEG below which its artefacts, and not noise, are what is visible."""


class WholeImage(Work):
    """A run in one piece, not in tiles.

    Raises:
        DipError: an image, the device or the number format is not usable, or the memory does not suffice.
    """

    signals: Signals
    observation: Observation
    cost: Cost | None
    module: Any = None
    """What computes, once it exists: a `DeepImagePrior`, or what stands for it."""
    parameters: int | None = None
    """The number of weights of its networks."""

    def prepare(self, precision: str) -> Observation:
        """Select the device and the number format, and return the observation."""
        config = self.config
        self.device = devices.pick_device(config.device)
        self.arithmetic = devices.pick_precision(precision, self.device)
        config.logger.check()
        benchmark = config.precision.benchmark
        if benchmark and self.device.type != "cuda":
            log.warning("precision.benchmark: has no effect on %s", self.device.type)
        with devices.prepared(self.arithmetic, benchmark=benchmark):
            self.precision = self.arithmetic.describe()  # the flags that are set during the run
        self.picture, seen = self.given
        self.slices, self.signals = self.picture.depth, Signals()
        return seen

    def watch(self, steps: int, rule: Rule | None, seconds: float = 0.0) -> None:
        """Make the callbacks that record `steps` steps and apply `rule`. `seconds` have been computed before."""
        config, target, seen = self.config, self.config.target, self.observation
        self.schedule = Schedule(steps, config.record_every, config.snapshot_every)
        self.stopping = Stopping(rule, self.schedule, config.stop.to_the_end)
        self.rollback = Rollback(self.schedule, self.stopping)
        reference = None if seen.reference is None else seen.shown(seen.reference).to(self.device)
        self.recorder = Recorder(
            self.folder, self.schedule, reference, self.stopping, self.rollback,
            finish=lambda image: seen.shown(target.finish(image, seen)),
            on_record=self.on_record, slices=self.slices,
        )  # fmt: skip
        self.recorder.before = seconds

    def announce(self, steps: int) -> None:
        """Log advice, and the estimated cost of `steps` steps."""
        advise(self.config, self.picture, self.device)
        if self.cost is not None:
            tiles = can_be_cut(self.config, self.picture.pixels.shape[-2:])
            log.info("%s", describe(self.cost, steps, self.device, tiles))

    def save(self, name: str, pixels: Tensor) -> None:
        """Save an image that the run does not depend on; an error is a warning."""
        path = self.folder / "images" / f"{name}.png"
        self.recorder.guard(lambda: results.save(path, pixels, slices=self.slices))

    def _show(self, logger: Any, name: str, pixels: Tensor, step: int) -> None:
        self.recorder.guard(lambda: show(logger, name, preview(pixels, self.slices), step))

    def save_inputs(self, logger: Any) -> None:
        """Save the observation, the reference and the mask, and give them to the logger, if there is one."""
        if not self.with_images:
            return
        seen, target = self.observation, self.observation.picture_of_y()
        reference = None if seen.reference is None else seen.shown(seen.reference)
        images = {"target": target, "reference": reference, "mask": None if target is None else seen.known}
        for name, pixels in images.items():
            if pixels is not None:
                self.save(name, pixels)
                self._show(logger, name, pixels, 0)

    def save_results(self, logger: Any, result: dict[str, Any], output: Tensor, close: bool = False) -> None:
        """Save the losses and the images of a complete run, `output` beside the restored one, and add the baselines.

        The logger, if there is one, gets the options and the final metrics; `close` as in `Logger.conclude`.
        """
        seen, place = self.observation, self.folder / "images"
        if self.with_images:
            assert self.restored is not None
            self.recorder.save_losses()
            self.save("output", output)
            results.save_restored(self.folder, self.restored, seen, self.picture, self.slices)
            uncertainty.save(place, self.spread)
            self._show(logger, "restored", seen.shown(self.restored), result["restored_step"])
            if self.config.baselines:
                result["baselines"] = results.baselines(self.config.target, seen, place, self.slices)
        if logger:
            options = {name: x for name, x in schema.plain(self.config).items() if name not in naming.WITHOUT_EFFECT}
            self.config.logger.conclude(logger, runs.flat(options), result, close)

    def result(self, status: str, **more: Any) -> dict[str, Any]:
        faster = getattr(self.module, "faster", None) or {}
        known: dict[str, Any] = {"estimate": self.cost and self.cost.plain(), "precision": {**self.precision, **faster}}
        known |= {"steps": self.module and self.module.step, "events": self.rollback.events}
        if status != "failed":
            known |= self.recorder.summary() | {"parameters": self.parameters}
            known |= {"peak_memory_bytes": memory.peak_memory(self.device)}
        return results.content(status, self.config, self.folder, self.device, **known, **more)


def advise(config: Config, picture: Picture, device: torch.device) -> None:
    """Warn if the image is too small, the GPU is shared, or `target=degraded` has a strongly compressed JPEG file."""
    if IN_SWEEP not in os.environ and (held := memory.held_by_others(device)):
        log.warning("device=%s is shared%s", device, held)
    height, width = picture.pixels.shape[-2:]
    if min(height, width) < SMALL:
        option, larger = ("image", "a larger photo, of ") if config.size is None else ("size", "")
        log.warning(
            "%s: %d x %d pixels (height x width) are hardly enough to restore anything; give %sat least %d pixels a side%s",
            option, height, width, larger, SMALL, "" if larger else f", for example size={16 * SMALL}",
        )  # fmt: skip
    if config.target.name != "degraded" or config.size is not None or picture.jpeg is None:
        return
    quality = quality_of(picture.jpeg)
    if quality < STRONG:
        log.warning(
            "image=%s: a JPEG of quality %d, whose artefacts are not noise; target=jpeg removes them, for example "
            "python train.py image=%s target=jpeg", config.image, quality, config.image,
        )  # fmt: skip
