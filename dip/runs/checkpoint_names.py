"""The names of checkpoints. Imports no torch."""

import re
from pathlib import Path

_NAME = re.compile(r"step-([0-9]{9}|[1-9][0-9]{9,})\.ckpt")


def path_of(folder: str | Path, step: int) -> Path:
    """The path of the checkpoint of `step`."""
    return Path(folder) / f"step-{step:09d}.ckpt"


def step_of(path: Path) -> int:
    """The step in a checkpoint's file name."""
    match = _NAME.fullmatch(path.name)
    assert match, f"{path}: the name must be step-<nine digits>.ckpt"
    return int(match[1])


def stored(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, damaged ones included, newest step first; [] if there is no folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in found if _NAME.fullmatch(path.name)), key=step_of, reverse=True)
