"""The computation of a run: from options and images to a fitted network and its restored image."""

import dataclasses
import shutil
import time
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, Trainer

from dip import runs
from dip.callbacks.checkpointing import Checkpoints
from dip.callbacks.progress_bar import Progress
from dip.configuration import schema
from dip.fitting import cost, plugins, results, uncertainty
from dip.fitting.fit_errors import one_line
from dip.fitting.lightning_alone import OneProcess, alone, trainer_of
from dip.fitting.network_input import networks, with_all_channels
from dip.fitting.own_classes import Plugin
from dip.fitting.prefilter import mixed, perturbation, prefiltered, without_impulses
from dip.fitting.probe import together
from dip.fitting.whole_image import WholeImage
from dip.hardware import devices, memory, threads
from dip.methods import Variant
from dip.model import data
from dip.model.module import DeepImagePrior
from dip.nets.fused import fusible
from dip.noise.level import CLEAN, drawn
from dip.options import log
from dip.runs import naming, warm_start
from dip.runs.checkpoint_files import DipCheckpointIO, latest, step_of
from dip.seeds import derive
from dip.stopping.adaptive import Adaptive, explain
from dip.stopping.panel import Panel
from dip.targets.fourier import MaskedFourier


class Fit(WholeImage):
    """A fit of networks to one image."""

    module: DeepImagePrior | None = None

    def __post_init__(self) -> None:
        seen, began = self.prepare(self.config.precision.name), time.perf_counter()
        # precision=auto selects another format on another machine, which gives other numbers.
        self.identity = naming.fingerprint({"options": self.identity, "precision": self.arithmetic.name})
        model, stop = self.config.target.known_noise(), self.config.stop
        if (
            isinstance(stop, Adaptive)
            and model
            and not model.impulses
            and model.level(seen.y) > CLEAN
            and drawn(seen.y)
        ):
            # Counts of few photons have two values, as a text has.
            self.config = dataclasses.replace(self.config, stop=dataclasses.replace(stop, noise=stop.noise or "white"))
        with one_line(self.folder, seen.size, self.device):
            self.observation = seen = prefiltered(self.config, seen)
            seconds = time.perf_counter() - began  # of BM3D for method=guided
            self.config = config = plugins.try_out(self.config, seen, self.device, self.arithmetic.dtype)
        if config.net.volumetric:
            self.config = config = dataclasses.replace(config, net=config.net.for_slices(self.slices))
        known = None if seen.known is None else seen.known.to(self.device)
        image = seen.measurements is None and not isinstance(seen.operator, MaskedFourier)
        stop = config.stop.suited(config.target.exact and seen.intervals is None, image)
        self.rule = stop.start(seen.y.to(self.device), config.seed, known, config.perturbation_warm_up)
        if self.rule is not None:
            self.rule.share = seen.share
            if seen.intervals is not None:
                self.rule.project = seen.intervals.to(self.device).project
        self.watch(config.steps, self.rule, seconds)
        self.initial = None if config.init is None else warm_start.weights(config, seen.shape)
        self.cost = cost.afford(with_all_channels(config, seen), seen.shape)

    def build(self) -> tuple[DeepImagePrior, data.FixedPair]:
        """The module and its data, a function of the options, the seed and the weights of `init` alone."""
        config, seen = self.config, self.observation
        size = config.net.padded(*seen.size)
        # Each network of an ensemble has its own weights, z and perturbation.
        seeds = [config.seed, *(derive(config.seed, "restart", number) for number in range(2, config.ensemble + 1))]
        nets, z = networks(config, seen, size, seeds, self.device)
        assert isinstance(config.method, Variant)
        extras = [config.method.extras(net, z[i : i + 1], seen.y, seeds[i]) for i, net in enumerate(nets)]
        speedups = config.precision.speedups(self.device.type, own_net=isinstance(config.net, Plugin))
        if config.precision.kernels and not fusible(layer for net in nets for layer in net.modules()):
            log.warning("precision.kernels: has no effect with net=%s, which has none of these layers", config.net.name)
            speedups.remove("kernels")
        module = DeepImagePrior(
            nets, seen.size, seen.operator, loss=config.loss, optimizer=config.optimizer, lr=config.lr,
            perturbation=perturbation(config, seen), warm_up=config.perturbation_warm_up, half_life=config.perturbation_half_life,
            distribution=config.perturbation_distribution, ema=config.ema, seeds=seeds,
            weights=None if self.rule is None else self.rule.loss_mask,
            kernel=None if self.rule is None else self.rule.loss_filter,
            extras=extras, intervals=seen.intervals,
            speedups=speedups,
        )  # fmt: skip
        if config.init is not None and self.initial is not None:
            warm_start.start(module, self.initial, config.init)
        if self.arithmetic.name == "fp64":
            module.double()  # Lightning does this too, but only after it has loaded a checkpoint's weights
        return module, data.FixedPair(z, seen.y, self.device)

    def run(self, progress: bool) -> dict[str, Any]:
        """Fit, or resume, and save. See `Work.run`."""
        frugal = getattr(self.config.net, "checkpoint_activations", False)
        with (
            devices.prepared(self.arithmetic, frugal, self.config.precision.benchmark), alone(),
            one_line(self.folder, self.observation.size, self.device),
            threads.side_by_side(together(self.config, self.device), self.device) as each,
        ):  # fmt: skip
            memory.reset_peak_memory(self.device)
            module, pair = self.build()
            self.module, module.each = module, each
            self.parameters = sum(parameter.numel() for parameter in module.nets.parameters())
            described = runs.flat(schema.plain(self.config)) | {"precision.name": self.arithmetic.name}
            checkpoint = latest(self.folder / "checkpoints", self.identity, described)
            if checkpoint is not None:
                log.info("continuing from %s", checkpoint.name)
            checkpoints = Checkpoints(self.folder / "checkpoints", self.config.checkpoint_every, self.signals)
            # In the order of a step.
            callbacks: list[Callback] = [self.rollback, self.stopping, self.recorder, checkpoints, self.signals]
            if progress:
                callbacks.append(Progress(self.config.steps, self.recorder, self.config.target.name))
            first = 1 if checkpoint is None else step_of(checkpoint) + 1
            logger = self.config.logger.build(self.folder, schema.plain(self.config), first)
            trainer = trainer_of(
                self.device, precision=self.arithmetic.plugin, max_steps=self.config.steps, callbacks=callbacks,
                logger=logger or False, default_root_dir=self.folder,
                plugins=[DipCheckpointIO(self.identity, options=described), OneProcess()],
            )  # fmt: skip
            self.save_inputs(trainer.logger if checkpoint is None else None)
            self.announce(self.config.steps)
            if self.rule is not None and self.rule.chosen is not None:
                log.info("%s", explain(self.rule.chosen))
            trainer.fit(module, pair, ckpt_path=None if checkpoint is None else str(checkpoint))
            complete = module.step == self.config.steps or self.stopping.fired
            if self.signals.received is not None and not complete:
                self.signals.interrupted = True
                step = self._save_present()
                return self.result("interrupted", signal=self.signals.received, restored_step=step)
            return self._finish(trainer, checkpoints)

    def _save_present(self) -> int:
        """Save the present restored image of an interrupted run. Returns its step."""
        assert self.module is not None
        average, step = self.stopping.restored(self.module)
        if self.with_images:
            seen, like = self.observation, self.picture
            image = self.config.target.finish(mixed(seen.limited(average.cpu()), seen, self.noise)[0], seen)
            self.recorder.guard(lambda: results.save_restored(self.folder, image, seen, like, self.slices))
        return step

    @property
    def noise(self) -> Mapping[str, Any] | None:
        """What stop=adaptive found, for `mixed`."""
        return without_impulses(self.config, None if self.rule is None else self.rule.chosen)

    def _finish(self, trainer: Trainer, checkpoints: Checkpoints) -> dict[str, Any]:
        """Save the restored image, the scores and the final metrics of a complete run."""
        assert self.module is not None
        config, target, seen = self.config, self.config.target, self.observation
        self.recorder.guard(self.recorder.rewrite)  # a run that resumed at its last step has recorded nothing
        average, step = self.stopping.restored(self.module)
        image, weight = mixed(seen.limited(average.cpu()), seen, self.noise)
        self.restored = target.finish(image, seen)
        scores = results.scores(target, self.restored, seen)
        constant, status = results.constant_loss(self.module, seen), "stopped" if self.stopping.fired else "finished"
        result = self.result(status, restored_step=step, constant_loss=constant, **scores)
        warning = results.warning(result["loss"], constant, config.lr, config.steps, self.module.output)
        if step > 0 and warning:
            result["warning"] = warning
            log.warning("%s", warning)
        result |= results.details(seen, self.slices, self.rule)
        if config.stop.to_the_end:
            result["ended"] = self.stopping.ended
        if self.stopping.spread is not None:
            disagreement = self.stopping.spread.float().cpu() * weight
            if self.rule is not None and self.rule.fitted is not None:
                disagreement *= self.rule.fitted.float().cpu()
            self.spread = seen.deviation(disagreement)
            if ranked := uncertainty.scores(disagreement, self.restored, seen.reference):
                result["spread"] = ranked
        if isinstance(self.rule, Panel):
            result["rules"] = results.rules(target, seen, self.rule, result["oracle_psnr"])
        self.save_results(trainer.logger, result, seen.shown(self.module.output.cpu()))
        if self.config.keep_checkpoint:
            checkpoints.save(trainer, self.module.step)
        return result

    def tidy(self) -> None:
        """Delete the checkpoints."""
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
