"""`dip.restore`: one image in, one restored image out, and no global state changed."""

import dataclasses
import logging
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dip import images, runs
from dip.api.assemble import assemble
from dip.api.isolation import isolated, log_shown
from dip.api.restoration import Restoration
from dip.callbacks.recorder import OnRecord
from dip.configuration.schema import Config
from dip.errors import OptionError, RunError
from dip.fitting import experiment
from dip.fitting.inputs import observe
from dip.fitting.observed import Observed
from dip.fitting.pictures import Pictures
from dip.fitting.work import Prepare
from dip.options import log
from dip.stopping import Stop
from dip.targets import Target

DEFAULTS = {"logger": "csv", "baselines": False}
"""The options of `restore` that differ from those of the command line."""


def restore(
    image: str | os.PathLike[str] | bytes | NDArray[Any] | Tensor,
    target: str | Mapping[str, Any] | Target = "degraded",
    *,
    operator: Any = None,
    shape: Sequence[int] | None = None,
    experiment: str | None = None,
    stop: str | Mapping[str, Any] | Stop | None = None,
    steps: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    on_record: OnRecord | None = None,
    **options: Any,
) -> Restoration:
    """Restore one image by fitting an untrained network to it (Deep Image Prior).

    Options have the names and defaults of the command line; a group or `z` is a name, a dict or an object:
    `precision="fp32"`, `net={"channels": 32}`, `z={"distribution": "uniform"}`. Two defaults differ: `baselines=False`
    and `logger="csv"`. Baselines and logs are written only into `out`.

    No global state changes: random states, number of threads, default dtype, TF32, logging, warning filters, signal
    handlers and environment variables are as before when the call returns. The result does not depend on the caller's
    modes (`no_grad`, `inference_mode`, `autocast`, default dtype and device). Calls from several threads take turns;
    use processes, `dip.compare` or a sweep to run at the same time. A process forked by multiprocessing computes with
    one thread.

    Args:
        image: a path, the name of a sample, the bytes of a file, a file open for reading bytes, a PIL image, or an
            array or tensor (H, W) or (H, W, C) of bools, integers or floats, with any number of channels C. `axes`
            gives another order, such as `axes="CHW"`; `range` the values that become 0 and 1, such as `range=(0, 4095)`.
            `target="jpeg"` needs a file, or a PIL image that was opened from one and not changed.
        target: the observation that is made of the image: `degraded` (the image as it is), `noisy`, `inpaint`,
            `superres`, `jpeg`, `deblur`, `flash`, `clean`, `noise` or `shuffled`. It is a name, a dict of options with
            the `name`, or an object from `dip.targets`. Its pictures (a mask, a kernel) can be arrays in a dict.
        operator: A, where `image` holds measurements y of any shape, real or complex: a differentiable function of an
            image tensor (1, C, H, W) whose result has the shape of y, an object with such a method `A` (as a physics of
            deepinv), or the path of a Python file that defines `operator`, which is run. Without `range` the image's
            values are not bounded, and their scale is estimated. `complex=True` makes the image complex. See
            `Restoration.values`.
        shape: (C, H, W) of the image, with `operator`.
        experiment: a file in conf/experiment, such as `fast` for a noisy photo. It sets the options that are not given
            here; `target` is always the argument's.
        stop: the stopping rule, `auto` (`adaptive` for `degraded`, else `never`), `never`, `wmv`, `emv`, `heldout`,
            `discrepancy`, `covariance`, `combined`, `adaptive` or `compare`; None: the experiment's, else `auto`.
        steps: the maximum number of optimisation steps; None: the experiment's, else 10,000.
        out: the folder in which the run folder is made; the same call finds it again. None writes no files.
        progress: show a progress bar, in a terminal or a notebook, and the log on stderr if logging is not configured.
        on_record: called as `on_record(step, loss, psnr, image)` at every record (`record_every`, 50 steps): `psnr` in
            dB, None without a reference; `image` is the average of the outputs so far, (H, W, C) float32 in [0, 1]. An
            exception ends the run and reaches the caller; with `out`, the same call resumes from the last checkpoint.
            Tiles do not call it; with `tile="auto"`, as in `experiment="photo"`, the image is then fitted at once.
        options: any other field of `dip.configuration.schema.Config`: `reference`, `size`, `range`, `axes`, `net`, ...

    Returns:
        The restored image with its history, metrics and run folder.

    Raises:
        DipError: an illegal option, an unreadable picture, a missing device, ...; the message is one line.
        KeyboardInterrupt: the user interrupted the fit. With `out`, the same call resumes it.

    A photo that is already degraded (the examples use tiny images and few steps; use `steps=3000` and no `size`):

    >>> import dip
    >>> tiny = {"size": 32, "steps": 10, "net": {"channels": 8, "depth": 3}, "skips": [2], "progress": False}
    >>> dip.restore("chelsea", target="degraded", stop="wmv", **tiny).image.shape
    (32, 32, 3)

    Simulated noise, of one of five kinds:

    >>> dip.restore("astronaut", target={"name": "noisy", "kind": "poisson", "peak": 20}, **tiny).metrics["steps"]
    10

    Missing pixels; the mask is 1 where pixels are known:

    >>> import numpy as np
    >>> mask = np.ones((32, 32)); mask[8:16, 8:16] = 0
    >>> result = dip.restore("coffee", target={"name": "inpaint", "mask": mask}, reference="coffee", **tiny)
    >>> sorted(name for name in result.metrics["protocol"])
    ['psnr', 'psnr_hole', 'ssim']

    Super-resolution by 4, from an array:

    >>> small = np.random.default_rng(0).random((16, 12, 3))
    >>> dip.restore(small, target={"name": "superres", "factor": 4}, **{**tiny, "size": None}).image.shape
    (64, 48, 3)

    A known blur, as an object:

    >>> from dip.targets import Deblur
    >>> dip.restore("camera", target=Deblur(kernel="motion", length=5, simulate=True), **tiny).image.shape
    (32, 32)

    Any operator and measurements of any shape, here a random projection; `values` are in the units of the image:

    >>> import torch
    >>> matrix = torch.randn(500, 32 * 32, generator=torch.Generator().manual_seed(0))
    >>> y = matrix @ torch.full((32 * 32,), 7.0)
    >>> result = dip.restore(y, operator=lambda x: matrix @ x.flatten(), shape=(1, 32, 32), **{**tiny, "size": None})
    >>> result.values.shape
    (32, 32)

    A look at the run while it fits; in a notebook, show `image` here:

    >>> def show(step, loss, psnr, image):
    ...     print(step, image.shape, psnr is None)
    >>> result = dip.restore("camera", "noisy", on_record=show, **tiny)
    1 (32, 32, 1) False
    2 (32, 32, 1) False
    5 (32, 32, 1) False
    10 (32, 32, 1) False
    """
    if on_record is not None and not callable(on_record):
        raise OptionError("on_record", on_record, "a function of (step, loss, psnr, image)", "on_record=print")
    given = {"operator": operator, "shape": shape, "experiment": experiment, "stop": stop, "steps": steps, "out": out}
    options |= {name: value for name, value in given.items() if value is not None}
    with isolated(), log_shown(progress):
        config, pictures = assemble({**DEFAULTS, **options, "image": image, "target": target})
        run = _in_memory if out is None else _in_folder
        return run(config, Pictures(config, pictures), progress, on_record)


