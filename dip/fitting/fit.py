"""The computing part of a run: from options and pictures to a fitted network and its restored image."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from dip import runs
from dip.callbacks.checkpointing import Checkpoints
from dip.callbacks.early_stopping import Stopping
from dip.callbacks.progress_bar import Progress
from dip.callbacks.recorder import Recorder
from dip.callbacks.rollback import Rollback
from dip.callbacks.schedule import Schedule
from dip.callbacks.signals import Signals
from dip.configuration import schema as options
from dip.configuration.schema import Config
from dip.errors import RunError
from dip.fitting import results
from dip.fitting.inputs import Pictures, observe
from dip.hardware import devices, memory, threads
from dip.model import data
from dip.model.module import DeepImagePrior
from dip.runs.branching import extend
from dip.runs.checkpoints import DipCheckpointIO, newest
from dip.runs.generations import step_of
from dip.seeds import derive
from dip.stopping.panel import Panel

log = logging.getLogger("dip")


class Fit:
    """Everything that one run needs, checked and in memory; nothing is written before `run`.

    Args:
        config: the options.
        folder: the run folder.
        identity: of the trajectory, which a checkpoint must share to be continued, as must the number format.
        pictures: where some are not files; default those that `config` names.

    Raises:
        DipError: a picture cannot be read, the reference does not fit, the device or the precision is not to be had.
    """

    def __init__(self, config: Config, folder: Path, identity: str, pictures: Pictures | None = None) -> None:
        self.config, self.folder = config, folder
        self.device = devices.pick_device(config.device)
        self.arithmetic = devices.pick_precision(config.precision.name, self.device)
        # precision=auto means another format elsewhere, and other numbers from there on.
        self.identity = runs.fingerprint({"options": identity, "precision": self.arithmetic.name})
        config.logger.check()
        with devices.prepared(self.arithmetic):
            self.precision = self.arithmetic.describe()  # the flags as they are while it runs
        self.picture, self.observation = observe(config, pictures or Pictures(config))
        seen = self.observation
        self.reference = seen.reference
        known = None if seen.known is None else seen.known.to(self.device)
        self.rule = config.stop.start(seen.y.to(self.device), config.seed, known, config.perturbation_warm_up)
        self.schedule = Schedule(config.steps, config.record_every, config.snapshot_every)
        self.module: DeepImagePrior | None = None  # once it runs
        self.signals = Signals()
        self.restored: Tensor | None = None  # (1, C, H, W) on the CPU, once the fit has come to its end

    def extend(self) -> None:
        """Lets this run begin where one beside it ended that has the same options and fewer steps."""
        extend(self.folder, self.identity, self.config.steps)

    def build(self) -> tuple[DeepImagePrior, data.FixedPair]:
        """The module and its data, a function of the options and the seed alone."""
        config, seen = self.config, self.observation
        size = config.net.padded(*seen.size)
        # Each restart draws weights, z and noise of its own.
        more = [derive(config.seed, "restart", number) for number in range(2, config.ensemble + 1)]
        seeds = [config.seed, *more]
        nets = [self._net(seed, size) for seed in seeds]
        if seen.z is None:
            z = torch.cat([data.draw(config.z, size, seed) for seed in seeds])  # (ensemble, C_z, H', W')
        else:
            z = data.extend(seen.z, size).expand(len(seeds), -1, -1, -1)
        module = DeepImagePrior(
            nets, seen.size, seen.operator, loss=config.loss, optimizer=config.optimizer, lr=config.lr,
            perturbation=config.perturbation,
            warm_up=config.perturbation_warm_up, half_life=config.perturbation_half_life,
            distribution=config.perturbation_distribution, ema=config.ema, seeds=seeds,
            weights=None if self.rule is None else self.rule.loss_mask,
            speedups=config.precision.speedups(),
        )  # fmt: skip
        if self.arithmetic.name == "fp64":
            module.double()  # Lightning does it too, but only after a checkpoint's weights are in their place
        return module, data.FixedPair(z, seen.y, self.device)

    def _net(self, seed: int, size: tuple[int, int]) -> nn.Module:
        seen, channels = self.observation, self.picture.pixels.shape[1]
        inputs = self.config.z.channels if seen.z is None else seen.z.shape[1]
        with torch.random.fork_rng(devices=[]):
            # Not `torch.manual_seed`, which seeds every GPU too, for good.
            torch.default_generator.manual_seed(derive(seed, "weights"))
            return self.config.net.build(inputs, channels, self.config.skips, size)

    def run(self, progress: bool, pictures: bool = True) -> dict[str, Any]:
        """Fits, or goes on fitting, and saves; returns the content of `result.json`.

        Without `pictures`, neither images nor figures nor baselines are made: `restored` is all that is wanted.
        """
        frugal = getattr(self.config.net, "checkpoint_activations", False)
        # At once they need the memory of all; compiled code and graphs are the main thread's.
        together = 1 if frugal or self.config.precision.speedups() else self.config.ensemble
        with (
            devices.prepared(self.arithmetic, frugal), _quiet_lightning(), self._enough_memory(),
            threads.side_by_side(together, self.device) as each,
        ):  # fmt: skip
            memory.reset_peak_memory(self.device)
            module, pair = self.build()
            described = runs.flat(options.plain(self.config)) | {"precision.name": self.arithmetic.name}
            checkpoint = newest(self.folder / "checkpoints", self.identity, options=described)
            if checkpoint is not None:
                log.info("continuing from %s", checkpoint.name)
            self.module, module.each = module, each
            self.stopping = Stopping(self.rule, self.schedule)
            reference = None if self.reference is None else self.reference.to(self.device)
            self.rollback = Rollback(self.schedule, self.stopping)
            self.recorder = Recorder(
                self.folder, self.schedule, reference, self.stopping, self.rollback,
                finish=lambda image: self.config.target.finish(image, self.observation),
            )  # fmt: skip
            keeper = Checkpoints(self.folder / "checkpoints", self.config.checkpoint_every, self.signals)
            # In the order of a step.
            watchers: list[Callback] = [self.rollback, self.stopping, self.recorder, keeper, self.signals]
            if progress:
                watchers.append(Progress(self.config.steps, self.recorder, self.config.target.name))
            first = 1 if checkpoint is None else step_of(checkpoint) + 1
            logger = self.config.logger.build(self.folder, options.plain(self.config), first)
            trainer = Trainer(
                accelerator=self.device.type, devices=1 if self.device.index is None else [self.device.index],
                precision=self.arithmetic.plugin, max_steps=self.config.steps, max_epochs=-1,
                callbacks=watchers, plugins=[DipCheckpointIO(self.identity, options=described)], logger=logger or False,
                default_root_dir=self.folder, num_sanity_val_steps=0, limit_val_batches=0,
                enable_checkpointing=False, enable_model_summary=False, enable_progress_bar=False,
            )  # fmt: skip
            if pictures:
                self._show("target", self.observation.y)
                if self.reference is not None:
                    self._show("reference", self.reference)
            trainer.fit(module, pair, ckpt_path=None if checkpoint is None else str(checkpoint))
            interrupted = (
                self.signals.ends is not None and module.step < self.config.steps and not self.stopping.fired
            )
            if interrupted:
                return results.result(self, "interrupted", signal=self.signals.ends)
            with self.signals.waiting():
                return self._finish(trainer, keeper, pictures)

    def _image_path(self, name: str) -> Path:
        return self.folder / "images" / f"{name}.png"

    def _show(self, name: str, pixels: Tensor) -> None:
        """Saves what is only for looking at: without it the run goes on."""
        self.recorder.guard(lambda: results.save(self._image_path(name), pixels))

    def _finish(self, trainer: Trainer, keeper: Checkpoints, pictures: bool) -> dict[str, Any]:
        """Saves the images, the figures and the final metrics of a run that has come to its end."""
        assert self.module is not None
        target, seen = self.config.target, self.observation
        # The fit may have gone on at its very end, without a record.
        self.recorder.guard(self.recorder.rewrite)
        average, step = self.stopping.restored(self.module)
        self.restored = target.finish(average.cpu().clamp(0, 1), seen)  # not all networks are bounded
        scores = results.scores(target, self.restored, seen)
        status = "stopped" if self.stopping.fired else "finished"
        result = results.result(self, status, restored_step=step, **scores)
        if isinstance(self.rule, Panel):
            result["rules"] = results.rules(target, seen, self.rule, result["oracle_psnr"])
        if pictures:
            self._show("output", self.module.output.cpu())
            results.save(self._image_path("restored"), self.restored, like=self.picture)
            if self.config.baselines:
                result["baselines"] = results.baselines(target, seen, self.folder / "images")
            self.recorder.guard(lambda: results.draw(self.folder, self.recorder, result))
        if trainer.logger is not None:
            final = {
                f"final/{name}": result[name] for name in ("loss", "psnr", "ssim") if result[name] is not None
            }
            self.config.logger.finish(trainer.logger, runs.flat(options.plain(self.config)), final)
        if self.config.keep_checkpoint:
            keeper.save(trainer, self.module.step)
        return result

    def tidy(self) -> None:
        """Removes the checkpoints that nobody asked to keep; not before `result.json` is there, which takes their place."""
        if not self.config.keep_checkpoint:
            shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        """Turns an allocator's error into one that names the size and what to lower."""
        try:
            yield
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
            if not known and "allocate memory" not in str(error):
                raise
            height, width = self.observation.size
            raise RunError(
                f"out of memory on {self.device} at {height} x {width}{memory.held_by_others(self.device)}: lower size, net.channels, net.skip_channels or ensemble, "
                "or set net.checkpoint_activations=true, for example size=512 net.channels=64"
            ) from error


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keeps Lightning's tips and its advice about loaders, which do not concern one fixed pair, off the terminal."""
    loggers = [
        logging.getLogger(name) for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch")
    ]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*not resumable.*")
            warnings.filterwarnings("ignore", ".*LeafSpec.*")  # Lightning 2.6 on torch 2.13
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
