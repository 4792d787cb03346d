"""More steps asked of a run that is over: the longer one begins where that one ended. Imports no torch."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from dip.errors import RunError
from dip.runs import read_result, write_bytes
from dip.runs.generations import manifest_of, path_of, step_of, store, stored, verified

log = logging.getLogger("dip")


def extend(folder: Path, identity: str, steps: int) -> Path | None:
    """Puts the furthest usable checkpoint of a neighbour into the run folder `folder`, and answers whose it was.

    A neighbour lies beside `folder` and has the same `identity`, which leaves the number of steps out; its checkpoint is
    of fewer steps than `steps`. Pictures of earlier steps come along; metrics and losses are in the checkpoint.
    TensorBoard's events stay, since they tell of an end. Nothing is done, and None returned, where `folder` has a
    checkpoint already.

    Left aside are runs that a stopping rule ended, since a longer one would have ended there too, and a last step that
    would have been no record of a longer run (`record_every`): that would leave other numbers behind.
    """
    if stored(folder / "checkpoints"):
        return None
    found = [(step_of(path), path) for path in _beside(folder) if step_of(path) < steps]
    for step, path in sorted(found, reverse=True):
        try:
            manifest = manifest_of(path)  # of hundreds of runs, only the one that fits is read whole
            if manifest["identity"] != identity or not _prefix(path.parents[1], step, manifest["options"]):
                continue
            data, manifest = verified(path)
        except RunError:  # damaged, or just being deleted by a run at work
            continue
        neighbour = path.parents[1]
        _bring_along(neighbour, folder, step)
        place = path_of(folder / "checkpoints", step)
        place.parent.mkdir(exist_ok=True)
        store(place, data, identity, {name: manifest[name] for name in ("options", "torch")}, keep=2)
        log.info("%s has these options and fewer steps; going on from its step %d", neighbour, step)
        return neighbour
    return None


def _beside(folder: Path) -> list[Path]:
    """The checkpoints of all runs that lie beside `folder`."""
    found = []
    for checkpoints in folder.parent.glob("*/checkpoints"):
        try:
            found += stored(checkpoints)
        except OSError:  # just being deleted
            continue
    return found


def _prefix(folder: Path, step: int, options: dict[str, Any]) -> bool:
    """Whether the state of `step` in `folder` is one that a longer run passes through."""
    result = read_result(folder)
    if result is not None and result["status"] == "stopped":
        return False
    return step < options["steps"] or step == 1 or step % options["record_every"] == 0


def _bring_along(neighbour: Path, folder: Path, step: int) -> None:
    """Copies pictures that are for looking at: without one of them the run goes on."""
    for picture in sorted((neighbour / "images").glob("step-*.png")):
        number = re.fullmatch(r"step-([0-9]{6,})", picture.stem)
        if number is None or int(number[1]) > step:
            continue
        try:
            (folder / "images").mkdir(exist_ok=True)
            write_bytes(folder / "images" / picture.name, picture.read_bytes())
        except (OSError, RunError) as error:
            log.warning("%s: not brought along (%s)", picture, error)
