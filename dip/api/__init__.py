"""`dip.restore`: one image in, one restored image out, and no global state changed."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dip import images, runs
from dip.api.assemble import assemble
from dip.api.restoration import Restoration
from dip.configuration.schema import Config
from dip.errors import RunError
from dip.fitting import experiment
from dip.fitting.inputs import Pictures, observe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dip.images import Picture
    from dip.stopping import Stop
    from dip.targets import Target


def restore(
    image: str | os.PathLike[str] | NDArray[Any] | Tensor,
    target: str | Mapping[str, Any] | Target = "degraded",
    *,
    experiment: str | None = None,
    stop: str | Mapping[str, Any] | Stop | None = None,
    steps: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> Restoration:
    """Restore one image by fitting an untrained network to it (Deep Image Prior).

    Options have the names and defaults of the command line; a group or `z` is a name, a dict or an object:
    `precision="fp32"`, `net={"channels": 32}`, `z={"distribution": "uniform"}`. Two defaults differ: `baselines=False`
    and `logger="csv"`. Baselines and logs are written only into `out`.

    No global state changes: random states, number of threads, default dtype, TF32, logging, warning filters and signal
    handlers are restored when the call returns.

    Args:
        image: a path, the name of a sample, a PIL image, or an array or tensor (H, W) or (H, W, C) of uint8, uint16,
            bool or floats in [0, 1], with any number of channels C.
        target: the observation that is made of the image: `degraded` (the image as it is), `noisy`, `inpaint`,
            `superres`, `jpeg`, `deblur`, `flash`, `clean`, `noise` or `shuffled`. It is a name, a dict of options with
            the `name`, or an object from `dip.targets`. Its pictures (a mask, a kernel) can be arrays in a dict.
        experiment: a file in conf/experiment, such as `fast` for a noisy photo. It sets the options that are not given
            here; `target` is always the argument's.
        stop: the stopping rule, `auto` (`adaptive` for `degraded`, else `never`), `never`, `wmv`, `emv`, `heldout`,
            `discrepancy`, `covariance`, `combined`, `adaptive` or `compare`; None: the experiment's, else `auto`.
        steps: the maximum number of optimisation steps; None: the experiment's, else 10,000.
        out: the folder in which the run folder is made; the same call finds it again. None writes no files.
        progress: show a progress bar, in a terminal or a notebook.
        options: any other field of `dip.configuration.schema.Config`: `reference`, `size`, `net`, `skips`, `lr`, ...

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
    """
    optional = {"experiment": experiment, "stop": stop, "steps": steps, "out": out}
    options |= {name: value for name, value in optional.items() if value is not None}
    defaults = {"logger": "csv", "baselines": False}
    config, given = assemble({**defaults, **options, "image": image, "target": target})
    run = _in_folder if out is not None else _in_tiles if config.tile else _in_memory
    with _unchanged():
        return run(config, Pictures(config, given), progress)


def _in_folder(config: Config, pictures: Pictures, progress: bool) -> Restoration:
    """Run in a folder, or read the finished run of the same options."""
    if config.tile:
        from dip import tiles  # imports Hydra

        metrics = tiles.run(config, progress=progress, given=pictures.given, array=True)
    else:
        metrics = experiment.run(config, progress=progress, given=pictures.given, array=True)
    _raise_interrupt(metrics)
    folder = Path(metrics.pop("folder"))
    if runs.lacks_figures(folder):
        from dip.report.figures.run import draw

        draw(folder)
    like, seen = observe(config, pictures)
    return _restoration(_read_back(folder, like), seen.y, metrics, runs.history(folder), folder, like)


def _in_tiles(config: Config, pictures: Pictures, progress: bool) -> Restoration:
    """Run in a temporary folder, where the processes of the tiles find their parts of the image."""
    with tempfile.TemporaryDirectory(prefix="dip-") as out:
        return dataclasses.replace(_in_folder(dataclasses.replace(config, out=out), pictures, progress), folder=None)


def _in_memory(config: Config, pictures: Pictures, progress: bool) -> Restoration:
    """Run in a temporary folder, without pictures, figures and checkpoints."""
    from dip.fitting.fit import Fit

    never = dataclasses.replace(config, checkpoint_every=1e9, snapshot_every=config.steps + 1)
    with tempfile.TemporaryDirectory(prefix="dip-") as out:
        folder = Path(out, "run")  # a logger may write beside it
        folder.mkdir()
        fit = Fit(never, folder, "", pictures)
        with fit.signals:
            metrics = fit.run(progress, pictures=False)
        history = runs.history(folder)
    _raise_interrupt(metrics)
    metrics["config"].update(checkpoint_every=config.checkpoint_every, snapshot_every=config.snapshot_every)
    assert fit.restored is not None, "set by every fit that was not interrupted"
    return _restoration(fit.restored, fit.observation.y, metrics, history, None, fit.picture)


def _restoration(
    restored: Tensor,
    y: Tensor,
    metrics: dict[str, Any],
    history: dict[str, list[float]],
    folder: Path | None,
    picture: Picture,
) -> Restoration:
    """The result with arrays (H, W) if the input was such an array or a gray file, else (H, W, C)."""
    gray_file = picture.pixels.shape[1] == 1 and picture.path is not None
    like = dataclasses.replace(picture, flat=picture.flat or gray_file)
    return Restoration(images.to_array(restored, like), images.to_array(y, like), metrics, history, folder, like)


def _read_back(folder: Path, like: Picture) -> Tensor:
    """The restored image in a run folder, (1, C, H, W)."""
    exact, deep = folder / "images" / "restored.npy", folder / "images" / "restored.tif"
    if exact.is_file():
        array = np.load(exact, allow_pickle=False)  # (H, W, C)
        return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()
    path = deep if deep.is_file() else folder / "images" / "restored.png"
    return images.load(path, "out", like.scale).pixels


def _raise_interrupt(metrics: dict[str, Any]) -> None:
    """Raise the signal that interrupted the fit again, for the caller's handlers."""
    if metrics["status"] == "interrupted":
        signal.raise_signal(metrics["signal"])
        raise RunError(f"the fit was interrupted at step {metrics['steps']}; with out=, the same call resumes it")


@contextlib.contextmanager
def _unchanged() -> Iterator[None]:
    """Restore the global state that Lightning changes, and free the run's memory."""
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()} if main else {}
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            yield
    except SystemExit as error:
        # Lightning exits at Ctrl-C; a function must not.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        gc.collect()  # a trainer and its parts are a reference cycle, which keeps the run's tensors
