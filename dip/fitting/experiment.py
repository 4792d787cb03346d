"""One run, from its options to its folder: load, build, fit, save.

`run` is torch-free until it is certain that there is something to compute, so that asking for a finished run again
takes well under a second.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip import runs
from dip.configuration import schema as options
from dip.configuration.schema import Config
from dip.errors import DipError, RunError
from dip.fitting.inputs import Pictures
from dip.runs import naming

if TYPE_CHECKING:
    from dip.fitting.fit import Fit
    from dip.images import Picture

log = logging.getLogger("dip")


def run(
    config: Config,
    overrides: Sequence[str] = (),
    progress: bool = True,
    given: Mapping[str, Picture] | None = None,
    array: bool = False,
) -> dict[str, Any]:
    """Runs the experiment that `config` describes, or finishes one that was interrupted.

    Args:
        config: the options.
        overrides: how they were asked for on the command line, kept in the run folder.
        progress: show a progress bar.
        given: pictures in memory, by the option (`image`, `reference`, `target.mask`, ...) whose place they take.
        array: also leave `images/restored.npy`, the restored image (H, W, C) float32 to the last bit.

    Returns:
        The content of the run's `result.json`, with its `folder`. `status` is "finished", "stopped" (by the stopping
        rule) or "interrupted" (by a signal, whose number is `signal`).

    Raises:
        DipError: an option, an image or the run folder does not allow it. Where the fit itself fails, `result.json`
            says so too.
    """
    pictures = Pictures(config, given)
    identity, folder = place(config, pictures)
    done = runs.read_result(folder)
    if done is not None and runs.finished(folder) and not config.overwrite:
        log.info("%s: %s already, %s", folder, done["status"], _summary(done))
        log.info("restored image: %s", folder / "images" / "restored.png")
        return {**done, "folder": str(folder)}
    pictures.check()
    from dip.fitting.fit import Fit  # torch from here on

    # Everything that a user can have got wrong is found here, before there is a folder.
    fit = Fit(config, folder, runs.fingerprint({**identity, "steps": None}), pictures)
    with runs.Lock(folder):
        if config.overwrite:
            _clear(folder)
        runs.remove_temporaries(folder)  # of a run that was killed while it wrote
        with _logged_to(folder):
            _describe(folder, config, overrides)
            if not config.overwrite:
                fit.extend()
            result = _attempt(fit, progress, array)
    if result["status"] != "interrupted":
        fit.signals.send_on()  # now that the run lets go of its folder: the process may end here
    return {**result, "folder": str(folder)}


def place(config: Config, pictures: Pictures | None = None) -> tuple[dict[str, Any], Path]:
    """What makes the run of `config` this run (see `dip.runs.naming.identity`), and its folder, made or not.

    Raises:
        ImageError: an image cannot be read.
    """
    pictures = pictures or Pictures(config)
    identity = naming.identity(config, pictures.digest("image"), pictures.digest("reference"))
    identity["target"] |= {option: pictures.digest(f"target.{option}") for option in config.target.files()}
    return identity, Path(config.out) / runs.name(naming.readable(config), identity)


def _attempt(fit: Fit, progress: bool, array: bool) -> dict[str, Any]:
    from dip.fitting import results

    try:
        result = fit.run(progress)
        if array and fit.restored is not None:
            results.save_array(fit.folder / "images" / "restored.npy", fit.restored)
    except Exception as error:
        if not fit.folder.is_dir():
            raise RunError(
                f"{fit.folder}: the run folder is gone; put it back and the same command goes on, else it begins anew"
            ) from error
        known = isinstance(error, DipError)
        if not known:
            log.exception("%s: failed", fit.folder)
        why = str(error) if known else f"{type(error).__name__}: {error}"
        runs.write_json(fit.folder / "result.json", results.failed(fit, why))
        raise
    runs.write_json(fit.folder / "result.json", result)
    if result["status"] == "interrupted":
        log.warning("%s: interrupted at step %d; the same command continues it", fit.folder, result["steps"])
    else:
        fit.tidy()
        log.info("%s: %s, %s", fit.folder, result["status"], _summary(result))
        log.info("restored image: %s", fit.folder / "images" / "restored.png")
        log.info("figures:        %s", fit.folder / "figures")
    return result


def _clear(folder: Path) -> None:
    """Empties the run folder, which this process holds the lock of."""
    for path in folder.iterdir():
        if path.name in (".lock", runs.CONSOLE):  # in a sweep, this process writes to the latter
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _describe(folder: Path, config: Config, overrides: Sequence[str]) -> None:
    """Writes `.hydra/`: the composed options and what was typed."""
    import yaml

    try:
        (folder / ".hydra").mkdir(exist_ok=True)
        runs.write_text(
            folder / ".hydra" / "config.yaml", yaml.safe_dump(options.plain(config), sort_keys=False)
        )
        runs.write_text(folder / ".hydra" / "overrides.yaml", yaml.safe_dump(list(overrides)))
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written ({error.strerror}); choose another with out=FOLDER"
        ) from None
    log.info("%s", shlex.join(["python", Path(sys.argv[0]).name, *overrides]))


class _RunLog(logging.FileHandler):
    """Loses lines where the disk is full: a note is not worth a traceback on the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


@contextlib.contextmanager
def _logged_to(folder: Path) -> Iterator[None]:
    """Copies what is logged and warned meanwhile to `run.log`."""
    try:
        handler = _RunLog(folder / "run.log", encoding="utf-8")
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written ({error.strerror}); choose another with out=FOLDER"
        ) from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()


def _summary(result: dict[str, Any]) -> str:
    """The one line at the end of a run."""
    score = "no reference" if result["psnr"] is None else f"PSNR {result['psnr']:.2f} dB"
    which = f"step {result['restored_step']} of {result['steps']}"
    return f"{score}, {which}, {result['seconds']:.0f} s"
