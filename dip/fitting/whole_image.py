"""What `Fit` and `RivalFit` share: the observation, the device, the records, and the files of the run folder."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor

from dip import runs
from dip.callbacks.early_stopping import Stopping
from dip.callbacks.recorder import Recorder
from dip.callbacks.rollback import Rollback
from dip.callbacks.schedule import Schedule
from dip.callbacks.signals import Signals
from dip.configuration import schema
from dip.fitting import results
from dip.fitting.work import Work
from dip.hardware import devices
from dip.runs import naming
from dip.stopping.rule import Rule
from dip.targets import Observation

log = logging.getLogger("dip")


class WholeImage(Work):
    """A run in one piece, not in tiles.

    Raises:
        DipError: an image, the device or the number format is not usable, or the memory does not suffice.
    """

    signals: Signals
    observation: Observation

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

    def run(self, progress: bool, pictures: bool = True) -> dict[str, Any]:
        """See `Work.run`. `pictures`: save images and baselines; without them only `restored` is computed."""
        raise NotImplementedError

    def save(self, name: str, pixels: Tensor) -> None:
        """Save an image that the run does not depend on; an error is a warning."""
        path = self.folder / "images" / f"{name}.png"
        self.recorder.guard(lambda: results.save(path, pixels, slices=self.slices))

    def conclude(self, logger: Any, result: dict[str, Any], step: int, close: bool = False) -> None:
        """Give the options and the final metrics to the logger, if there is one."""
        plain = {name: value for name, value in schema.plain(self.config).items() if name not in naming.WITHOUT_EFFECT}
        if logger:
            self.config.logger.conclude(logger, runs.flat(plain), result, step, close)