def _prepare(config: Config) -> Prepare | None:
    """What makes the computation of a run that is fitted in tiles; None for a whole image."""
    if not config.tile:
        return None
    from dip import tiles  # imports Hydra

    return tiles.prepare(config)


def _in_folder(config: Config, pictures: Pictures, progress: bool, on_record: OnRecord | None) -> Restoration:
    """Run in a folder, or read the finished run of the same options."""
    metrics = experiment.run(
        config, progress=progress, pictures=pictures, array=True, on_record=on_record, prepare=_prepare(config)
    )
    raise_interrupt(metrics)
    folder = Path(metrics.pop("folder"))
    if runs.lacks_figures(folder):
        from dip.report.figures.run import draw

        draw(folder)
    level = log.level
    log.setLevel(logging.ERROR)  # of a run that finished before, all has been said
    try:
        observed = observe(config, pictures)
    finally:
        log.setLevel(level)
    file = folder / "images" / "spread.npy"
    spread = np.load(file, allow_pickle=False) if file.is_file() else None
    return _restoration(observed, observed.read(folder), spread, metrics, runs.history(folder), folder)


def _in_memory(config: Config, pictures: Pictures, progress: bool, on_record: OnRecord | None) -> Restoration:
    """Run in a temporary folder, without pictures, figures and checkpoints."""
    from dip.fitting.denoiser_fit import whole

    never = dataclasses.replace(config, checkpoint_every=1e9, snapshot_every=config.method.total(config.steps) + 1)
    with tempfile.TemporaryDirectory(prefix="dip-") as out:
        folder = Path(out, "run")  # a logger may write beside it
        folder.mkdir()
        observed = observe(config, pictures)
        make = _prepare(dataclasses.replace(config, out=out)) or whole
        fit = make(never, folder, "", pictures, on_record, False)  # saves no images
        with fit.signals:
            metrics = fit.run(progress)
        history = runs.history(folder)
    raise_interrupt(metrics)
    metrics["config"].update(checkpoint_every=config.checkpoint_every, snapshot_every=config.snapshot_every)
    assert fit.restored is not None, "set by every fit that was not interrupted"
    spread = None if fit.spread is None else images.to_array(fit.spread)
    return _restoration(observed, observed.exact(fit.restored), spread, metrics, history)


def _restoration(
    observed: Observed,
    exact: NDArray[Any],
    spread: NDArray[Any] | None,
    metrics: dict[str, Any],
    history: dict[str, list[float]],
    folder: Path | None = None,
) -> Restoration:
    """The result with the arrays `exact`, the restored image, and `spread`, (H, W, C), in the axes of the input."""
    image, y, values = observed.arrays(exact)
    like = observed.picture
    disagreement = None if spread is None else images.arranged(spread, like)
    return Restoration(image, y, metrics, history, folder, like, values, disagreement)


def raise_interrupt(metrics: Mapping[str, Any]) -> None:
    """Raise the signal that interrupted a fit again, for the caller's handlers."""
    if metrics["status"] == "interrupted":
        signal.raise_signal(metrics["signal"])
        at = "" if "tiles" in metrics else f" at step {metrics['steps']}"  # each tile has its own
        advice = 'the same call resumes it if it has a folder, for example out="runs"'
        raise RunError(f"the fit was interrupted{at}; {advice}")
