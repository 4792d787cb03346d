"""Faults, injected from outside: signals, limits, a folder that goes or may not be written, files that are damaged."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from dip import runs
from dip.runs.generations import stored

SIGNALS: dict[str, tuple[list[int], tuple[int, ...]]] = {
    # What is sent, and with which status the run may end: by itself, as it does when told to, or at once where it
    # has not begun to fit or has ended fitting. Whatever is not zero, the same command goes on.
    "SIGKILL": ([signal.SIGKILL], (0, -9)),
    "SIGTERM": ([signal.SIGTERM], (0, 143, -15)),
    "SIGINT": ([signal.SIGINT], (0, 130, -2)),
    "SIGINT twice": ([signal.SIGINT, signal.SIGINT], (0, 130, -2)),
    "SIGHUP": ([signal.SIGHUP], (0, 129, -1)),
    "SIGUSR1": ([signal.SIGUSR1], (0,)),
    "SIGTERM, then SIGKILL": ([signal.SIGTERM, signal.SIGKILL], (0, 143, -15, -9)),
}


def limited(size: int) -> Callable[[], None]:
    """For the new process: no file may grow beyond `size` bytes."""
    return lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    )


def full_disk(rng: random.Random) -> tuple[Callable[[], None], int]:
    """For the new process: no file may grow beyond a random number of bytes, which is told too."""
    limit = int(10 ** rng.uniform(1.5, 5.5))
    return limited(limit), limit


def nobody() -> None:
    """For the new process: root may write everywhere, so it becomes somebody who may not."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def _newest(folder: Path) -> Path | None:
    return next((path for path in stored(folder / "checkpoints") if path.is_file()), None)


def _flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)


def _flip_newest(folder: Path, rng: random.Random) -> bool:
    return (path := _newest(folder)) is not None and _flip(path, rng) is None


def _flip_all(folder: Path, rng: random.Random) -> bool:
    places = [path for path in stored(folder / "checkpoints") if path.is_file()]
    for path in places:
        _flip(path, rng)
    return bool(places)


def _cut_newest(folder: Path, rng: random.Random) -> bool:
    if (path := _newest(folder)) is None:
        return False
    os.truncate(path, int(path.stat().st_size * rng.choice([0, 0.01, 0.5, 0.99])))
    return True


def _folder_for_newest(folder: Path, rng: random.Random) -> bool:
    if (path := _newest(folder)) is None:
        return False
    path.unlink()
    path.mkdir()
    return True


def _no_manifest(folder: Path, rng: random.Random) -> bool:
    if (path := _newest(folder)) is None or not path.with_suffix(".json").exists():
        return False
    path.with_suffix(".json").unlink()
    return True


def _no_result(folder: Path, rng: random.Random) -> bool:
    there = (folder / "result.json").exists()
    (folder / "result.json").unlink(missing_ok=True)
    return there


def _cut(name: str) -> Callable[[Path, random.Random], bool]:
    def cut(folder: Path, rng: random.Random) -> bool:
        path = folder / name
        if not path.is_file() or not path.stat().st_size:
            return False
        os.truncate(path, rng.randrange(path.stat().st_size))
        return True

    return cut


def _stale_lock(folder: Path, rng: random.Random) -> bool:
    holder = {"pid": 2**22 + 1, "host": "elsewhere", "started": "2000-01-01T00:00:00+00:00"}
    (folder / ".lock").write_text(json.dumps(holder))
    return True


def _litter(folder: Path, rng: random.Random) -> bool:
    for place in (folder, folder / "images", folder / "checkpoints"):
        if place.is_dir():
            (place / f".half.{rng.randrange(99999)}-{rng.randrange(16**8):08x}.tmp").write_bytes(bytes(99))
    return True


DAMAGES: dict[str, Callable[[Path, random.Random], bool]] = {
    # Each acts on a run folder that no process holds; False where there is nothing to damage.
    "one bit of the newest checkpoint": _flip_newest,
    "one bit of every checkpoint": _flip_all,
    "the newest checkpoint cut": _cut_newest,
    "a folder for the newest checkpoint": _folder_for_newest,
    "the newest manifest gone": _no_manifest,
    "result.json gone": _no_result,
    "result.json cut": _cut("result.json"),
    "metrics.csv cut": _cut("metrics.csv"),
    "a stale lock": _stale_lock,
    "half-written temporary files": _litter,
}


def may_damage(kind: str, folder: Path) -> bool:
    """A finished run owes nothing to one who damages what it kept, except a result that is made again."""
    return not runs.finished(folder) or kind in ("result.json gone", "result.json cut")


def vanish(folder: Path) -> Path:
    """Takes a run folder away; the answer is where it went."""
    aside = folder.with_name(f"{folder.name}.aside")
    os.rename(folder, aside)
    return aside


def come_back(folder: Path, aside: Path) -> None:
    """Puts it back, in place of what may have been made meanwhile."""
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(aside, folder)
