"""Faults that are injected from outside: signals, a full disk, a missing or read-only folder, damaged files."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
from collections.abc import Callable
from pathlib import Path

from dip import runs
from dip.runs.checkpoints import stored
from tests.runs.states import DAMAGES as CHECKPOINT_DAMAGES

# The signals sent, and the exit statuses allowed: an orderly end, or the default action before the fit starts or after
# it has ended. After a status other than zero, the same command resumes.
SIGNALS: dict[str, tuple[list[int], tuple[int, ...]]] = {
    "SIGKILL": ([signal.SIGKILL], (0, -9)),
    "SIGTERM": ([signal.SIGTERM], (0, 143, -15)),
    "SIGINT": ([signal.SIGINT], (0, 130, -2)),
    "SIGINT twice": ([signal.SIGINT, signal.SIGINT], (0, 130, -2)),
    "SIGHUP": ([signal.SIGHUP], (0, 129, -1)),
    "SIGUSR1": ([signal.SIGUSR1], (0,)),
    "SIGTERM, then SIGKILL": ([signal.SIGTERM, signal.SIGKILL], (0, 143, -15, -9)),
}


def limited(size: int) -> Callable[[], None]:
    """For the new process: no file may grow beyond `size` bytes, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def nobody() -> None:
    """For the new process: give up root, which may write everywhere."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def _checkpoints(damage: Callable[[Path], object], only_newest: bool = True) -> Callable[[Path, random.Random], bool]:
    def act(folder: Path, rng: random.Random) -> bool:
        paths = [path for path in stored(folder / "checkpoints") if path.is_file()]
        for path in paths[:1] if only_newest else paths:
            damage(path)
        return bool(paths)

    return act


def _cut(name: str) -> Callable[[Path, random.Random], bool]:
    def act(folder: Path, rng: random.Random) -> bool:
        path = folder / name
        if not path.is_file() or not path.stat().st_size:
            return False
        os.truncate(path, rng.randrange(path.stat().st_size))
        return True

    return act


def _no_result(folder: Path, rng: random.Random) -> bool:
    there = (folder / "result.json").exists()
    (folder / "result.json").unlink(missing_ok=True)
    return there


def _stale_lock(folder: Path, rng: random.Random) -> bool:
    holder = {"pid": 2**22 + 1, "host": "elsewhere", "started": "2000-01-01T00:00:00+00:00"}
    (folder / ".lock").write_text(json.dumps(holder))
    return True


def _temporaries(folder: Path, rng: random.Random) -> bool:
    for place in (folder, folder / "images", folder / "checkpoints"):
        if place.is_dir():
            (place / f".half.{rng.randrange(99999)}-{rng.randrange(16**8):08x}.tmp").write_bytes(bytes(99))
    return True


# Each acts on a run folder that no process holds. False if there is nothing to damage.
DAMAGES: dict[str, Callable[[Path, random.Random], bool]] = {
    **{f"newest checkpoint: {name}": _checkpoints(damage) for name, damage in CHECKPOINT_DAMAGES.items()},
    "every checkpoint: one bit": _checkpoints(CHECKPOINT_DAMAGES["one bit"], only_newest=False),
    "result.json deleted": _no_result,
    "result.json cut": _cut("result.json"),
    "metrics.csv cut": _cut("metrics.csv"),
    "a stale lock": _stale_lock,
    "temporary files": _temporaries,
}


def may_damage(kind: str, folder: Path) -> bool:
    """A finished run need not survive damage to what it kept, except to its result, which is made again."""
    return not runs.finished(folder) or kind.startswith("result.json")
