"""Who uses which device: files that a process locks, in a folder per user, so that all terminals agree.

The lock is the kernel's (flock) and belongs to the open file, which a job inherits: it is free again when the job's
process is gone, however it went, and whether or not the sweep that started it lives.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dip.errors import RunError


def folder() -> Path:
    """The folder of the claims, made if absent. Raises `RunError` when it is not ours alone."""
    path = Path(tempfile.gettempdir()) / f"dip-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise RunError(
            f"{path}: cannot be made ({error.strerror}); set TMPDIR to a folder of yours"
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise RunError(f"{path}: is not a folder of yours; set TMPDIR to one")
    return path


def take(device: str, share: int) -> list[int] | None:
    """Claims one of `share` places on `device`; the open files that hold the claim, or None when there is none.

    Whoever wants a device alone (`share` 1) locks its file for itself; whoever shares it locks the file together with
    others, and one of `share` places beside it. So neither comes upon the other, also from sweeps that differ in `share`.
    """
    whole = _hold(device, shared=share > 1)
    if whole is None or share == 1:
        return None if whole is None else [whole]
    for number in range(share):
        place = _hold(f"{device}.{number}", shared=False)
        if place is not None:
            return [whole, place]
    os.close(whole)
    return None


def places(name: str, wanted: int, of: int) -> list[int]:
    """Claims as many of `wanted` of the `of` places called `name` as are free; the open files that hold them."""
    held: list[int] = []
    for number in range(of):
        if len(held) == wanted:
            break
        place = _hold(f"{name}.{number}", shared=False)
        if place is not None:
            held.append(place)
    return held


def sign(claim: Iterable[int], pid: int) -> None:
    """Notes the process that holds `claim`, for `holder`."""
    for descriptor in claim:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(pid).encode(), 0)


def holder(device: str) -> str:
    """The last process that took `device`, in words."""
    try:
        pid = (folder() / _file(device)).read_text()
    except OSError:
        pid = ""
    return f"process {pid}" if pid.isdigit() else "another process"


def _file(device: str) -> str:
    return device.replace("/", "_")


def _hold(name: str, shared: bool) -> int | None:
    descriptor = os.open(folder() / _file(name), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
