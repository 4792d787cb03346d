"""One run, from its options to its folder: load, build, fit, save.

1. `place`: the run folder, from the options and the content of the files that they name (`pictures`)
2. `observe` (`inputs`): the image, and its observation by the target
3. `fit` (`fit`, `denoiser_fit` or `dip.tiles.tiled_fit`): the networks, their data and the callbacks, checked and in memory
4. `fit.run`: the fit itself; writes checkpoints, metrics and images into the folder (`results`)
5. `result.json`, after which the checkpoints are deleted; figures are drawn by `dip.report.figures.run`

`run` imports torch only if there is something to compute, so a finished run is reported in well under a second.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip import runs
from dip.configuration import schema
from dip.configuration.commands import joined
from dip.configuration.schema import Config
from dip.errors import DipError, RunError
from dip.fitting import own_classes
from dip.fitting.pictures import Pictures
from dip.fitting.work import Prepare, Work
from dip.options import log
from dip.runs import naming, warm_start
from dip.samples import SAMPLES

if TYPE_CHECKING:
    from dip.callbacks.recorder import OnRecord
    from dip.fitting.observed import Observed

SAVED = ("baselines", "keep_checkpoint", "snapshot_every")
"""Options that control what a run saves. They have no effect once it has finished."""


def run(
    config: Config,
    overrides: Sequence[str] = (),
    progress: bool = True,
    pictures: Pictures | None = None,
    array: bool = False,
    on_record: OnRecord | None = None,
    prepare: Prepare | None = None,
) -> dict[str, Any]:
    """Run the experiment that `config` describes, or resume it if it was interrupted.

    Args:
        config: the options.
        overrides: the command line arguments, stored in the run folder.
        progress: show a progress bar.
        pictures: those of `config`, if some are in memory; they then hold the observation. None: files.
        array: also write `images/restored.npy`, the restored image (H, W, C) float32, exactly. For measurements it is
            always written.
        on_record: called at each record, see `dip.callbacks.recorder.OnRecord`; not for a run that has finished before.
        prepare: makes what computes the run; default: `dip.fitting.denoiser_fit.whole`.

    Returns:
        The content of the run's `result.json`, with its `folder`. `status` is "finished", "stopped" (by the stopping
        rule) or "interrupted" (by a signal, whose number is `signal`).

    Raises:
        DipError: an option, an image or the run folder is not usable. If the fit itself fails, `result.json` has
            status "failed" and the error.
    """
    pictures = pictures or Pictures(config)
    identity, folder = place(config, pictures)
    if done := _finished(config, folder, overrides):
        return done
    early = MemoryHandler(capacity=10**6, flushOnClose=False)
    with log_added(early):
        from dip.fitting.inputs import observe  # imports torch

        observed = observe(config, pictures)  # a picture that does not fit is refused before Lightning is imported
        from dip.fitting.denoiser_fit import whole
        from dip.fitting.fit_errors import one_line
        from dip.hardware.devices import pick_device
        from dip.runs.extension import extend

        # Every mistake of a user is found here, before the folder is created.
        fingerprint = naming.fingerprint({**identity, "steps": None})
        with one_line(folder, observed.seen.size, pick_device(config.device)):
            fit = (prepare or whole)(config, folder, fingerprint, pictures, on_record)
    with fit.signals, runs.Lock(folder):
        if done := _finished(config, folder, overrides):  # by another process, since the first check
            return done
        if config.overwrite:
            _clear(folder)
        with _logged_to(folder, early.buffer):
            _describe(folder, config, overrides)
            if not config.overwrite:
                extend(folder, fit.identity, config.steps)
            return {**_fit_and_save(fit, observed, progress, array), "folder": str(folder)}


def place(config: Config, pictures: Pictures | None = None) -> tuple[dict[str, Any], Path]:
    """The identity of a run (see `dip.runs.naming.identity`) and its folder, which may not exist.

    Raises:
        ImageError: an image does not exist or cannot be read.
        OptionError: `init` is not a finished run with a checkpoint.
    """
    pictures = pictures or Pictures(config)
    identity = naming.identity(config, pictures.digest("image"), pictures.digest("reference"))
    identity["init"] = warm_start.digest(config.init)
    identity["z"] |= {"guide": pictures.digest("z.guide")}
    identity["target"] |= {option: pictures.digest(f"target.{option}") for option in config.target.files()}
    for group, digest in own_classes.digests(config, pictures).items():
        identity[group] |= {"class": digest}
    return identity, Path(config.out) / naming.name(config, identity)


def _finished(config: Config, folder: Path, overrides: Sequence[str]) -> dict[str, Any] | None:
    """The result of a run that has finished before; None if there is something to compute. Warns of `SAVED` in `overrides`."""
    if config.overwrite or not runs.finished(folder):
        return None
    result = runs.read_result(folder) or {}
    _log_result(folder, f"already {result['status']}", result)
    before, now, typed = result.get("config", {}), schema.plain(config), {word.partition("=")[0] for word in overrides}
    if changed := [name for name in SAVED if name in typed and now[name] != before.get(name, now[name])]:
        log.warning("%s: no effect, since the run has finished; overwrite=true repeats it", ", ".join(changed))
    return {**result, "folder": str(folder)}


def _fit_and_save(fit: Work, observed: Observed, progress: bool, array: bool) -> dict[str, Any]:
    import numpy

    folder = fit.folder
    try:
        result = fit.run(progress)
        if array and fit.restored is not None:
            numpy.save(folder / "images" / "restored.npy", observed.exact(fit.restored))
    except Exception as error:
        if not folder.is_dir():
            raise RunError(
                f"{folder}: the run folder was deleted or moved during the run; restore it and repeat the command to "
                "resume, otherwise the run restarts"
            ) from error
        known = isinstance(error, DipError)
        if not known:
            log.exception("%s: failed", folder)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        runs.write_json(folder / "result.json", fit.result("failed", error=" ".join(reason.split())))
        raise
    runs.write_json(folder / "result.json", result)
    if result["status"] == "interrupted":
        again = "resume" if fit.resumes else "start again: this method has no checkpoints"
        log.warning("%s: interrupted %s; repeat the command to %s", folder, fit.reached(result), again)
        if step := result["restored_step"]:
            total = fit.config.method.total(fit.config.steps)
            log.info("image so far: %s (step %d of %d)", _image(folder, result), step, total)
        return result
    if not fit.config.keep_checkpoint:  # not before result.json exists, which replaces them
        fit.tidy()
    _log_result(folder, result["status"], result)
    return result


def _clear(folder: Path) -> None:
    """Empty the run folder, except for its lock and the console log that this process writes to in a sweep."""
    for path in folder.iterdir():
        if path.name in (*runs.Lock.FILES, runs.CONSOLE):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _describe(folder: Path, config: Config, overrides: Sequence[str]) -> None:
    """Write `.hydra/`: the composed options and the command line arguments."""
    import yaml

    runs.write_text(folder / ".hydra" / "config.yaml", yaml.safe_dump(schema.plain(config), sort_keys=False))
    runs.write_text(folder / ".hydra" / "overrides.yaml", yaml.safe_dump(list(overrides)))
    program = Path(sys.argv[0])
    start = ["python", program.name] if program.suffix == ".py" else [program.name]
    if program.name == "__main__.py" and program.resolve().parent.name == "dip":
        start = ["python", "-m", "dip"]
    log.info("%s", joined([*start, *overrides]))
    if config.target.name == "noisy" and config.image not in SAMPLES:
        log.info("target=noisy adds noise to %s; target=degraded restores the image as it is", config.image)


class _RunLog(logging.FileHandler):
    """A log file that drops lines on a full disk instead of printing a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


