"""The Python call: one image in, one restored image out, and the process as it was before."""

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
    """Restores one image by fitting an untrained network to it (Deep Image Prior).

    Options are those of the command line, with the same names and defaults; groups and `z` are names, dicts or objects:
    `net={"channels": 32}`, `precision="fp32"`, `z={"distribution": "uniform"}`. Classical `baselines` are computed
    only if asked for, TensorBoard events are written only with `logger="tensorboard"`, both only into `out`.

    Nothing global changes: random states, number of threads, default dtype, TF32, logging, warning filters and signal
    handlers are afterwards what they were before.

    Args:
        image: a path, the name of a sample, a PIL image, or an array or tensor (H, W) or (H, W, C) of uint8, uint16, bool or
            floats in [0, 1], with any number of channels C.
        target: what is observed of the image, `degraded` (as it is), `noisy`, `inpaint`, `superres`, `jpeg`,
            `deblur`, `flash`, `clean`, `noise` or `shuffled`: a name, a dict of options with the `name`, or an object
            from `dip.targets`. Its pictures (a mask, a kernel) can be arrays in a dict.
        experiment: a file in conf/experiment, such as `fast` for a noisy photo; its options are taken, but for `target`, where
            none are given here.
        stop: the stopping rule, `auto` (`combined` for `degraded`, else `never`), `never`, `wmv`, `emv`, `heldout`, `discrepancy`,
            `combined` or `compare`; None: the experiment's, else `auto`.
        steps: optimisation steps at most; None: the experiment's, else 10,000.
        out: the folder for the run folder, which is found again by the same call; None leaves nothing behind.
        progress: show a progress bar, in a terminal or a notebook.
        options: any other field of `dip.configuration.schema.Config`: `reference`, `size`, `net`, `skips`, `lr`, `seed`, `device`, ...

    Returns:
        The restored image with its history, metrics and run folder.

    Raises:
        DipError: an option, a picture or the machine does not allow it; the text is one line.
        KeyboardInterrupt: the user interrupted the fit. With `out`, the same call goes on where it was.

    A photo that is already degraded (`examples` here use tiny sizes and few steps; take `steps=3000` and no `size`):

    >>> import dip
    >>> tiny = {"size": 32, "steps": 10, "net": {"channels": 8, "depth": 3}, "skips": [2], "progress": False}
    >>> dip.restore("chelsea", target="degraded", stop="wmv", **tiny).image.shape
    (32, 32, 3)

    Noise of four kinds, added to a clean image:

    >>> dip.restore("astronaut", target={"name": "noisy", "kind": "poisson", "peak": 20}, **tiny).metrics["steps"]
    10

    Missing pixels, under a mask that is 1 where they are known:

    >>> import numpy as np
    >>> mask = np.ones((32, 32)); mask[8:16, 8:16] = 0
    >>> result = dip.restore("coffee", target={"name": "inpaint", "mask": mask}, reference="coffee", **tiny)
    >>> sorted(name for name in result.metrics["protocol"])
    ['psnr', 'psnr_hole', 'ssim']

    Four times larger, from an array:

    >>> small = np.random.default_rng(0).random((16, 12, 3))
    >>> dip.restore(small, target={"name": "superres", "factor": 4}, **{**tiny, "size": None}).image.shape
    (64, 48, 3)

    JPEG artefacts, made here; a known blur; a flash photo as the network's input:

    >>> dip.restore("rocket", target={"name": "jpeg", "quality": 10}, **tiny).observed.shape
    (32, 32, 3)
    >>> from dip.targets import Deblur
    >>> dip.restore("camera", target=Deblur(kernel="motion", length=5, simulate=True), **tiny).image.shape
    (32, 32)
    >>> dip.restore("coffee", target="flash", lr=0.1, perturbation=0, **tiny).image.shape
    (32, 32, 3)

    The report's targets, `clean`, `noise` and `shuffled`:

    >>> [dip.restore("moon", target=name, **tiny).image.shape for name in ("clean", "noise", "shuffled")]
    [(32, 32), (32, 32), (32, 32)]
    """
    written = {"out": "outputs" if out is None else out}
    asked = {"logger": "csv", "baselines": False, **options}
    named = {"experiment": experiment, "stop": stop, "steps": steps}
    asked |= {name: value for name, value in named.items() if value is not None}
    config, given = assemble({**asked, **written, "image": image, "target": target})
    with _unchanged():
        pictures = Pictures(config, given)
        return (
            _in_memory(config, pictures, progress) if out is None else _in_folder(config, pictures, progress)
        )


def _in_folder(config: Config, pictures: Pictures, progress: bool) -> Restoration:
    """A run that leaves its folder, or the one that did."""
    metrics = experiment.run(config, progress=progress, given=pictures.given, array=True)
    _raise_interrupt(metrics)
    folder = Path(metrics.pop("folder"))
    if runs.lacks_figures(folder):
        from dip.report.figures.run import draw

        draw(folder)
    like, seen = observe(config, pictures)
    return _restoration(_read_back(folder, like), seen.y, metrics, runs.history(folder), folder, like)


def _in_memory(config: Config, pictures: Pictures, progress: bool) -> Restoration:
    """A run whose folder is temporary: no pictures, figures or checkpoints are written."""
    from dip.fitting.fit import Fit

    never = dataclasses.replace(config, checkpoint_every=1e9, snapshot_every=config.steps + 1)
    with tempfile.TemporaryDirectory(prefix="dip-") as folder:
        fit = Fit(never, Path(folder), "", pictures)
        with fit.signals:
            metrics = fit.run(progress, pictures=False)
        history = runs.history(folder)
    _raise_interrupt(metrics)
    metrics["config"].update(checkpoint_every=config.checkpoint_every, snapshot_every=config.snapshot_every)
    assert fit.restored is not None, "a fit that was not interrupted has come to its end"
    return _restoration(fit.restored, fit.observation.y, metrics, history, None, fit.picture)


def _restoration(
    restored: Tensor,
    y: Tensor,
    metrics: dict[str, Any],
    history: dict[str, list[float]],
    folder: Path | None,
    picture: Picture,
) -> Restoration:
    """Arrays (H, W) where the input was such an array or a gray file, else (H, W, C)."""
    gray_file = picture.pixels.shape[1] == 1 and picture.path is not None
    like = dataclasses.replace(picture, flat=picture.flat or gray_file)
    return Restoration(
        images.to_array(restored, like), images.to_array(y, like), metrics, history, folder, like
    )


def _read_back(folder: Path, like: Picture) -> Tensor:
    """The restored image of a run that a call or a command line left, (1, C, H, W)."""
    exact, deep = folder / "images" / "restored.npy", folder / "images" / "restored.tif"
    if exact.is_file():
        array = np.load(exact, allow_pickle=False)  # (H, W, C)
        return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()
    path = deep if deep.is_file() else folder / "images" / "restored.png"
    return images.load(path, "out", like.scale).pixels


def _raise_interrupt(metrics: dict[str, Any]) -> None:
    """A signal that ended the fit is sent on, now that the handlers are the caller's again."""
    if metrics["status"] == "interrupted":
        signal.raise_signal(metrics["signal"])
        raise RunError(
            f"the fit was interrupted at step {metrics['steps']}; call again, with out= to go on from there"
        )


@contextlib.contextmanager
def _unchanged() -> Iterator[None]:
    """Puts back what Lightning changes in the process, and gives the run's memory back."""
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()} if main else {}
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            yield
    except SystemExit as error:
        # Lightning answers Ctrl-C by ending the process, which is not for a function to do.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        gc.collect()  # a trainer and its parts refer to each other: the run's tensors would wait for the next round
