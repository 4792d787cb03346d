"""More steps asked of a run that is over: the longer one begins where that one ended. Imports no torch."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from dip.errors import RunError
from dip.runs import read_result, write_bytes
from dip.runs.generations import path_of, step_of, store, stored, verified

log = logging.getLogger("dip")


def take_up(folder: Path, identity: str, steps: int) -> Path | None:
    """Puts the furthest usable checkpoint of a neighbour into the run folder `folder`, and answers whose it was.

    A neighbour lies beside `folder` and has the same `identity`, which leaves the number of steps out; its checkpoint is
    of fewer steps than `steps`. Pictures of earlier steps and TensorBoard's events come along; metrics and losses are in
    the checkpoint. Nothing is done, and None returned, where `folder` has a checkpoint already.

    Left aside are runs that a stopping rule ended, since a longer one would have ended there too, and a last step that
    would have been no record of a longer run (`record_every`): that would leave other numbers behind.
    """
    if stored(folder / "checkpoints"):
        return None
    found = [
        (step_of(path), path)
        for checkpoints in folder.parent.glob("*/checkpoints")
        for path in stored(checkpoints)
        if step_of(path) < steps
    ]
    for step, path in sorted(found, reverse=True):
        try:
            data, manifest = verified(path)
        except RunError:  # damaged, or just being deleted by a run at work
            continue
        if manifest["identity"] == identity and _prefix(path.parents[1], step, manifest["options"]):
            neighbour = path.parents[1]
            _bring_along(neighbour, folder, step)
            place = path_of(folder / "checkpoints", step)
            place.parent.mkdir(exist_ok=True)
            store(place, data, identity, {name: manifest[name] for name in ("options", "torch")}, keep=2)
            log.info("%s has these options and fewer steps; going on from its step %d", neighbour, step)
            return neighbour
    return None


def _prefix(folder: Path, step: int, options: dict[str, Any]) -> bool:
    """Whether the state of `step` in `folder` is one that a longer run passes through."""
    result = read_result(folder)
    if result is not None and result["status"] == "stopped":
        return False
    return step < options["steps"] or step == 1 or step % options["record_every"] == 0


def _bring_along(neighbour: Path, folder: Path, step: int) -> None:
    (folder / "images").mkdir(exist_ok=True)
    for picture in sorted((neighbour / "images").glob("step-[0-9]*.png")):
        if int(picture.stem[5:]) <= step:
            write_bytes(folder / "images" / picture.name, picture.read_bytes())
    for events in neighbour.glob("events.out.tfevents.*"):
        shutil.copyfile(events, folder / events.name)