@contextlib.contextmanager
def log_added(handler: logging.Handler) -> Iterator[None]:
    """Give log messages from INFO on to `handler`, too."""
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()


@contextlib.contextmanager
def _logged_to(folder: Path, early: Sequence[logging.LogRecord]) -> Iterator[None]:
    """Create `.hydra/`, and copy log messages to `run.log`, after the earlier ones."""
    try:
        (folder / ".hydra").mkdir(exist_ok=True)
        handler = _RunLog(folder / "run.log", encoding="utf-8")
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror}); choose another with out=FOLDER") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for record in early:
        handler.handle(record)
    with log_added(handler):
        yield


def _log_result(folder: Path, status: str, result: Mapping[str, Any]) -> None:
    """Log the numbers of a finished run in one line, and where its image is."""
    psnr = result["psnr"]
    which = f"restored from step {result['restored_step']} of {result['steps']}"
    if result["restored_step"] == 0:
        which = "the image is returned unchanged"
    if "tiles" in result:
        which = f"{len(result['tiles'])} tiles of at most {result['steps']} steps"
    facts = [] if psnr is None else [f"PSNR {psnr:.2f} dB"]
    facts += [which, f"{result['seconds']:.0f} s"]
    facts += ["reference=IMAGE adds scores"] if psnr is None and "protocol" not in result else []
    log.info("%s: %s (%s)", folder, status, ", ".join(facts))
    log.info("restored image: %s", _image(folder, result))


def _image(folder: Path, result: Mapping[str, Any]) -> str:
    """The file of the restored image; where a PNG file cannot hold its values, the one that does, and the PNG file."""
    shown = folder / "images" / "restored.png"
    # Runs of images write restored.npy only for `dip.restore`, at their end.
    measured = "units" in result or result["status"] == "interrupted"
    exact = [shown.with_suffix(suffix) for suffix in (".tif", ".npy")[: 1 + measured]]
    values = next((file for file in exact if file.is_file()), None)
    return f"{values}, shown in {shown.name}" if values else str(shown)
