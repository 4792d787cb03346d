"""The computation of a run with a method other than Deep Image Prior: a denoiser restores the observation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from dip.callbacks.progress_bar import Progress
from dip.configuration import schema
from dip.configuration.schema import Config
from dip.errors import ImageError, OptionError, RunError
from dip.fitting import cost, results
from dip.fitting.fit import Fit
from dip.fitting.fit_errors import one_line
from dip.fitting.lightning_alone import alone
from dip.fitting.whole_image import WholeImage
from dip.hardware import devices, memory
from dip.methods import Classical, Denoiser, Learned
from dip.noise.clipping import unclipped
from dip.noise.dependence import described
from dip.noise.level import noise_levels
from dip.options import log
from dip.targets.noise_models import Estimated


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


def whole(config: Config, *given: Any) -> Fit | DenoiserFit:
    """The computation of a run on the whole image: `Fit`, or `DenoiserFit` for a method other than Deep Image Prior.

    The arguments are those of `dip.fitting.work.Work`.
    """
    return (DenoiserFit if isinstance(config.method, Denoiser) else Fit)(config, *given)


class DenoiserFit(WholeImage):
    """A run of a method in `dip.methods.Denoiser`. There are no checkpoints: an interrupted run starts again."""

    def __post_init__(self) -> None:
        config, method = self.config, self.config.method
        assert isinstance(method, Denoiser)
        self.method = method
        self.observation = self.prepare("fp32" if isinstance(method, Classical) else config.precision.name)
        if self.arithmetic.name == "fp16":
            legal = f"auto, bf16, fp32 or tf32 with method={method.name}"
            raise OptionError("precision", "fp16", legal, "precision=bf16")
        seen, smallest = self.observation, method.smallest
        if min(seen.size) < smallest:
            height, width = seen.size
            raise ImageError(
                f"image: has {height} x {width} pixels, method={method.name} needs at least {smallest} x {smallest}; "
                "take another method, for example method=bm3d"
            )
        self.noise = config.target.noise_model(*noise_levels(seen.y))
        self.steps = method.total(config.steps)
        self.watch(self.steps, None)
        self.cost = cost.afford(config, seen.shape)
        self.module = Present(self.device)

    def run(self, progress: bool) -> dict[str, Any]:
        """Restore and save. See `Fit.run`.

        Raises:
            RunError: the training diverged.
        """
        config, seen = self.config, self.observation
        with (
            devices.prepared(self.arithmetic, benchmark=config.precision.benchmark), alone(),
            one_line(self.folder, seen.size, self.device),
        ):  # fmt: skip
            memory.reset_peak_memory(self.device)
            logger = config.logger.build(self.folder, schema.plain(config), 1)
            self.save_inputs(logger)
            watchers: list[Any] = [self.recorder]
            watchers += [Progress(self.steps, self.recorder, self.method.name)] if progress else []
            trainer = SimpleNamespace(logger=logger)
            self.announce(self.steps)
            for watcher in watchers:
                watcher.on_train_start(trainer, self.module)

            def after(step: int, loss: Tensor, image: Callable[[], Tensor]) -> bool:
                self.module.step, self.module.loss, self.module.image = step, loss, image
                for watcher in watchers:
                    watcher.on_train_batch_end(trainer, self.module)
                return self.signals.received is not None

            try:
                image = self._restored(after).float().cpu()
            finally:
                if progress:
                    watchers[-1].on_train_end()
            if self.signals.received is not None and self.module.step < self.steps:
                self.signals.interrupted = True
                return self.result("interrupted", signal=self.signals.received)
            if not image.isfinite().all():
                raise RunError(
                    f"method={self.method.name}: the training diverged; try another seed, for example seed=1"
                )
            return self._finish(image.clamp(0, 1), logger)

    def announce(self, steps: int) -> None:
        """See `WholeImage.announce`. Also log the noise level, and which speed-ups have no effect."""
        super().announce(steps)
        name = self.method.name
        computed = "" if steps == 1 else f"{steps:,} steps in {self.arithmetic.name}, "
        level = f"noise level {255 * self.noise.level(self.observation.y):.1f} of 255"
        line = self.noise.line if isinstance(self.method, Classical) and isinstance(self.noise, Estimated) else None
        log.info("method=%s: %s%s", name, computed, level if line is None else described(line))
        for option in self.config.precision.speedups("cpu"):  # those that were asked for
            log.warning("precision.%s: has no effect with method=%s", option, name)

    def _restored(self, after: Any) -> Tensor:
        """The restored image, (1, C, H, W)."""
        seen = self.observation
        if isinstance(self.method, Classical):
            from dip.targets.baselines import BASELINES  # scikit-image is slow to import

            image = BASELINES["denoising"][self.method.name](seen, self.noise)
            assert image is not None, "None only for impulses"
            if self.method.unclip:
                line = self.noise.dependence()
                if line is None:
                    log.warning(
                        "method.unclip: has no effect on this noise, whose variance is no linear function of brightness"
                    )
                elif not line[0]:  # else the inverse transform has corrected it
                    image = unclipped(image.clamp(0, 1), seen.y, line)
            after(1, (image - seen.y).square().mean().to(self.device), lambda: image.to(self.device))
            return image
        assert isinstance(self.method, Learned)
        half = torch.bfloat16 if self.arithmetic.name == "bf16" else None
        y = seen.y.to(self.device, self.arithmetic.dtype)
        training = self.method.training(y, self.noise.level(seen.y), self.config.seed, half)
        self.parameters = sum(parameter.numel() for parameter in training.net.parameters())
        return training.run(self.steps, after)

    def _finish(self, image: Tensor, logger: Any) -> dict[str, Any]:
        """Save the restored image, the scores and the final metrics of a complete run."""
        target, seen = self.config.target, self.observation
        self.restored = target.finish(image, seen)
        scores = results.scores(target, self.restored, seen)
        result = self.result("finished", restored_step=self.module.step, **scores)
        result |= results.details(seen, self.slices, None)
        self.save_results(logger, result, self.restored, close=True)
        return result
