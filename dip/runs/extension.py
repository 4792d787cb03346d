"""Extend a finished run: a run of more steps starts from the last checkpoint of a shorter one."""

import contextlib
from pathlib import Path
from typing import Any

from dip.errors import RunError
from dip.files import write_bytes
from dip.options import log
from dip.runs import read_result, snapshots
from dip.runs.checkpoint_files import footer_of, path_of, step_of, stored, verified


def extend(folder: Path, identity: str, steps: int) -> None:
    """Copy the furthest usable checkpoint of a shorter run into the run folder `folder`.

    Nothing happens if `folder` has a checkpoint, or if there is no such run. The shorter run lies beside `folder` and
    has the same `identity`, which excludes the number of steps. Its snapshots are copied too; metrics and losses are in
    the checkpoint. TensorBoard events stay, because they record the end of that run.

    Not used are: a run that a stopping rule ended, because a longer run would have ended there too; and a checkpoint of
    a last step that is not a multiple of `record_every`, because a longer run has no record there.
    """
    if stored(folder / "checkpoints"):
        return
    found = []
    for checkpoints in folder.parent.glob("*/checkpoints"):
        with contextlib.suppress(OSError):  # deleted by its own process at this moment
            found += [(step_of(path), path) for path in stored(checkpoints) if step_of(path) < steps]
    for step, path in sorted(found, reverse=True):
        try:
            footer = footer_of(path)  # of hundreds of runs, only the matching one is read whole
            if footer["identity"] != identity:
                continue
            data, footer = verified(path)
        except RunError:  # damaged, or deleted by its own process at this moment
            continue
        other = path.parents[1]
        if not _is_prefix(other, step, footer["options"]):
            continue
        _copy_snapshots(other, folder, step)
        place = path_of(folder / "checkpoints", step)
        place.parent.mkdir(exist_ok=True)
        write_bytes(place, data)
        log.info("%s has the same options and fewer steps; continuing from its step %d", other, step)
        return


def _is_prefix(folder: Path, step: int, options: dict[str, Any]) -> bool:
    """True if a longer run passes through the state of `step` in `folder`."""
    if (read_result(folder) or {}).get("status") == "stopped":
        return False
    return step < options["steps"] or step == 1 or step % options["record_every"] == 0


def _copy_snapshots(source: Path, folder: Path, step: int) -> None:
    """Copy the snapshots up to `step`. One that cannot be copied is a warning, because nothing depends on it."""
    for at, path in snapshots(source):
        try:
            if at <= step:
                (folder / "images").mkdir(exist_ok=True)
                write_bytes(folder / "images" / path.name, path.read_bytes())
        except (OSError, RunError) as error:
            log.warning("%s: not copied (%s)", path, error)
